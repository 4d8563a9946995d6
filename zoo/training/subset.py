"""Which images of a training split are trained on, and which are held out for choices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from zoo.datasets import Split
from zoo.seeding import private_generator

HELD_OUT = 0.1


@dataclass(frozen=True)
class Divided:
    """images: (N, C, H, W) uint8 and labels: (N,), to train on. held_out: the part of the split to choose on."""

    images: Tensor
    labels: Tensor
    held_out: Split


def divided(split: Split, images: int | None = None) -> Divided:
    """A tenth held out, `images` of the rest trained on, all by default: a random choice, the same for every network.

    Fewer images are among those of a larger choice. Raises ValueError for more images than there are.
    """
    order = torch.randperm(len(split), generator=private_generator("held out", split.dataset))
    count = int(HELD_OUT * len(split))
    if images is not None and images > len(split) - count:
        raise ValueError(f"{split.dataset} has {len(split) - count} images to train on; {images} are too many")
    held, trained = order[:count].numpy(), order[count:][:images].numpy()
    return Divided(
        torch.from_numpy(split.images[trained]),
        torch.from_numpy(split.labels[trained]),
        replace(split, images=split.images[held], labels=split.labels[held]),
    )
