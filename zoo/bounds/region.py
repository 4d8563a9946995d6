"""The images that an attack may choose from: a ball around each image, cut by the box of pixels [0, 1]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.bounds.rows import Interval, Rows

NORMS = ("linf", "l2")
HALVINGS = 26  # of the logarithm of the multiplier, whose range is a factor of 2^RANGE: what is left costs 1e-12
RANGE = 26.0


@dataclass(frozen=True)
class Region:
    """images: (B, C, H, W), pixels from 0 to 1. Raises ValueError for others, for another norm and a negative eps."""

    images: Tensor
    eps: float
    norm: str

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise ValueError(f"no norm {self.norm!r}; bounds are for: {', '.join(NORMS)}")
        if not 0 <= self.eps < math.inf:
            raise ValueError(f"eps must be a finite number of at least 0, not {self.eps}")
        if self.images.ndim < 2 or not len(self.images):
            raise ValueError(f"images are (B, C, H, W) with at least one, not {tuple(self.images.shape)}")
        # a comparison that is False for NaN
        if not bool(((self.images >= 0) & (self.images <= 1)).all()):
            raise ValueError(
                "images must have pixels from 0 to 1: normalise inside the network (zoo.layers.Preprocess)"
            )

    @property
    def box(self) -> Interval:
        """The smallest and the largest value of every pixel, (1, B, C, H, W)."""
        lower, upper = (self.images - self.eps).clamp_min(0), (self.images + self.eps).clamp_max(1)
        return Interval(lower[None], upper[None])

    def least(self, rows: Rows, exact: bool = False) -> Tensor:
        """The least value, or a bound below it, of functions of the pixels: (S, B, P, R).

        linf: exact, the region is a box. l2: the better of the ball's dual norm and of the box, max(a x - eps |a|_2,
        least in the box); `exact`: the least value in both, by its one-dimensional dual.
        """
        in_box = rows.least(self.box)
        if self.norm == "linf":
            return in_box
        if exact:
            return torch.maximum(in_box, self._dual(rows))
        rows = rows.inside(tuple(self.images.shape[1:]))
        length = torch.linalg.vector_norm(rows.a.flatten(3, -2), dim=-2)
        at_images = rows.bias + rows.dot(rows.a, rows.facing(self.images[None]))
        return torch.maximum(in_box, at_images - self.eps * length)

    def _dual(self, rows: Rows) -> Tensor:
        """The least value over ball and box, by weak duality.

        With d = x' - x in [lo, hi] and |d|_2 <= eps, for any t > 0 no value a d is below

            min over d in [lo, hi] of a d + (|d|^2 - eps^2) / 2t, which is at d = clip(-t a, lo, hi).

        The largest of these bounds, the least value itself, is where |d| = eps: t is found by halving its range, and
        whatever it is found to be the bound holds.
        """
        a = rows.a.flatten(3, -2)  # (S, B, P, D, R)
        lower, upper = (rows.facing(side - self.images[None]).flatten(3, -2) for side in self.box)
        length = torch.linalg.vector_norm(a, dim=-2, keepdim=True)
        start = self.eps / length.clamp_min(torch.finfo(a.dtype).tiny ** 0.5)  # |t a| = eps: within the ball
        low, high = torch.zeros_like(start), torch.full_like(start, RANGE)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            moved = torch.minimum(torch.maximum(-a * (start * middle.exp2()), lower), upper)
            inside = torch.linalg.vector_norm(moved, dim=-2, keepdim=True) <= self.eps
            low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
        t = start * low.exp2()
        moved, t = torch.minimum(torch.maximum(-a * t, lower), upper), t[..., 0, :]
        slack = (moved.square().sum(-2) - self.eps**2) / (2 * t).clamp_min(torch.finfo(a.dtype).tiny)
        at_images = rows.bias + rows.dot(rows.a, rows.facing(self.images[None]))
        return torch.where(t > 0, at_images + (a * moved).sum(-2) + slack, at_images)
