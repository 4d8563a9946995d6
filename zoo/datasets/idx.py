"""MNIST, and data sets in its format: IDX files, plain or compressed."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.datasets.files import (
    BUNDLED,
    Content,
    DataNotFoundError,
    SplitName,
    content_of,
    download_errors,
    not_found,
    required_root,
    verify,
)

_FILES: dict[SplitName, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
# md5 of the decompressed file
_MD5 = {
    "mnist": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    # letters A to J, github.com/davidflanagan/notMNIST-to-MNIST; the test images only
    "notmnist": {
        "t10k-images-idx3-ubyte": "1e78b07d677d6e4de2c8857bafff012e",
        "t10k-labels-idx1-ubyte": "b10b3ef34b4e468313a7b24c216c6a53",
    },
}
_TORCHVISION_FOLDER = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw"}


def load(name: str, split: SplitName, root: Path | None, download: bool) -> Content:
    """A split of MNIST, or of a data set in its format."""
    if not set(_FILES[split]) <= set(_MD5[name]):
        raise DataNotFoundError(f"{name}: no {split} images of it are known")
    try:
        paths = [_find_idx(name, file, root) for file in _FILES[split]]
    except DataNotFoundError:
        if not download or name not in _TORCHVISION_FOLDER:
            raise
        import torchvision

        kind = {"mnist": torchvision.datasets.MNIST, "fashion-mnist": torchvision.datasets.FashionMNIST}[name]
        with download_errors(name):
            kind(required_root(name, root), train=split == "train", download=True)
        paths = [_find_idx(name, file, root) for file in _FILES[split]]
    images, labels = (_read_idx(path, _MD5[name][path.name.removesuffix(".gz")]) for path in paths)
    return content_of(images[:, None], labels.astype(np.int64))


def _find_idx(name: str, file: str, root: Path | None) -> Path:
    folders = [] if root is None else [root, root / name, root / _TORCHVISION_FOLDER.get(name, name)]
    candidates = [folder / (file + end) for folder in (*folders, BUNDLED / name) for end in (".gz", "")]
    for path in candidates:
        # A flat root may hold the files of another IDX data set, which have the same names.
        if path.is_file() and not (path.parent == root and _is_other_idx(name, path)):
            return path
    raise not_found(name, candidates[:-2], root)


def _is_other_idx(name: str, path: Path) -> bool:
    file = path.name.removesuffix(".gz")
    others = {files[file] for other, files in _MD5.items() if other != name and file in files}
    return hashlib.md5(_decompressed(path), usedforsecurity=False).hexdigest() in others


def _decompressed(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is truncated or damaged ({error}); delete it and fetch it again") from error


def _read_idx(path: Path, md5: str) -> NDArray[np.uint8]:
    content = _decompressed(path)
    verify(path, content, md5)
    dimensions = struct.unpack_from(f">{content[3]}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(dimensions)).reshape(dimensions)
