"""Rules of activations: over the interval of its input two lines hold each unit (Zhang et al. 2018, table 2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.bounds.rows import Interval
from zoo.bounds.steps import Back, Lines, Matter, Step, rule

Function = Callable[[Tensor], Tensor]
HALVINGS = 50  # of an interval, to find where a tangent touches


@dataclass(frozen=True)
class Activation(Step):
    """f: elementwise and monotone. lines: from the bounds of its input to two lines over them."""

    f: Function
    lines: Callable[[Tensor, Tensor], Lines]

    affine = False
    mixes = False

    def interval(self, x: Interval) -> Interval:
        return Interval(self.f(x.lower), self.f(x.upper))

    def matter(self, x: Interval, after: Matter) -> Matter:
        return Matter(after.used, after.used)

    def back(self, x: Interval) -> Back:
        return self.lines(x.lower, x.upper).back


class Relu(Activation):
    """max(x, 0): of a unit whose sign is known both lines are the function, whatever else is known of it."""

    def matter(self, x: Interval, after: Matter) -> Matter:
        on, off = x.lower >= 0, x.upper <= 0
        return Matter(after.used & ~off, after.used & ~off & (after.bounds | ~on))


@dataclass(frozen=True)
class Softplus(Step):
    """log(1 + exp(beta x)) / beta, and x itself beyond the threshold, as torch has it.

    At the threshold that is a step down, of 2e-9 as a rule: below an interval that holds it the bounds allow for it.
    """

    beta: float
    threshold: float

    affine = False
    mixes = False

    def interval(self, x: Interval) -> Interval:
        lower, upper = (torch.where(self._is_linear(side), side, self._f(side)) for side in x)
        upper = torch.where(self._steps(x), torch.maximum(upper, self._f(x.upper)), upper)
        return Interval(torch.where(self._steps(x), lower - self._step(), lower), upper)

    def matter(self, x: Interval, after: Matter) -> Matter:
        return Matter(after.used, after.used)

    def back(self, x: Interval) -> Back:
        lines = convex_lines(self._f, lambda values: torch.sigmoid(self.beta * values), x.lower, x.upper)
        linear = self._is_linear(x.lower)
        lowered = torch.where(self._steps(x), lines.lower_shift - self._step(), lines.lower_shift)
        return Lines(
            lines.lower_slope.masked_fill(linear, 1.0),
            lowered.masked_fill(linear, 0.0),
            lines.upper_slope.masked_fill(linear, 1.0),
            lines.upper_shift.masked_fill(linear, 0.0),
        ).back

    def _f(self, x: Tensor) -> Tensor:
        return torch.logaddexp(self.beta * x, torch.zeros_like(x)) / self.beta

    def _is_linear(self, x: Tensor) -> Tensor:
        return self.beta * x > self.threshold

    def _steps(self, x: Interval) -> Tensor:
        """Whether the threshold is in the interval."""
        return self._is_linear(x.upper) & ~self._is_linear(x.lower)

    def _step(self) -> float:
        return math.log1p(math.exp(-self.threshold)) / self.beta


def relu_lines(lower: Tensor, upper: Tensor) -> Lines:
    """Above, the chord; below, 0 or x, whichever leaves the smaller triangle. Exact where the sign is known."""
    on, off = lower >= 0, upper <= 0
    chord = torch.where(on, 1.0, upper / (upper - lower).masked_fill(on | off, 1.0)).masked_fill(off, 0.0)
    below = (on | (upper > -lower)).to(lower.dtype).masked_fill(off, 0.0)
    shift = (-chord * lower).masked_fill(on | off, 0.0)
    return Lines(below, torch.zeros_like(below), chord, shift)


def convex_lines(f: Function, derivative: Function, lower: Tensor, upper: Tensor) -> Lines:
    """Above, the chord; below, the tangent in the middle, which leaves the least area."""
    middle = (lower + upper) / 2
    chord = _chord(f, derivative, lower, upper)
    tangent = derivative(middle)
    return Lines(tangent, f(middle) - tangent * middle, chord, f(lower) - chord * lower)


def s_shaped_lines(f: Function, derivative: Function, lower: Tensor, upper: Tensor) -> Lines:
    """Of an f that is convex below 0 and concave above it, with f(-x) = 2 f(0) - f(x).

    So the lower line is the upper one of the mirrored interval.
    """
    upper_slope, upper_shift = _above_s(f, derivative, lower, upper)
    lower_slope, mirrored = _above_s(f, derivative, -upper, -lower)
    return Lines(lower_slope, 2 * f(torch.zeros_like(mirrored)) - mirrored, upper_slope, upper_shift)


def _above_s(f: Function, derivative: Function, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and shift of a line above.

    It is the chord where that is above, the tangent in the middle of a concave interval, else the tangent through
    (l, f(l)). Where that one touches, d > 0, g(d) = f(d) - f(l) - f'(d) (d - l) is 0; g grows, and the tangent at any d
    with g(d) >= 0 is above f on all of [l, u].
    """
    chord = _chord(f, derivative, lower, upper)
    low, high = torch.zeros_like(upper), upper.clamp_min(0)
    at_lower = f(lower)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = f(middle) - at_lower >= derivative(middle) * (middle - lower)
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    touch = torch.where(lower >= 0, (lower + upper) / 2, high)
    reaches = f(upper) - at_lower >= derivative(upper) * (upper - lower)
    by_chord = (lower < 0) & ((upper <= 0) | ~reaches)
    slope = torch.where(by_chord, chord, derivative(touch))
    point = torch.where(by_chord, lower, touch)
    return slope, f(point) - slope * point


def _chord(f: Function, derivative: Function, lower: Tensor, upper: Tensor) -> Tensor:
    """Slope between the ends; the derivative where they are too close for a difference to have digits."""
    width = upper - lower
    near = width <= torch.finfo(lower.dtype).eps ** 0.5
    middle = derivative((lower + upper) / 2)
    return torch.where(near, middle, (f(upper) - f(lower)) / width.masked_fill(near, 1.0))


# --- Rules ------------------------------------------------------------------------------------------------------------


@rule.register
def _(layer: nn.ReLU, column: Sequence[nn.Module], dtype: torch.dtype) -> Sequence[Step]:
    return [Relu(torch.relu, relu_lines)]


@rule.register
def _(layer: nn.Softplus, column: Sequence[nn.Softplus], dtype: torch.dtype) -> Sequence[Step]:
    if len({(one.beta, one.threshold) for one in column}) > 1:
        raise ValueError("bounds are for networks of the same softplus: bound other networks one by one")
    return [Softplus(layer.beta, layer.threshold)]


@rule.register
def _(layer: nn.Sigmoid, column: Sequence[nn.Module], dtype: torch.dtype) -> Sequence[Step]:
    def derivative(x: Tensor) -> Tensor:
        return torch.sigmoid(x) * torch.sigmoid(-x)

    return [Activation(torch.sigmoid, lambda lower, upper: s_shaped_lines(torch.sigmoid, derivative, lower, upper))]


@rule.register
def _(layer: nn.Tanh, column: Sequence[nn.Module], dtype: torch.dtype) -> Sequence[Step]:
    def derivative(x: Tensor) -> Tensor:
        return torch.cosh(x.clamp(-300, 300)).pow(-2)

    return [Activation(torch.tanh, lambda lower, upper: s_shaped_lines(torch.tanh, derivative, lower, upper))]
