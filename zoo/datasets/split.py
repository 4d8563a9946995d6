"""`Split`: the images of a data set, whatever holds them, and the one place where indices become pixels."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.datasets.arrays import require_bright, require_classes
from zoo.datasets.files import SplitName
from zoo.datasets.images import LazyImages
from zoo.datasets.registry import dataset_spec
from zoo.datasets.spec import DatasetSpec
from zoo.seeding import private_generator

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Split:
    """images: (N, C, H, W) uint8, float32 in [0, 1], or read when asked for. labels: (N,) int64.

    fingerprint: sha256 of the content.
    Raises ValueError for images of another shape, type or range, or not as many labels: pixels that are divided by 255
    twice make any network look weak.
    """

    dataset: str
    name: SplitName
    images: NDArray[Any] | LazyImages
    labels: NDArray[np.int64]
    fingerprint: str

    def __post_init__(self) -> None:
        where, images, labels = f"{self.dataset} {self.name}", self.images, self.labels
        if images.dtype not in (np.uint8, np.float32):
            raise ValueError(
                f"{where}: pixels are {images.dtype}; they must be uint8 from 0 to 255 (round x * 255), or float32 "
                "from 0 to 1"
            )
        if len(images.shape) != 4:
            raise ValueError(f"{where}: images of shape {images.shape}; they must be (N, C, H, W)")
        if len(labels) != len(images) or not len(images):
            raise ValueError(f"{where}: {len(labels)} labels for {len(images)} images")
        if isinstance(images, np.ndarray):
            require_bright(float(images.max()), images.dtype, where)

    def __len__(self) -> int:
        return len(self.labels)

    def pixels(self, indices: Any = slice(None)) -> Tensor:
        """(B, C, H, W) float32 in [0, 1]: the images with these indices (sequence, array or slice), all by default.

        A copy. Raises ValueError for an image that is read here and cannot be, or is another than it was.
        """
        import torch

        chosen = self.images[indices]
        found = torch.from_numpy(chosen if chosen.base is None else chosen.copy())
        return found.float() / 255 if found.dtype == torch.uint8 else found

    def sample(self, count: int, purpose: str) -> tuple[Tensor, Tensor]:
        """(count, C, H, W) random images in [0, 1], the same for the same purpose, and their labels.

        Raises ValueError for more images than there are.
        """
        import torch

        if count > len(self):
            raise ValueError(f"{self.dataset} has {len(self)} {self.name} images; {count} are too many")
        chosen = torch.randperm(len(self), generator=private_generator(purpose))[:count].numpy()
        return self.pixels(chosen), torch.from_numpy(self.labels[chosen])


def load_split(name: str, split: SplitName, root: Path | None = None, download: bool = False) -> Split:
    """One split of a data set, verified. A user's own has one, `test`.

    Raises DataNotFoundError where files are missing, ValueError naming the file where one is damaged.
    """
    return read_split(dataset_spec(name), split, root, download)


@functools.lru_cache(maxsize=4)
def read_split(spec: DatasetSpec, split: SplitName, root: Path | None = None, download: bool = False) -> Split:
    """As `load_split`, by what is known of the data set: another one of the same name is read anew."""
    found = Split(spec.name, split, *spec.read(spec.name, split, root, download))
    require_classes(found.labels, spec.classes, f"{spec.name} {split}")
    return found
