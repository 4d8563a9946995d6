"""Linear functions of a layer's units, which a backward pass carries to the pixels, and intervals of the units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Pair = tuple[int, int]
Shape = tuple[int, ...]


class Interval(NamedTuple):
    """Bounds of a layer's units, (S, B, ...) each: S networks (1 where all share them), B images."""

    lower: Tensor
    upper: Tensor

    @property
    def shape(self) -> Shape:
        """Of one image's units."""
        return tuple(self.lower.shape[2:])

    @property
    def centre(self) -> Tensor:
        return (self.lower + self.upper) / 2

    @property
    def radius(self) -> Tensor:
        return (self.upper - self.lower) / 2

    def within(self, other: Interval) -> Interval:
        """What is in both. Where rounding leaves nothing, as at eps 0, the lower bound counts as the upper one."""
        lower = torch.maximum(self.lower, other.lower)
        return Interval(lower, torch.maximum(torch.minimum(self.upper, other.upper), lower))


@dataclass(frozen=True)
class Window:
    """The part of a map that one unit of a later map depends on: kernel, stride and padding of the layers between.

    grid: rows and columns of the later map, whose P units each have a window.
    """

    grid: Pair
    size: Pair = (1, 1)
    stride: Pair = (1, 1)
    pad: Pair = (0, 0)

    @property
    def count(self) -> int:
        """P."""
        return self.grid[0] * self.grid[1]

    def before(self, kernel: Pair, stride: Pair, pad: Pair) -> Window:
        """The window on the map before a layer. kernel: with its dilation."""
        axes = (0, 1)
        size = tuple((self.size[i] - 1) * stride[i] + kernel[i] for i in axes)
        pads = tuple(self.pad[i] * stride[i] + pad[i] for i in axes)
        return Window(self.grid, (size[0], size[1]), _times(self.stride, stride), (pads[0], pads[1]))

    def of(self, maps: Tensor) -> Tensor:
        """(..., C, H, W) -> (..., P, C, *size), zeros beyond the map."""
        height, width = self.pad
        padded = F.pad(maps, [width, width, height, height])
        cut = padded.unfold(-2, self.size[0], self.stride[0]).unfold(-2, self.size[1], self.stride[1])
        cut = cut[..., : self.grid[0], : self.grid[1], :, :]  # the map may hold more than the later one looks at
        return cut.movedim(-5, -3).flatten(-5, -4).contiguous()


@dataclass(frozen=True)
class Rows:
    """R linear functions a z + bias of the units z of one layer, for each of P windows, networks and images.

    a: (S, B, P, *shape, R), where S, B and P may be 1 for all: what is alike for all functions is done in one go along
    the last axis. bias: (S, B, P, R). window: None where a function sees the whole map, P = 1.
    Every rule makes of them functions of the layer before that are nowhere larger.
    """

    a: Tensor
    bias: Tensor
    window: Window | None = None

    @property
    def shape(self) -> Shape:
        """Of the units that a function sees."""
        return tuple(self.a.shape[3:-1])

    def facing(self, units: Tensor) -> Tensor:
        """What a layer knows of its units, (S, B, *shape), as a function meets it: (S, B, P, *shape, 1)."""
        seen = units.unsqueeze(2) if self.window is None else self.window.of(units)
        return seen.unsqueeze(-1)

    @staticmethod
    def dot(coefficients: Tensor, units: Tensor) -> Tensor:
        """The sum of coefficients like a times units as of `facing`: (S, B, P, R)."""
        return torch.matmul(units.flatten(3, -2).mT, coefficients.flatten(3, -2))[..., 0, :]

    def least(self, units: Interval) -> Tensor:
        """The least value where every unit is anywhere in its interval: (S, B, P, R)."""
        middle, spread = self.dot(self.a, self.facing(units.centre)), self.dot(self.a.abs(), self.facing(units.radius))
        return self.bias + middle - spread

    def inside(self, shape: Shape) -> Rows:
        """Without what lies beyond the map, which is padding and no unit. shape: of the map."""
        if self.window is None or self.window.pad == (0, 0):
            return self
        return replace(self, a=self.a * self.facing(self.a.new_ones(1, 1, *shape)))


def identity(shape: Shape, like: Tensor, windowed: bool, first: int, count: int) -> Rows:
    """Every unit of a layer and its negative: from their list, `count` functions from `first` on.

    windowed: of a map, one a channel (and its negative) for every window.
    """
    size = shape[0] if windowed else torch.Size(shape).numel()
    every = torch.arange(first, min(first + count, 2 * size), device=like.device)
    a = torch.zeros(size, len(every), dtype=like.dtype, device=like.device)
    a[every % size, torch.arange(len(every))] = torch.where(every < size, 1.0, -1.0).to(like.dtype)
    window = Window((shape[1], shape[2])) if windowed else None
    a = a.view(1, 1, 1, *((size, 1, 1) if windowed else shape), len(every))
    return Rows(a, a.new_zeros(1, 1, 1, len(every)), window)


def _times(one: Pair, other: Pair) -> Pair:
    return one[0] * other[0], one[1] * other[1]


def places(first: Pair, stride: Pair, count: Pair) -> tuple[slice, slice]:
    """Rows and columns of a map: so many from the first on, a stride apart."""
    rows, columns = (slice(at, at + (n - 1) * s + 1, s) for at, s, n in zip(first, stride, count, strict=True))
    return rows, columns


def cropped(a: Tensor, pad: Pair, shape: Shape) -> Tensor:
    """The map (..., H, W, R) of the given shape (C, H, W) within a padded one."""
    height, width = shape[1:]
    return a[..., pad[0] : pad[0] + height, pad[1] : pad[1] + width, :]
