"""Rules of layers that are affine: nothing is lost in them but what an interval forgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.bounds.rows import Interval, Pair, Rows, Window, cropped, places
from zoo.bounds.steps import Back, Step, rule, stacked, steps_of
from zoo.layers import BayesianConv2d, BayesianLinear, Conv2d, MeanFieldLayer, Preprocess


@rule.register
def _(layer: nn.Sequential, column: Sequence[nn.Sequential], dtype: torch.dtype) -> Sequence[Step]:
    if len({len(network) for network in column}) > 1:
        raise ValueError("bounds are for networks of the same chain of layers: bound other networks one by one")
    return [step for place in zip(*column, strict=True) for step in steps_of(place, dtype)]


@rule.register(nn.Identity)
@rule.register(nn.Dropout)
def _(layer: nn.Module, column: Sequence[nn.Module], dtype: torch.dtype) -> Sequence[Step]:
    """As in evaluation."""
    if any(isinstance(one, nn.Dropout) and one.training and one.p for one in column):
        raise ValueError("Dropout in training mode is random and has no bounds: call eval() on the network")
    return []


@rule.register(MeanFieldLayer)
@rule.register(BayesianLinear)
@rule.register(BayesianConv2d)
def _(layer: MeanFieldLayer, column: Sequence[nn.Module], dtype: torch.dtype) -> Sequence[Step]:
    raise ValueError(
        f"{type(layer).__name__}: no rule bounds random weights: take draws of zoo.posteriors.posterior_of(network)"
    )


@dataclass(frozen=True)
class Linear(Step):
    """weight: (S, F', F). bias: (S, F')."""

    weight: Tensor
    bias: Tensor | None

    def interval(self, x: Interval) -> Interval:
        if len(x.shape) != 1:
            raise ValueError(f"bounds of Linear are for vectors, not for maps {x.shape}: put nn.Flatten() before it")
        centre, radius = x.centre @ self.weight.mT, x.radius @ self.weight.abs().mT
        centre = centre if self.bias is None else centre + self.bias[:, None]
        return Interval(centre - radius, centre + radius)

    def back(self, x: Interval) -> Back:
        def back(rows: Rows) -> Rows:
            a = self.weight.mT[:, None, None] @ rows.a  # (S, B, P, F, R)
            bias = rows.bias if self.bias is None else rows.bias + rows.dot(rows.a, self.bias[:, None, None, :, None])
            return replace(rows, a=a, bias=bias)

        return back


@rule.register
def _(layer: nn.Linear, column: Sequence[nn.Linear], dtype: torch.dtype) -> Sequence[Step]:
    weight = stacked([one.weight for one in column], dtype)
    assert weight is not None
    return [Linear(weight, stacked([one.bias for one in column], dtype))]


class Flatten(Step):
    """(S, B, C, H, W) -> (S, B, C H W)."""

    mixes = False

    def interval(self, x: Interval) -> Interval:
        return Interval(x.lower.flatten(2), x.upper.flatten(2))

    def back(self, x: Interval) -> Back:
        return lambda rows: replace(rows, a=rows.a.unflatten(3, x.shape))


@rule.register
def _(layer: nn.Flatten, column: Sequence[nn.Flatten], dtype: torch.dtype) -> Sequence[Step]:
    if any((one.start_dim, one.end_dim) != (1, -1) for one in column):
        raise ValueError("bounds go through Flatten of all but the first axis only: use nn.Flatten()")
    return [Flatten()]


@dataclass(frozen=True)
class Pixels(Step):
    """Zero-padded, then (x - mean) / std by channel; mean, std: (C, 1, 1)."""

    mean: Tensor
    std: Tensor
    pad: int

    mixes = False

    def interval(self, x: Interval) -> Interval:
        return Interval(*((F.pad(side, [self.pad] * 4) - self.mean) / self.std for side in x))

    def back(self, x: Interval) -> Back:
        def back(rows: Rows) -> Rows:
            a = rows.a / self.std[..., None]
            shift = (self.mean / self.std).expand(-1, *rows.shape[1:])
            bias = rows.bias - rows.dot(rows.a, shift[None, None, None, ..., None])
            if rows.window is None:
                return replace(rows, a=cropped(a, (self.pad, self.pad), x.shape), bias=bias)
            return Rows(a, bias, self.window(rows.window)).inside(x.shape)

        return back

    def window(self, window: Window) -> Window:
        return window.before((1, 1), (1, 1), (self.pad, self.pad))


@rule.register
def _(layer: Preprocess, column: Sequence[Preprocess], dtype: torch.dtype) -> Sequence[Step]:
    means, stds = (stacked([getattr(one, name) for one in column], dtype) for name in ("mean", "std"))
    assert means is not None
    assert stds is not None
    if len({one.pad for one in column}) > 1 or not all(bool((v == v[:1]).all()) for v in (means, stds)):
        raise ValueError("bounds are for networks that preprocess alike: bound other networks one by one")
    return [Pixels(means[0], stds[0], layer.pad)]


@dataclass(frozen=True)
class Convolution(Step):
    """weight: (S, C', C, k, k). bias: (S, C')."""

    weight: Tensor
    bias: Tensor | None
    stride: Pair
    padding: Pair
    dilation: Pair = (1, 1)

    @property
    def kernel(self) -> Pair:
        """Rows and columns that it sees."""
        height, width = ((k - 1) * d + 1 for k, d in zip(self.weight.shape[3:], self.dilation, strict=True))
        return height, width

    def interval(self, x: Interval) -> Interval:
        centre, radius = self._apply(x.centre, self.weight), self._apply(x.radius, self.weight.abs())
        centre = centre if self.bias is None else centre + self.bias[:, None, :, None, None]
        return Interval(centre - radius, centre + radius)

    def back(self, x: Interval) -> Back:
        def back(rows: Rows) -> Rows:
            bias = rows.bias
            if self.bias is not None:
                bias = bias + rows.dot(rows.a.sum((-3, -2)), self.bias[:, None, None, :, None])
            if rows.window is None:
                padded = (x.shape[1] + 2 * self.padding[0], x.shape[2] + 2 * self.padding[1])
                return Rows(cropped(self._transposed(rows.a, padded), self.padding, x.shape), bias)
            window = self.window(rows.window)
            return Rows(self._transposed(rows.a, window.size), bias, window).inside(x.shape)

        return back

    def window(self, window: Window) -> Window:
        return window.before(self.kernel, self.stride, self.padding)

    def _apply(self, x: Tensor, weight: Tensor) -> Tensor:
        """(S, B, C, H, W) -> (S, B, C', H', W'), every network with its own weights."""
        count = max(len(x), len(weight))
        pairs = zip(x.expand(count, *x.shape[1:]), weight.expand(count, *weight.shape[1:]), strict=True)
        return torch.stack([F.conv2d(one, w, None, self.stride, self.padding, self.dilation) for one, w in pairs])

    def _transposed(self, a: Tensor, size: Pair) -> Tensor:
        """(S, B, P, C', h, w, R) -> (S, B, P, C, *size, R): the transpose of the convolution without padding.

        Every tap of the kernel adds its part.
        """
        channels_first = a.movedim(3, 1)  # (S, C', B, P, h, w, R): one product for all rows
        flat, grid = channels_first.flatten(2), (a.shape[4], a.shape[5])
        taps = self.weight.permute(3, 4, 0, 2, 1).contiguous()  # (k, k, S, C, C')
        found = a.new_zeros(max(len(a), len(taps[0, 0])), self.weight.shape[2], *a.shape[1:3], *size, a.shape[-1])
        for i in range(len(taps)):
            for j in range(len(taps[0])):
                rows, columns = places((i * self.dilation[0], j * self.dilation[1]), self.stride, grid)
                found[..., rows, columns, :] += (taps[i, j] @ flat).unflatten(2, channels_first.shape[2:])
        return found.movedim(1, 3)


@rule.register(nn.Conv2d)
@rule.register(Conv2d)
def _(layer: nn.Conv2d, column: Sequence[nn.Conv2d], dtype: torch.dtype) -> Sequence[Step]:
    options = {(one.stride, one.padding, one.dilation, one.groups, one.padding_mode) for one in column}
    if len(options) > 1:
        raise ValueError("bounds are for networks of the same convolutions: bound other networks one by one")
    if layer.groups != 1 or layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise ValueError(
            f"bounds go through convolutions with groups=1, padding_mode='zeros' and a padding in numbers only, not "
            f"{layer}: build it so, or give its class a rule with zoo.bounds.rule.register"
        )
    weight = stacked([one.weight for one in column], dtype)
    assert weight is not None
    bias, pairs = stacked([one.bias for one in column], dtype), (layer.stride, layer.padding, layer.dilation)
    return [Convolution(weight, bias, *(cast("Pair", pair) for pair in pairs))]
