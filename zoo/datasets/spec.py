"""`DatasetSpec`: what is known of a data set before an image of it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.datasets.files import Content, SplitName
from zoo.numbers import numbers

Shape = tuple[int, int, int]
Eps = Mapping[str, tuple[float, ...]]

NORMS = ("linf", "l2")
MNIST_EPS: Eps = {"linf": (0.1, 0.3), "l2": (1.0, 2.0)}
CIFAR_EPS: Eps = {"linf": (2 / 255, 8 / 255), "l2": (0.25, 0.5)}
_CIFAR_VALUES = 3 * 32 * 32


@dataclass(frozen=True, eq=False)
class DatasetSpec:
    """shape: (C, H, W) of an image. mean, std: per channel, of training pixels in [0, 1].

    read: from name, split, root and whether to download to its content, verified.
    eps: norm -> radii that suites attack with, the smallest first; pixels are in [0, 1].
    class_names: by label; empty where nobody says.
    """

    name: str
    shape: Shape
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    read: Callable[[str, SplitName, Path | None, bool], Content]
    eps: Eps
    class_names: tuple[str, ...] = ()


def default_eps(shape: Shape) -> Eps:
    """For a data set without eps of its own: those of CIFAR, whatever the size of its images.

    In linf 2/255 and 8/255. In l2 0.25 and 0.5 times sqrt(C H W / (3 * 32 * 32)), to two significant digits: as much
    for each pixel, so that 3x48x48 has 0.38 and 0.75, and 3x224x224 has 1.8 and 3.5.
    """
    scale = math.sqrt(math.prod(shape) / _CIFAR_VALUES)
    return {"linf": CIFAR_EPS["linf"], "l2": tuple(float(f"{scale * radius:.2g}") for radius in CIFAR_EPS["l2"])}


def checked_eps(eps: Mapping[str, Sequence[float]] | None, name: str) -> Eps:
    """A user's eps, sorted. Raises ValueError for a norm that there is not, or a radius that is no number > 0."""
    if not isinstance(eps, Mapping | None):
        raise ValueError(f"{name}: eps is norm by norm, such as eps={{'linf': [2/255, 8/255]}}, not {eps!r}")
    found = {norm: tuple(sorted(numbers(radii, f"{name}: eps"))) for norm, radii in (eps or {}).items()}
    for norm, radii in found.items():
        if norm not in NORMS:
            raise ValueError(f"{name}: no norm {norm!r} for eps; there are: {', '.join(NORMS)}")
        if not radii or not all(math.isfinite(radius) and radius > 0 for radius in radii):
            raise ValueError(f"{name}: eps in {norm} must be numbers > 0 such as (2/255, 8/255), not {radii}")
    return found
