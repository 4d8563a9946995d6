"""Rules of pooling: windows of k x k units of a map, each tap of them a map of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.bounds.rows import Interval, Pair, Rows, Shape, Window, places
from zoo.bounds.steps import Back, Matter, Step, rule


@dataclass(frozen=True)
class Pooling(Step):
    """kernel, stride: rows and columns."""

    kernel: Pair
    stride: Pair

    def window(self, window: Window) -> Window:
        return window.before(self.kernel, self.stride, (0, 0))

    def _taps(self, maps: Tensor) -> Tensor:
        """(..., C, H, W) -> (T, ..., C, H', W'), every tap of the windows."""
        cut = maps.unfold(-2, self.kernel[0], self.stride[0]).unfold(-2, self.kernel[1], self.stride[1])
        return cut.flatten(-2).movedim(-1, 0)

    def _before(self, rows: Rows, parts: Sequence[Tensor], bias: Tensor, shape: Shape) -> Rows:
        """Of coefficients at every tap, like rows.a, those of the map (C, H, W) before."""
        window = None if rows.window is None else self.window(rows.window)
        size = (shape[1], shape[2]) if window is None else window.size
        height, width, count = rows.a.shape[-3:]
        found = parts[0].new_zeros(*parts[0].shape[:-3], *size, count)
        for tap, part in enumerate(parts):
            lines, columns = places(divmod(tap, self.kernel[1]), self.stride, (height, width))
            found[..., lines, columns, :] += part
        return Rows(found, bias, window).inside(shape)


class AveragePooling(Pooling):
    """The mean of every window."""

    def interval(self, x: Interval) -> Interval:
        return Interval(*(self._taps(side).mean(0) for side in x))

    def back(self, x: Interval) -> Back:
        count = self.kernel[0] * self.kernel[1]
        return lambda rows: self._before(rows, [rows.a / count] * count, rows.bias, x.shape)


class MaxPooling(Pooling):
    """The largest of every window.

    From below, the unit whose interval lies highest: no unit is above the maximum. From above, with i the unit of the
    largest upper bound, and m the largest of all lower and of the other units' upper bounds: max(x_i, m), by its chord
    over the interval of x_i. Where one unit's lower bound is above all others, both are that unit.
    """

    affine = False

    def interval(self, x: Interval) -> Interval:
        return Interval(*(self._taps(side).amax(0) for side in x))

    def matter(self, x: Interval, after: Matter) -> Matter:
        """A unit whose upper bound is not above another's lower one is never chosen, and one without rivals always."""
        lower, upper = self._taps(x.lower), self._taps(x.upper)
        alive = (upper > lower.amax(0)) | (_one_hot(lower.argmax(0), len(lower), lower.dtype) > 0)
        contested = alive & (alive.sum(0) > 1)
        return Matter(self._any(alive & after.used, x), self._any(contested & after.used | alive & after.bounds, x))

    def _any(self, taps: Tensor, x: Interval) -> Tensor:
        """(T, ..., C, H', W') of windows -> (..., C, H, W): whether it is so of a unit in some window."""
        found = torch.zeros_like(x.lower, dtype=torch.bool)
        for tap, part in enumerate(taps):
            lines, columns = places(divmod(tap, self.kernel[1]), self.stride, (part.shape[-2], part.shape[-1]))
            found[..., lines, columns] |= part
        return found

    def back(self, x: Interval) -> Back:
        lower, upper = self._taps(x.lower), self._taps(x.upper)
        chosen = _one_hot((lower + upper).argmax(0), len(lower), lower.dtype)
        highest = _one_hot(upper.argmax(0), len(lower), lower.dtype)
        others = upper.masked_fill(highest > 0, -torch.inf).amax(0)
        level = torch.maximum(lower.amax(0), others)  # m
        least, most = (lower * highest).sum(0), upper.amax(0)
        leads = least >= level
        slope = torch.where(leads, 1.0, (most - level) / (most - least).masked_fill(leads, 1.0)).clamp(0, 1)
        shift = torch.where(leads, 0.0, level - slope * least)
        highest = highest * slope

        def back(rows: Rows) -> Rows:
            positive = rows.a.clamp_min(0)
            negative = rows.a - positive
            bias = rows.bias + rows.dot(negative, rows.facing(shift))
            parts = [
                (positive * rows.facing(low)).addcmul_(negative, rows.facing(high))
                for low, high in zip(chosen, highest, strict=True)
            ]
            return self._before(rows, parts, bias, x.shape)

        return back


def _one_hot(index: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    """(...) -> (count, ...)."""
    every = torch.arange(count, device=index.device).view(-1, *[1] * index.ndim)
    return (index == every).to(dtype)


@rule.register
def _(layer: nn.MaxPool2d, column: Sequence[nn.MaxPool2d], dtype: torch.dtype) -> Sequence[Step]:
    if layer.dilation not in (1, (1, 1)) or layer.return_indices:
        raise ValueError(f"bounds go through max-pooling without dilation and indices only, not {layer}: build it so")
    return [MaxPooling(*_sizes(layer, column))]


@rule.register
def _(layer: nn.AvgPool2d, column: Sequence[nn.AvgPool2d], dtype: torch.dtype) -> Sequence[Step]:
    if layer.divisor_override is not None:
        raise ValueError(f"bounds go through the average of all of a window only, not {layer}: build it so")
    return [AveragePooling(*_sizes(layer, column))]


def _sizes(layer: nn.MaxPool2d | nn.AvgPool2d, column: Sequence[nn.Module]) -> tuple[Pair, Pair]:
    if len({repr(one) for one in column}) > 1:
        raise ValueError("bounds are for networks of the same pooling: bound other networks one by one")
    if layer.padding not in (0, (0, 0)) or layer.ceil_mode:
        raise ValueError(f"bounds go through pooling without padding and ceil_mode only, not {layer}: build it so")
    kernel, stride = (size if isinstance(size, tuple) else (size, size) for size in (layer.kernel_size, layer.stride))
    return kernel, stride
