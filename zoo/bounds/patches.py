"""The first layers of a chain up to its first activations, of which each sees a patch of the image, in one step.

A unit behind them has a linear function of its patch nowhere above it and one nowhere below. Every later backward pass
ends with a sum of them, in place of going through maps that are many times larger than what it began with.
"""

from __future__ import annotations

import functools
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
        """In one product for every unit's patch."""
        patch, signed = self.patch, _signed(rows.a.flatten(4, 5).transpose(3, 4))  # (S, B, 1, H' W', 2 C', R)
        bias = rows.bias + rows.dot(signed, self.functions.bias[:, :, None, ..., None])
        parts = self.functions.a.flatten(3, 5)[:, :, None] @ signed  # (S, B, 1, H' W', C k k, R)
        parts = parts.unflatten(4, (self.before[0], *patch.size)).unflatten(3, rows.shape[1:])
        size = [side + 2 * pad for side, pad in zip(self.before[1:], patch.pad, strict=True)]
        found = parts.new_zeros(*parts.shape[:3], self.before[0], *size, parts.shape[-1])
        for i in range(patch.size[0]):
            for j in range(patch.size[1]):
                lines, columns = places((i, j), patch.stride, (rows.shape[1], rows.shape[2]))
                found[..., lines, columns, :] += parts[..., i, j, :].movedim(5, 3)
        return Rows(cropped(found, patch.pad, self.before), bias)

    def _of_windows(self, rows: Rows, window: Window) -> Rows:
        """One place of the windows after the other: the unit there, and its patch, of all windows at once.

        What lies beyond the map is left to who comes next: the region, or patches, of which there are none.
        """
        patch, signed = self.patch, _signed(rows.a.movedim(3, -2))  # (S, B, P or 1, h, w, 2 C', R)
        maps, (height, width) = self._padded(window.pad), rows.shape[1:]
        size = window.before(patch.size, patch.stride, patch.pad)
        found = signed.new_zeros(*self._maps.shape[:2], window.count, self.before[0], *size.size, signed.shape[-1])
        bias = rows.bias
        for i in range(height):
            for j in range(width):
                lines, columns = places((i, j), window.stride, window.grid)
                units = maps[:, :, lines, columns].flatten(2, 3)  # (S, B, P, C k k + 1, 2 C')
                at = signed[:, :, :, i, j]
                if at.shape[2] == 1:  # one product for all windows
                    part = (units.flatten(2, 3) @ at[:, :, 0]).unflatten(2, units.shape[2:4])
                else:
                    part = units @ at
                bias = bias + part[..., -1, :]
                rows_there, columns_there = places((i * patch.stride[0], j * patch.stride[1]), (1, 1), patch.size)
                found[..., rows_there, columns_there, :] += part[..., :-1, :].unflatten(3, (-1, *patch.size))
        return Rows(found, bias, size)

    @property
    def patch(self) -> Window:
        """Of the units' patches."""
        assert self.functions.window is not None
        return self.functions.window

    @functools.cached_property
    def _maps(self) -> Tensor:
        """Coefficients and, last of them, the shift of every unit: (S, B, H', W', C k k + 1, 2 C')."""
        every = torch.cat([self.functions.a.flatten(3, 5), self.functions.bias[..., None, :]], 3)
        maps: Tensor = every.unflatten(2, self.shape[1:])
        return maps

    def _padded(self, pad: Pair) -> Tensor:
        """Zeros around the map of `_maps`."""
        padded: Tensor = F.pad(self._maps, [0, 0, 0, 0, pad[1], pad[1], pad[0], pad[0]])
        return padded


def _signed(a: Tensor) -> Tensor:
    """(..., C', R) -> (..., 2 C', R): how much of every unit, and how much of its negative, is in a function."""
    return torch.cat([a.clamp_min(0), a.neg().clamp_min_(0)], -2)
