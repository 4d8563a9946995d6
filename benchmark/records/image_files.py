"""Files of adversarial images: safetensors, or NumPy's npz, with the indices of the examples that they are made from.

`images`: (N, C, H, W), floating point in [0, 1] or uint8. `indices`: (N,) into the test split. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from zoo.files import write_whole

LARGEST, SMALLEST = 2.0, -1.0  # what lies beyond is on another scale, not a rounding or a step too far


@dataclass(frozen=True, eq=False)
class ImageFile:
    """images: (N, C, H, W) float32. indices: into the test split, each once. about: what the file says of itself.

    sha256: of the file.
    """

    path: Path
    images: NDArray[np.float32]
    indices: list[int]
    about: Mapping[str, str]
    sha256: str


def write_images(path: Path, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, str]) -> None:
    """Write arrays, `images` and `indices` among them, as safetensors. about: metadata, such as model and dataset."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_whole(path, safetensors.numpy.save(contiguous, dict(about)))


def read_images(path: Path) -> ImageFile:
    """Raises ValueError, naming the file and the remedy, for what holds no images and indices as above."""
    if not path.is_file():
        raise ValueError(f"{path} is no file: name a safetensors or npz file of images and indices")
    with path.open("rb") as opened:
        is_archive = opened.read(2) == b"PK"
        opened.seek(0)
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    try:
        arrays, about = _npz(path) if is_archive else _safetensors(path)
    except (ValueError, EOFError, TypeError, zipfile.BadZipFile, safetensors.SafetensorError) as error:
        raise ValueError(f"{path} is no readable safetensors or npz file of plain arrays: {error}") from error
    if missing := [name for name in ("images", "indices") if name not in arrays]:
        has = ", ".join(sorted(arrays)) or "none"
        raise ValueError(f"{path} lacks {' and '.join(missing)}; it must hold images and indices, and has {has}")
    return ImageFile(path, _pixels(path, arrays["images"]), _indices(path, arrays), about, sha256)


def _npz(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    with np.load(path, allow_pickle=False) as opened:
        return {name: opened[name] for name in opened.files if name in ("images", "indices")}, {}


def _safetensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    with safetensors.safe_open(path, "np") as opened:
        names = [name for name in opened.keys() if name in ("images", "indices")]  # noqa: SIM118 - it is no mapping
        return {name: opened.get_tensor(name) for name in names}, opened.metadata() or {}


def _pixels(path: Path, images: NDArray[Any]) -> NDArray[np.float32]:
    """Float32 pixels in or near [0, 1]. Raises ValueError for other types, no numbers, and another scale."""
    if images.dtype == np.uint8:
        images = images.astype(np.float32) / np.float32(255)
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"{path}: images are {images.dtype}; they must be floating point in [0, 1], or uint8")
    if images.ndim != 4 or not images.size:
        raise ValueError(f"{path}: images of shape {images.shape}; they must be (N, C, H, W), at least one")
    if odd := int((~np.isfinite(images)).any((1, 2, 3)).sum()):
        raise ValueError(f"{path}: {odd} of {len(images)} images hold NaN or infinite pixels: leave them out")
    low, high = float(images.min()), float(images.max())
    if low < SMALLEST or high > LARGEST:
        raise ValueError(
            f"{path}: pixels from {low:.3g} to {high:.3g}; they must be in [0, 1]: undo a normalisation, divide by 255"
        )
    return np.asarray(images, np.float32)


def _indices(path: Path, arrays: Mapping[str, NDArray[Any]]) -> list[int]:
    """Raises ValueError unless there is one integer for each image, and none twice."""
    indices, count = arrays["indices"], len(arrays["images"])
    if not np.issubdtype(indices.dtype, np.integer) or indices.shape != (count,):
        raise ValueError(
            f"{path}: indices are {indices.dtype} of shape {indices.shape}; there must be an integer for each of the "
            f"{count} images"
        )
    values, counts = np.unique(indices, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"{path}: index {values[counts > 1][0]} is there twice: keep one image of each example")
    return [int(index) for index in indices]
