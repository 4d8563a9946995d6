"""Images that a network was not trained on: other data sets, noise, and its own test images turned."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from zoo.datasets import DATASETS, DatasetSpec, load_split
from zoo.seeding import private_generator

NOISES = ("gaussian-noise", "uniform-noise")


def strange_images(kind: str, spec: DatasetSpec, own: Tensor, root: Path | None, download: bool = False) -> Tensor:
    """As many images as `own`, of its shape (N, C, H, W), float32 pixels.

    kind: a data set, whose first N test images are taken; `gaussian-noise`, standard normal pixels as the tutorial
    "Weight Uncertainty in Neural Networks" shows its networks (outside [0, 1], too); `uniform-noise`, from [0, 1];
    `rotated-D`, `own` turned by D degrees.
    Raises ValueError for a kind that does not exist or that has images of another shape.
    """
    if kind in NOISES:
        draw = torch.randn if kind == "gaussian-noise" else torch.rand
        return draw(own.shape, generator=private_generator("uncertainty", kind, *own.shape))
    if kind.startswith("rotated-"):
        return _rotated(own, kind.removeprefix("rotated-"))
    if kind not in DATASETS:
        kinds = ", ".join((*DATASETS, *NOISES, "rotated-DEGREES"))
        raise ValueError(f"no images {kind!r} to hold against; there are: {kinds}")
    if DATASETS[kind].shape != spec.shape:
        raise ValueError(f"{kind} has images of shape {DATASETS[kind].shape}, {spec.name} of shape {spec.shape}")
    split = load_split(kind, "test", root, download)
    return split.pixels(slice(len(own)))


def _rotated(images: Tensor, degrees: str) -> Tensor:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import rotate

    try:
        angle = float(degrees)
    except ValueError:
        angle = math.nan
    if not math.isfinite(angle):
        raise ValueError(f"rotated-{degrees}: {degrees!r} is not a number of degrees")
    turned: Tensor = rotate(images, angle, InterpolationMode.BILINEAR)
    return turned
