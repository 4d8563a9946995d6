"""The first layers of a chain up to its first activations, of which each sees a patch of the image, in one step.

A unit behind them has a linear function of its patch nowhere above it and one nowhere below. Every later backward pass
ends with a sum of them, in place of going through maps that are many times larger than what it began with.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.bounds.rows import Pair, Rows, Shape, Window, cropped, places


@dataclass(frozen=True)
class Patches:
    """functions: of every unit's patch, the lower ones of its value and of its negative; (S, B, P, C, k, k, 2 C').

    shape: of the units, (C', H', W'), H' W' = P. before: of the units that they are functions of, (C, H, W).
    """

    functions: Rows
    shape: Shape
    before: Shape

    def back(self, rows: Rows) -> Rows:
        """From functions of the units to functions of those before, nowhere larger."""
        return self._of_all(rows) if rows.window is None else self._of_windows(rows, rows.window)

    def _of_all(self, rows: Rows) -> Rows:
        """One line of units after the other, so that what their patches add to the map is still in the cache."""
        patch, signed = self.patch, _signed(rows.a.flatten(4, 5).transpose(3, 4))  # (S, B, 1, H' W', 2 C', R)
        bias = rows.bias + rows.dot(signed, self.functions.bias[:, :, None, ..., None])
        height, width = rows.shape[1:]
        size = [side + 2 * pad for side, pad in zip(self.before[1:], patch.pad, strict=True)]
        found = signed.new_zeros(*self._cases(signed), self.before[0], *size, signed.shape[-1])
        for i in range(height):
            line = slice(i * width, (i + 1) * width)
            parts = self._flat[:, :, line] @ signed[:, :, 0, line]  # (S, B, W', C k k, R)
            parts = parts.unflatten(3, (self.before[0], *patch.size))
            lines = slice(i * patch.stride[0], i * patch.stride[0] + patch.size[0])
            for j in range(patch.size[1]):
                _, columns = places((0, j), patch.stride, (1, width))
                found[..., lines, columns, :] += parts[..., j, :].movedim(2, 4)
        return Rows(cropped(found[:, :, None], patch.pad, self.before), bias)

    def _of_windows(self, rows: Rows, window: Window) -> Rows:
        """One place of the windows after the other, of all windows at once: what all patches over it have there.

        What lies beyond the map is left to who comes next: the region, or patches, of which there are none.
        """
        patch, signed = self.patch, _signed(rows.a.movedim(3, -2))  # (S, B, P or 1, h, w, 2 C', R)
        size = window.before(patch.size, patch.stride, patch.pad)
        blocks, tall, wide = _padded(self._blocks, window.pad), *self._blocks.shape[:2]
        height, width = rows.shape[1] + tall - 1, rows.shape[2] + wide - 1
        block = (self.before[0], *patch.stride)
        found = signed.new_empty(
            *self._cases(signed), window.count, block[0], height, block[1], width, block[2], signed.shape[-1]
        )
        for y, x in itertools.product(range(height), range(width)):
            over = [  # units of the window whose patch holds the block
                (i, j)
                for i in range(max(0, y - tall + 1), min(rows.shape[1], y + 1))
                for j in range(max(0, x - wide + 1), min(rows.shape[2], x + 1))
            ]
            units = torch.cat([_seen(blocks[y - i, x - j], (i, j), window) for i, j in over], -1)
            at = torch.cat([signed[:, :, :, i, j] for i, j in over], -2)
            found[:, :, :, :, y, :, x] = _times(units, at).unflatten(3, block)
        found = found.flatten(6, 7).flatten(4, 5)[..., : size.size[0], : size.size[1], :]
        return Rows(found, rows.bias + self._shifts(signed, window), size)

    def _shifts(self, signed: Tensor, window: Window) -> Tensor:
        """What the shifts of all units of the windows come to: (S, B, P, R)."""
        maps = _padded(self.functions.bias.unflatten(2, self.shape[1:])[..., None, :], window.pad)
        every = itertools.product(range(signed.shape[3]), range(signed.shape[4]))
        units = torch.cat([_seen(maps, place, window) for place in every], -1)  # (S, B, P, 1, h w 2 C')
        return _times(units, signed.flatten(3, 5))[..., 0, :]

    def _cases(self, signed: Tensor) -> Pair:
        """S and B of the product with functions."""
        networks, images = (max(self.functions.a.shape[axis], signed.shape[axis]) for axis in (0, 1))
        return networks, images

    @property
    def patch(self) -> Window:
        """Of the units' patches."""
        assert self.functions.window is not None
        return self.functions.window

    @functools.cached_property
    def _flat(self) -> Tensor:
        """(S, B, P, C k k, 2 C')."""
        flat: Tensor = self.functions.a.flatten(3, 5).contiguous()
        return flat

    @functools.cached_property
    def _blocks(self) -> Tensor:
        """The patches in blocks as large as their stride: (k / s, k / s, S, B, H', W', C s s, 2 C')."""
        (tall, wide), (down, right) = self.patch.size, self.patch.stride
        a = F.pad(self.functions.a, [0, 0, 0, -wide % right, 0, -tall % down])
        a = a.unflatten(5, (-1, right)).unflatten(4, (-1, down))  # (S, B, P, C, k / s, s, k / s, s, 2 C')
        blocks: Tensor = a.permute(4, 6, 0, 1, 2, 3, 5, 7, 8).flatten(5, 7).unflatten(4, self.shape[1:]).contiguous()
        return blocks


def _padded(maps: Tensor, pad: Pair) -> Tensor:
    """(..., H', W', n, 2 C') with zeros around the map."""
    return F.pad(maps, [0, 0, 0, 0, pad[1], pad[1], pad[0], pad[0]])


def _seen(maps: Tensor, place: Pair, window: Window) -> Tensor:
    """(S, B, H', W', n, 2 C') -> (S, B, P, n, 2 C'): the unit at a place of every window."""
    lines, columns = places(place, window.stride, window.grid)
    return maps[:, :, lines, columns].flatten(2, 3)


def _times(units: Tensor, rows: Tensor) -> Tensor:
    """(S, B, P, n, m) times (S, B, P or 1, m, R): one product for all windows where they have the same rows."""
    if rows.shape[2] > 1:
        return units @ rows
    product: Tensor = (units.flatten(2, 3) @ rows[:, :, 0]).unflatten(2, units.shape[2:4])
    return product


def _signed(a: Tensor) -> Tensor:
    """(..., C', R) -> (..., 2 C', R): how much of every unit, and how much of its negative, is in a function."""
    return torch.cat([a.clamp_min(0), a.neg().clamp_min_(0)], -2)
