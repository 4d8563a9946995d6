"""`Data`: a user's own images, from arrays, a folder, or a data set of torch or Hugging Face."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from zoo.datasets.arrays import (
    Channels,
    as_array,
    as_labels,
    as_pixels,
    channels_first,
    number_of_classes,
    require_bright,
    require_classes,
)
from zoo.datasets.columns import Columns
from zoo.datasets.files import Content, DataNotFoundError, SplitName
from zoo.datasets.folder import class_files
from zoo.datasets.images import FileImages, ItemImages, LazyImages
from zoo.datasets.spec import DatasetSpec, Shape, checked_eps, default_eps


class About(TypedDict, total=False):
    """What a user may say of a data set; see `Data`."""

    name: str
    classes: int | Sequence[str] | None
    eps: Mapping[str, Sequence[float]] | None
    mean: Sequence[float] | None
    std: Sequence[float] | None


@dataclass(frozen=True, eq=False, repr=False)
class Data:
    """Images to attack, with their labels: what `evaluate(net, data)` takes and `register_dataset` names.

    It is made by `from_arrays`, `from_folder`, `from_torch` or `from_hugging_face`, which all take:
    name: of the data set in entries and tables.
    classes: how many there are, or their names by label; by default what the source says, or the largest label + 1.
    eps: norm (linf, l2) -> radii, for pixels in [0, 1]; a norm that is left out has those of
        `zoo.datasets.spec.default_eps`: CIFAR's, in l2 scaled by the square root of the number of pixels.
    mean, std: per channel, of training pixels in [0, 1], which the zoo's own architectures normalise by; 0 and 1 by
        default. A user's network says `normalize=` itself.

    images: (N, C, H, W) uint8, float32 in [0, 1], or read when asked for. labels: (N,) int64.
    fingerprint: sha256 of the content, a part of every record. spec: what suites and networks are told.
    Raises ValueError, in a line with the value and the remedy, for what cannot be attacked.
    """

    images: NDArray[Any] | LazyImages
    labels: NDArray[np.int64]
    fingerprint: str
    _: KW_ONLY
    name: str = "data"
    classes: int | Sequence[str] | None = None
    eps: Mapping[str, Sequence[float]] | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    spec: DatasetSpec = field(init=False)

    def __post_init__(self) -> None:
        require_name(self.name)
        if not len(self.images):
            raise ValueError(f"{self.name}: an empty set; give at least one image")
        classes, names = number_of_classes(self.labels, self.classes)
        require_classes(self.labels, classes, self.name)
        if classes < 2:
            raise ValueError(f"{self.name}: one class only; say classes=, at least 2, if images of others are missing")
        shape: Shape = self.images.shape[1:]
        eps = {**default_eps(shape), **checked_eps(self.eps, self.name)}
        mean, std = self._statistics(shape[0])
        spec = DatasetSpec(self.name, shape, classes, mean, std, self._read, eps, names)
        object.__setattr__(self, "spec", spec)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        shape, eps = "x".join(map(str, self.spec.shape)), self.spec.eps
        radii = "; ".join(f"{norm} {', '.join(f'{radius:.3g}' for radius in eps[norm])}" for norm in eps)
        return f"{self.name}: {len(self)} images of {shape}, {self.spec.classes} classes; eps {radii}"

    @classmethod
    def from_arrays(cls, x: Any, y: Any, *, channels: Channels | None = None, **about: Unpack[About]) -> Data:
        """From arrays or tensors in memory, which are copied.

        x: (N, C, H, W), (N, H, W, C) or (N, H, W), uint8 or floats in [0, 1]; float64 becomes float32.
        y: (N,) integers. channels: `first` or `last`, where one or three of them do not show it by the shape.
        """
        pixels = as_pixels(channels_first(as_array(x, "x"), channels, "x"), "x")
        images = np.array(pixels, order="C")  # as they are now, whatever the user does with his own
        labels = as_labels(y, len(images), "y")
        if len(images):
            require_bright(float(images.max()), images.dtype, "x")
        digest = hashlib.sha256(f"{images.dtype} {images.shape}".encode())
        digest.update(images.data)
        digest.update(labels.data)
        return cls(images, labels, digest.hexdigest(), **about)

    @classmethod
    def from_folder(
        cls, path: str | os.PathLike[str], size: int | None = None, *, grey: bool = False, **about: Unpack[About]
    ) -> Data:
        """From a folder with a sub-folder for every class; an image is decoded by Pillow when it is attacked.

        size: the short side is scaled to it (bilinear), and the square in the middle is cut out; without it all images
            must have one size. grey: one channel in place of three. name: by default the folder's.
        classes: the sub-folders in the order of the labels; by default sorted by name.
        """
        folder = Path(path).resolve()
        names, labels, about["classes"] = class_files(folder, about.get("classes"))
        images = FileImages(folder, names, size, grey=grey)
        about.setdefault("name", folder.name)
        return cls(images, labels, images.fingerprint, **about)

    @classmethod
    def from_torch(
        cls, dataset: Any, size: int | None = None, *, channels: Channels | None = None, **about: Unpack[About]
    ) -> Data:
        """From what has a length and gives (image, label) by index: a data set of torchvision, a `TensorDataset`.

        Every image is read once here, for the fingerprint, and again when it is attacked. It must then be the same.
        size: of PIL images, as for `from_folder`. channels: where arrays and tensors have them.
        """
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            remedy = "loader.dataset" if hasattr(dataset, "dataset") else "a list of (image, label), or arrays"
            raise ValueError(
                f"{type(dataset).__name__} gives no image by index, and may give others each time: give {remedy}"
            )
        images = ItemImages(dataset, size, channels)
        return cls(images, images.labels, images.fingerprint, **about)

    @classmethod
    def from_hugging_face(
        cls,
        split: Any,
        image: str | None = None,
        label: str | None = None,
        *,
        size: int | None = None,
        channels: Channels | None = None,
        **about: Unpack[About],
    ) -> Data:
        """From one split of Hugging Face's `datasets`, not streamed; otherwise as `from_torch`.

        image, label: columns; by default the one image and the one class label that there are.
        """
        columns = Columns(split, image, label)
        about.setdefault("classes", columns.classes)
        return cls.from_torch(columns, size, channels=channels, **about)

    def _statistics(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        mean, std = tuple(self.mean or [0.0] * channels), tuple(self.std or [1.0] * channels)
        if len(mean) != channels or len(std) != channels or min(std) <= 0:
            raise ValueError(f"{self.name}: mean {mean}, std {std}; give {channels} numbers for each, std > 0")
        return mean, std

    def _read(self, name: str, split: SplitName, root: Path | None, download: bool) -> Content:
        if split != "test":
            raise DataNotFoundError(f"{name}: an own data set has the images that are attacked, and no {split} split")
        return self.images, self.labels, self.fingerprint


def require_name(name: str) -> None:
    """Raises ValueError for what cannot be the name of a data set, which is the first part of its entries'."""
    if not name or not name.strip() or set(name) & set("/:,"):
        raise ValueError(f"{name!r} cannot be the name of a data set; give a word without / : and commas, as name=")
