"""The data sets: what they are, where they are found, and that they are what they claim to be.

MNIST's test split is bundled. The rest is read from `root`, in torchvision's layout or flat, and fetched through
torchvision when `download` is set. Every file is checked against a published checksum before it is used; the
fingerprint of what was read goes into every record.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.datasets import cifar, idx, jpeg
from zoo.datasets.files import BUNDLED, Content, DataNotFoundError, SplitName
from zoo.lookup import lookup
from zoo.seeding import private_generator

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "BUNDLED",
    "DATASETS",
    "DataNotFoundError",
    "DatasetSpec",
    "Split",
    "SplitName",
    "dataset_spec",
    "load_split",
]


@dataclass(frozen=True)
class DatasetSpec:
    """shape: (C, H, W) of an image. mean, std: per channel, of training pixels in [0, 1].

    read: from name, split, root and whether to download to its content, verified.
    """

    name: str
    shape: tuple[int, int, int]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    read: Callable[[str, SplitName, Path | None, bool], Content]


@dataclass(frozen=True)
class Split:
    """images: (N, C, H, W) uint8. labels: (N,) int64. fingerprint: sha256 of the content.

    Raises ValueError for images or labels of another shape, type or range: pixels that are divided by 255 twice make
    any network look weak.
    """

    dataset: str
    name: SplitName
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    fingerprint: str

    def __post_init__(self) -> None:
        where, images, labels = f"{self.dataset} {self.name}", self.images, self.labels
        if images.dtype != np.uint8:
            raise ValueError(f"{where}: pixels are {images.dtype}; they must be uint8 from 0 to 255 (round x * 255)")
        if images.ndim != 4:
            raise ValueError(f"{where}: images of shape {images.shape}; they must be (N, C, H, W)")
        if len(labels) != len(images) or not len(images):
            raise ValueError(f"{where}: {len(labels)} labels for {len(images)} images")
        if (largest := int(images.max())) <= 1:
            raise ValueError(
                f"{where}: the largest pixel is {largest}, as of images that were divided by 255; give 0 to 255"
            )
        if self.dataset in DATASETS and not (labels.min() >= 0 and labels.max() < DATASETS[self.dataset].classes):
            found, last = f"{labels.min()} to {labels.max()}", DATASETS[self.dataset].classes - 1
            raise ValueError(f"{where}: labels from {found}; they must be class numbers from 0 to {last}")

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, count: int, purpose: str) -> tuple[Tensor, Tensor]:
        """(count, C, H, W) random images in [0, 1], the same for the same purpose, and their labels.

        Raises ValueError for more images than there are.
        """
        import torch

        if count > len(self):
            raise ValueError(f"{self.dataset} has {len(self)} {self.name} images; {count} are too many")
        chosen = torch.randperm(len(self), generator=private_generator(purpose))[:count].numpy()
        return torch.from_numpy(self.images[chosen]).float() / 255, torch.from_numpy(self.labels[chosen])


_CIFAR10_STATS = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
DATASETS = {
    spec.name: spec
    for spec in (
        DatasetSpec("mnist", (1, 28, 28), 10, (0.1307,), (0.3081,), idx.load),
        DatasetSpec("fashion-mnist", (1, 28, 28), 10, (0.2860,), (0.3530,), idx.load),
        DatasetSpec("notmnist", (1, 28, 28), 10, (0.4266,), (0.4589,), idx.load),
        DatasetSpec("cifar10", (3, 32, 32), 10, *_CIFAR10_STATS, cifar.load),
        DatasetSpec("cifar10-jpeg", (3, 32, 32), 10, *_CIFAR10_STATS, jpeg.load),
        DatasetSpec("cifar100", (3, 32, 32), 100, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762), cifar.load),
    )
}


def dataset_spec(name: str) -> DatasetSpec:
    """Raises KeyError, with suggestions, for a data set that does not exist."""
    return lookup(DATASETS, name, "data set")


@functools.lru_cache(maxsize=4)
def load_split(name: str, split: SplitName, root: Path | None = None, download: bool = False) -> Split:
    """One split of a data set, verified.

    Raises DataNotFoundError where files are missing, ValueError naming the file where one is damaged.
    """
    return Split(name, split, *dataset_spec(name).read(name, split, root, download))
