"""What a rule makes of a layer: a step, through which intervals go forwards and linear functions backwards."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.bounds.rows import Interval, Rows, Window

Back = Callable[[Rows], Rows]


class Matter(NamedTuple):
    """Which units of a layer matter to what comes after, (S, B, *shape) each.

    used: whether a function of them may have a coefficient that is not 0. bounds: whether those functions depend on the
    bounds of the unit, so that tighter ones make a difference.
    """

    used: Tensor
    bounds: Tensor


class Step(ABC):
    """One layer of all S networks.

    affine: whether its units are affine functions of those before. mixes: whether one of them depends on several.
    """

    affine = True
    mixes = True

    @abstractmethod
    def interval(self, x: Interval) -> Interval:
        """Bounds of the output from those of the input, unit by unit (Gowal et al. 2018, equation 6)."""

    def window(self, window: Window) -> Window:
        """What a window on a map of the output sees of the input."""
        return window

    def matter(self, x: Interval, after: Matter) -> Matter:
        """Which inputs matter, of a layer that is not affine. after: which outputs do.

        All, where a rule knows no better. It must hold for any tighter bounds of the inputs, too. What is left out
        keeps looser bounds, never wrong ones.
        """
        every = torch.ones_like(x.lower, dtype=torch.bool)
        return Matter(every, every)

    @abstractmethod
    def back(self, x: Interval) -> Back:
        """For inputs within x: from functions of the output to functions of the input, nowhere larger there."""


@functools.singledispatch
def rule(layer: nn.Module, column: Sequence[nn.Module], dtype: torch.dtype) -> Sequence[Step]:
    """The steps of a layer. column: it and its counterparts in the other networks; dtype: of the bounds.

    A rule is for its very class: what a subclass computes may be anything. Raises ValueError for a layer without one.
    """
    kind = type(layer).__name__
    raise ValueError(f"no rule bounds the layer {kind}: give it one with zoo.bounds.rule.register")


def steps_of(networks: Sequence[nn.Module], dtype: torch.dtype) -> list[Step]:
    """The steps of networks of one architecture. Raises ValueError for others, and for a layer without a rule."""
    if len({type(network) for network in networks}) > 1:
        raise ValueError("bounds are for networks of the same chain of layers: bound other networks one by one")
    layer = networks[0]
    if type(layer) not in rule.registry:
        return list(rule.registry[object](layer, networks, dtype))
    return list(rule(layer, networks, dtype))


def stacked(values: Sequence[Tensor | None], dtype: torch.dtype) -> Tensor | None:
    """(S, ...) of the networks' values; (1, ...) where they are the same tensor."""
    present = [value.detach() for value in values if value is not None]
    if not present:
        return None
    if len(present) < len(values) or len({value.shape for value in present}) > 1:
        raise ValueError("bounds are for networks of the same shapes: bound other networks one by one")
    if len({value.data_ptr() for value in present}) == 1:
        present = present[:1]
    return torch.stack([value.to(dtype) for value in present])


@dataclass(frozen=True)
class Lines:
    """Two lines a unit, slope x + shift, one nowhere above it and one nowhere below: (S, B, *shape) each."""

    lower_slope: Tensor
    lower_shift: Tensor
    upper_slope: Tensor
    upper_shift: Tensor

    def back(self, rows: Rows) -> Rows:
        """Where a coefficient is positive the lower line takes the unit's place, else the upper one."""
        slope, slopes = _middle(self.lower_slope, self.upper_slope)
        shift, shifts = _middle(self.lower_shift, self.upper_shift)
        size = rows.a.abs()
        bias = rows.bias + rows.dot(rows.a, rows.facing(shift)) + rows.dot(size, rows.facing(shifts))
        a = torch.addcmul(rows.a * rows.facing(slope), size, rows.facing(slopes))
        return replace(rows, a=a, bias=bias)


def _middle(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Their mean, and half of lower - upper: a lower for a > 0, a upper for a < 0, is a mean + |a| half."""
    return (lower + upper) / 2, (lower - upper) / 2
