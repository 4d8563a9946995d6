"""A chain of layers over a region of images: bounds of every layer's units, and of functions of the last."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from zoo.bounds.patches import Patches
from zoo.bounds.region import Region
from zoo.bounds.rows import Interval, Rows, Shape, Window, identity
from zoo.bounds.selection import needed, picked, places_of
from zoo.bounds.steps import Back, Step

Method = Literal["crown", "crown-ibp", "interval"]
METHODS: tuple[Method, ...] = get_args(Method)
PICKED = 2  # how much more a row costs that is a case's own, measured
TENSORS, WINDOWED = 20, 10  # of the size of its widest layer, that are held at once, measured: of maps, of windows


@dataclass
class Link:
    """One step backwards, through one layer or several: which steps it is of, and whether they are affine.

    made: of what it does, when it is first asked for: of intervals alone most is never.
    """

    steps: slice
    affine: bool
    made: Callable[[], Back]

    @functools.cached_property
    def back(self) -> Back:
        return self.made()


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
                self.units[-1] = x = self._narrowed(x, needed(self.steps[index:], x))
            elif self.method != "interval" and step.affine and self._ends_in_activation and len(x.shape) == 3:
                self._fold(x)
            self.links.append(Link(slice(index, index + 1), step.affine, functools.partial(step.back, x)))
            x = step.interval(x)
        self.units.append(x)

    @property
    def output(self) -> Interval:
        """Bounds of every output by itself."""
        if self.method == "interval":
            return self.units[-1]
        return self.units[-1].within(self._of_units(exact=True))

    def least(self, coefficients: Tensor) -> tuple[Tensor, Rows | None]:
        """Bounds below functions of the outputs: (B, K, R) coefficients -> (S, B, R).

        And the functions of the pixels, nowhere larger, that they are the least values of; of intervals there are none.
        """
        a = coefficients[None, :, None]
        least, rows = self._backwards(Rows(a, a.new_zeros(1, len(coefficients), 1, a.shape[-1])), exact=True)
        return least[:, :, 0], rows

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

    @property
    def _ends_in_activation(self) -> bool:
        return bool(self.links) and not self.links[-1].affine

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
        self.links.append(Link(slice(start, taken[-1].steps.stop), False, lambda: patches.back))

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

    def _narrowed(self, x: Interval, wanted: Tensor) -> Interval:
        """Of the layer that was reached: x, and where they are wanted the bounds of a backward pass."""
        most = int(wanted.flatten(2).sum(-1).max())
        if not most:
            return x
        every = torch.Size(x.shape).numel() * self.widest()
        if len(x.shape) == 3:
            every = min(every, x.shape[0] * self.widest(windowed=True))
        some = PICKED * most * self.widest() < every
        found = x.within(self._of_some(x, wanted.flatten(2)) if some else self._of_units(exact=False))
        # the others stay as they are, however many are bounded: what is found is the same in any company of cases
        return Interval(*(torch.where(wanted, new, old) for new, old in zip(found, x, strict=True)))

    def _of_some(self, x: Interval, wanted: Tensor) -> Interval:
        """X with the bounds of wanted units, (S, B, D), by a backward pass that is for every case's own.

        Up to the last activation functions are alike for all images.
        """
        lower, upper = (side.expand(*wanted.shape[:2], *x.shape).flatten(2).clone() for side in x)
        stop, cases = len(self.links), wanted.shape[0] * wanted.shape[1]
        while stop and self.links[stop - 1].affine:
            stop -= 1
        size = TENSORS * lower.element_size() * self.widest()
        at_once, count = max(1, self.max_bytes // size // cases), max(1, self.max_bytes // size)
        for first in range(0, wanted.shape[-1], count):
            part = wanted[..., first : first + count]
            if not part.any():
                continue
            rows = identity(x.shape, x.lower, False, first, part.shape[-1])
            for link in reversed(self.links[stop:]):
                rows = link.back(rows)
            for places in places_of(part).split(at_once, -1):
                least = self._backwards(picked(rows, places), False, stop)[0][:, :, 0]
                found, negative = least.chunk(2, -1)
                lower.scatter_(-1, places + first, found)
                upper.scatter_(-1, places + first, -negative)
        return Interval(lower.unflatten(2, x.shape), upper.unflatten(2, x.shape))

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
        found = torch.cat([self._backwards(part, exact)[0] for part in parts], -1)  # (S, B, P, 2 C) or (S, B, 1, 2 D)
        lower, negative = found.mT.reshape(*found.shape[:2], 2, *shape).unbind(2)
        return Interval(lower, -negative)

    def _backwards(self, rows: Rows, exact: bool, stop: int | None = None) -> tuple[Tensor, Rows | None]:
        """Bounds below rows of the layer that was reached, or of the input of link `stop`: (S, B, P, R).

        The better of the backward pass to the pixels and of the intervals of the last layer that is not affine, whose
        units then count as independent: so no bound is looser than that of intervals. And the functions of the pixels,
        nowhere larger, that the pass ends with; of intervals there are none.
        """
        from_intervals: Tensor | None = None
        for link in reversed(self.links[:stop]):
            if not link.affine and from_intervals is None:
                last = self.steps[link.steps][-1]
                from_intervals = rows.least(last.interval(self.units[link.steps.stop - 1]))
                if self.method == "interval":
                    return from_intervals, None
            rows = link.back(rows)
        least = self.region.least(rows, exact)
        return (least if from_intervals is None else torch.maximum(from_intervals, least)), rows
