"""Balls around images, in linf and l2, and the box [0, 1] of pixels."""

from __future__ import annotations

from torch import Tensor

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import ThreatModel

ROUNDING = 5e-7  # of float32, in a distance or a pixel; half of what the judge allows


def distances(x: Tensor, moved: Tensor, norm: Norm) -> Tensor:
    """(B,) distances of images (B, ...) in float64."""
    difference = (moved.double() - x.double()).flatten(1)
    return difference.abs().amax(1) if norm == "linf" else difference.norm(dim=1)


def in_box(images: Tensor) -> Tensor:
    """(B,) whether all pixels are numbers from 0 to 1, up to rounding."""
    flat = images.flatten(1)
    return (flat.amin(1) >= -ROUNDING) & (flat.amax(1) <= 1 + ROUNDING)  # false for NaN


def lengths(images: Tensor) -> Tensor:
    """(B, 1, ...) l2 norms of a batch (B, ...), as torch rounds them."""
    norms: Tensor = images.flatten(1).norm(dim=1)
    return norms.view(-1, *[1] * (images.ndim - 1))


def unit(direction: Tensor, norm: Norm) -> Tensor:
    """(B, ...) directions of length one in the norm, in linf a corner of the ball; zero stays zero."""
    return direction.sign() if norm == "linf" else direction / lengths(direction).clamp_min(1e-30)


def within(images: Tensor, x: Tensor, threat: ThreatModel) -> Tensor:
    """(B, ...) images brought into the ball around x (B, ...), and then into the box."""
    step = images - x
    if threat.norm == "linf":
        step = step.clamp(-threat.eps, threat.eps)
    else:
        step = step * (threat.eps / lengths(step).clamp_min(1e-30)).clamp_max(1)
    return (x + step).clamp(0, 1)
