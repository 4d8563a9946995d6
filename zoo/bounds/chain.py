"""A chain of layers over a region of images: bounds of every layer's units, and of functions of the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from zoo.bounds.patches import Patches
from zoo.bounds.region import Region
from zoo.bounds.rows import Interval, Rows, Shape, Window, identity
from zoo.bounds.steps import Back, Step

Method = Literal["crown", "crown-ibp", "interval"]
METHODS: tuple[Method, ...] = get_args(Method)
TENSORS, WINDOWED = 20, 10  # of the size of its widest layer, that are held at once, measured: of maps, of windows


class Link(NamedTuple):
    """One step backwards, through one layer or several: which steps it is of, and whether they are affine."""

    steps: slice
    affine: bool
    back: Back


@dataclass
class Chain:
    """The steps of S networks over a region of B images.

    method: how bounds of units within the network are found; functions of the output are bounded backwards by all but
        "interval". crown: every layer's by a backward pass of its own (Zhang et al. 2018). crown-ibp: by intervals
        (Zhang et al. 2020). interval: nothing goes backwards (Gowal et al. 2018).
    max_bytes: bound on what a backward pass holds, to which its rows are taken in parts; a single one may be more.
    """

    steps: Sequence[Step]
    region: Region
    method: Method
    max_bytes: int
    links: list[Link] = field(default_factory=list)
    units: list[Interval] = field(default_factory=list)  # bounds of every step's input, and of the last one's output

    def __post_init__(self) -> None:
        x = self.region.box
        for index, step in enumerate(self.steps):
            self.units.append(x)
            if not step.affine and self.method == "crown" and not self._is_exact(index):
                self.units[-1] = x = x.within(self._of_units(exact=False))
            elif step.affine and self.links and not self.links[-1].affine and len(x.shape) == 3:
                self._fold(x)
            self.links.append(Link(slice(index, index + 1), step.affine, step.back(x)))
            x = step.interval(x)
        self.units.append(x)

    @property
    def output(self) -> Interval:
        """Bounds of every output by itself."""
        if self.method == "interval":
            return self.units[-1]
        return self.units[-1].within(self._of_units(exact=True))

    def least(self, coefficients: Tensor) -> Tensor:
        """Bounds below functions of the outputs: (B, K, R) coefficients -> (S, B, R)."""
        a = coefficients[None, :, None]
        return self._backwards(Rows(a, a.new_zeros(1, len(coefficients), 1, a.shape[-1])), exact=True)[:, :, 0]

    def widest(self, windowed: bool = False) -> int:
        """The most numbers that one row of the layer that was reached has on its way back, over all windows."""
        shape = self.units[-1].shape
        if not windowed:
            return max([torch.Size(self.units[link.steps.start].shape).numel() for link in self.links], default=1)
        window, most = Window((shape[1], shape[2])), 1
        for link in reversed(self.links):
            for step in reversed(self.steps[link.steps]):
                window = step.window(window)
            most = max(most, self.units[link.steps.start].shape[0] * window.size[0] * window.size[1])
        return window.count * most

    def by_windows(self, shape: Shape) -> bool:
        """Whether less is computed where every unit of a map sees its window alone."""
        return self.widest(windowed=True) < shape[1] * shape[2] * self.widest()

    def _fold(self, reached: Interval) -> None:
        """Take the last activations, and the affine layers before them, as one link of patches, all being maps."""
        first = len(self.links)
        while first and not self.links[first - 1].affine:
            first -= 1
        while first and self.links[first - 1].affine:
            first -= 1
        taken, start = self.links[first:], self.links[first].steps.start
        if len(before := self.units[start].shape) != 3:
            return
        functions = identity(reached.shape, reached.lower, True, 0, 2 * reached.shape[0])
        for link in reversed(taken):
            functions = link.back(functions)
        del self.links[first:]
        patches = Patches(functions, reached.shape, before)
        self.links.append(Link(slice(start, taken[-1].steps.stop), False, patches.back))

    def _is_exact(self, index: int) -> bool:
        """Whether intervals are as good as a backward pass from what comes after so many steps.

        They are where the layer before is not affine: its own input has been bounded. And where the region is a box
        and at most one layer mixes its pixels.
        """
        before = self.steps[:index]
        if not before or not before[-1].affine:
            return True
        return (
            self.region.norm == "linf"
            and all(step.affine for step in before)
            and sum(step.mixes for step in before) <= 1
        )

    def _of_units(self, exact: bool) -> Interval:
        """Bounds of the units of the layer that was reached, by a backward pass. exact: as of `Region.least`."""
        reached = self.units[-1]
        shape, like = reached.shape, reached.lower
        windowed = len(shape) == 3 and self.by_windows(shape)
        rows = 2 * (shape[0] if windowed else torch.Size(shape).numel())
        cases = max(len(units.lower) for units in self.units) * len(self.region.images)
        cost = (WINDOWED if windowed else TENSORS) * like.element_size() * self.widest(windowed) * cases
        count = max(1, self.max_bytes // cost)
        parts = [identity(shape, like, windowed, first, count) for first in range(0, rows, count)]
        found = torch.cat([self._backwards(part, exact) for part in parts], -1)  # (S, B, P, 2 C) or (S, B, 1, 2 D)
        lower, negative = found.mT.reshape(*found.shape[:2], 2, *shape).unbind(2)
        return Interval(lower, -negative)

    def _backwards(self, rows: Rows, exact: bool) -> Tensor:
        """Bounds below rows of the layer that was reached: (S, B, P, R).

        The better of the backward pass to the pixels and of the intervals of the last layer that is not affine, whose
        units then count as independent: so no bound is looser than that of intervals.
        """
        from_intervals: Tensor | None = None
        for link in reversed(self.links):
            if not link.affine and from_intervals is None:
                last = self.steps[link.steps][-1]
                from_intervals = rows.least(last.interval(self.units[link.steps.stop - 1]))
                if self.method == "interval":
                    return from_intervals
            rows = link.back(rows)
        least = self.region.least(rows, exact)
        return least if from_intervals is None else torch.maximum(from_intervals, least)
