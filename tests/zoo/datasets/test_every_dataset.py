"""Every data set keeps the contract: the real files where they are at hand, files of the same format elsewhere."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torchvision
from PIL import Image

from tests.zoo.datasets.dataset_contract import DatasetContract, flipped
from tests.zoo.datasets.test_vision import NAMES
from zoo.datasets import BUNDLED, DATASETS, DataNotFoundError, SplitName, idx, jpeg, load_split
from zoo.datasets.table import ROWS

SPLITS: tuple[SplitName, ...] = ("train", "test")
DIGITS = tuple("0123456789")
CIFAR = {"cifar10": torchvision.datasets.CIFAR10, "cifar100": torchvision.datasets.CIFAR100}


def pixels(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


class InIdx(DatasetContract):
    """A data set in MNIST's format, in a folder of its name."""

    def files(self, folder: Path, split: SplitName) -> dict[Path, str]:
        return {folder / self.name / f"{file}.gz": f"{file}.gz" for file in idx._FILES[split]}

    def change_a_pixel(self, folder: Path, split: SplitName, monkeypatch: pytest.MonkeyPatch) -> None:
        path, _ = self.files(folder, split)
        content = bytearray(gzip.decompress(path.read_bytes()))
        content[-1] ^= 1
        path.write_bytes(gzip.compress(content, compresslevel=1))
        monkeypatch.setitem(idx._MD5[self.name], path.stem, md5(content))


class TestBundledMnist(InIdx):
    name, classes, bundled = "mnist", DIGITS, ("test",)
    counts: ClassVar = {"test": 10_000}

    @pytest.fixture
    def folder(self) -> Path:
        return BUNDLED

    def test_it_is_read_without_a_folder_and_has_the_published_numbers_of_each_class(self) -> None:
        counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        assert np.bincount(load_split("mnist", "test").labels).tolist() == counts


class TestMnist(InIdx):
    name, classes, bundled = "mnist", DIGITS, ("test",)
    counts: ClassVar = {"train": 60_000, "test": 10_000}

    @pytest.fixture
    def folder(self, shared_data: Path) -> Path:
        return shared_data

    def test_the_statistics_of_its_row_are_those_of_its_training_images(self, folder: Path) -> None:
        images, spec = load_split(self.name, "train", folder).images / 255, DATASETS[self.name]
        assert (images.mean(), images.std()) == pytest.approx((*spec.mean, *spec.std), abs=1e-4)


class TestNotMnist(InIdx):
    name, classes = "notmnist", tuple("ABCDEFGHIJ")
    counts: ClassVar = {"test": 10_000}

    @pytest.fixture
    def folder(self, shared_data: Path) -> Path:
        return shared_data

    def test_it_says_that_it_has_no_training_images(self, tmp_path: Path) -> None:
        with pytest.raises(DataNotFoundError, match="notmnist: no train images of it are known"):
            load_split("notmnist", "train", tmp_path)


class TestFashionMnist(InIdx):
    """In its format: ten images a split, one of each class, under its names and with checksums to match."""

    name, classes = "fashion-mnist", tuple(torchvision.datasets.FashionMNIST.classes)
    counts: ClassVar = {"train": 20, "test": 10}

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        place = tmp_path / "written"
        for split, count in self.counts.items():
            arrays = pixels(count, 28, 28), (np.arange(count) % 10).astype(np.uint8)
            for path, values in zip(self.files(place, split), arrays, strict=True):
                content = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(gzip.compress(content))
                monkeypatch.setitem(idx._MD5[self.name], path.stem, md5(content))
        return place


class InTorchvisionsLayout(DatasetContract):
    """CIFAR as torchvision keeps it: an image of each class in every file, and checksums to match."""

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        kind, place = CIFAR[self.name], tmp_path / "written"
        base = place / kind.base_folder
        base.mkdir(parents=True)
        labels, count = "labels" if self.name == "cifar10" else "fine_labels", len(self.classes)
        for number, which in enumerate(("train_list", "test_list")):
            files = []
            for file, _ in getattr(kind, which):
                content = pickle.dumps({"data": pixels(count, 3072) ^ number, labels: list(range(count))})
                (base / file).write_bytes(content)
                files.append([file, md5(content)])
            monkeypatch.setattr(kind, which, files)
        content = pickle.dumps({kind.meta["key"]: list(self.classes)})
        (base / kind.meta["filename"]).write_bytes(content)
        monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5(content)})
        return place

    def files(self, folder: Path, split: SplitName) -> dict[Path, str]:
        """All: torchvision verifies both splits and the names before it reads one."""
        kind = CIFAR[self.name]
        names = [file for file, _ in (*kind.train_list, *kind.test_list)] + [kind.meta["filename"]]
        return {folder / kind.base_folder / file: file for file in names}

    def change_a_pixel(self, folder: Path, split: SplitName, monkeypatch: pytest.MonkeyPatch) -> None:
        kind, which = CIFAR[self.name], f"{split}_list"
        file, _ = getattr(kind, which)[0]
        path = folder / kind.base_folder / file
        content = pickle.loads(path.read_bytes())
        content["data"][0, 0] ^= 1
        path.write_bytes(pickle.dumps(content))
        files = [[name, md5((path.parent / name).read_bytes())] for name, _ in getattr(kind, which)]
        monkeypatch.setattr(kind, which, files)

    def test_pixels_are_channels_first(self, folder: Path) -> None:
        file = CIFAR[self.name].test_list[0][0]
        content = pickle.loads((folder / CIFAR[self.name].base_folder / file).read_bytes())
        assert np.array_equal(load_split(self.name, "test", folder).images, content["data"].reshape(-1, 3, 32, 32))


class TestCifar10(InTorchvisionsLayout):
    name, classes = "cifar10", jpeg.CLASSES
    counts: ClassVar = {"train": 50, "test": 10}


class TestCifar100(InTorchvisionsLayout):
    name, classes = "cifar100", tuple(f"class {number}" for number in range(100))
    counts: ClassVar = {"train": 100, "test": 100}


def jpeg_files(images: Sequence[np.ndarray], names: Sequence[str]) -> dict[str, bytes]:
    found = {}
    for number, (image, name) in enumerate(zip(images, names, strict=True)):
        content = io.BytesIO()
        Image.fromarray(image).save(content, "jpeg")
        found[f"{name}/{number:04}.jpg"] = content.getvalue()
    return found


def set_checksum(folder: Path, split: SplitName, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256()
    for file, content in sorted(jpeg._folder_files(folder / "cifar10-jpeg" / split)):
        digest.update(file.encode() + hashlib.sha256(content).digest())
    monkeypatch.setitem(jpeg._SHA256, split, digest.hexdigest())


class TestCifar10JpegFolder(DatasetContract):
    """In its format: unpacked, with an image of each class."""

    name = "cifar10-jpeg"
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    counts: ClassVar = {"train": 10, "test": 10}

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        place = tmp_path / "written"
        for number, split in enumerate(SPLITS):
            for file, content in jpeg_files(pixels(10, 32, 32, 3) ^ number, self.classes).items():
                path = place / self.name / split / file
                path.parent.mkdir(parents=True)
                path.write_bytes(content)
            set_checksum(place, split, monkeypatch)
            monkeypatch.setitem(jpeg._COUNT, split, 1)
        return place

    def files(self, folder: Path, split: SplitName) -> dict[Path, str]:
        return dict.fromkeys((folder / self.name / split).glob("*/*.jpg"), f"{self.name}/{split}")

    def change_a_pixel(self, folder: Path, split: SplitName, monkeypatch: pytest.MonkeyPatch) -> None:
        first = min(self.files(folder, split))
        pixels = np.asarray(Image.open(first)).copy()
        pixels[:8] = 255 - pixels[:8]
        ((_, content),) = jpeg_files([pixels], ["x"]).items()
        first.write_bytes(content)
        set_checksum(folder, split, monkeypatch)

    def test_labels_are_the_folders_in_cifar10s_order(self, folder: Path) -> None:
        split = load_split(self.name, "test", folder)
        for path in self.files(folder, "test"):
            image = np.asarray(Image.open(path)).transpose(2, 0, 1)
            (found,) = np.flatnonzero((split.images == image).all(axis=(1, 2, 3)))
            assert self.classes[split.labels[found]] == path.parent.name


class TestCifar10Jpeg(DatasetContract):
    """The real archive."""

    name, classes = "cifar10-jpeg", TestCifar10JpegFolder.classes
    counts: ClassVar = {"train": 50_000, "test": 10_000}
    slow = ("train",)
    harmless = ("truncated",)  # what is cut off then is the index of the compression; the images have their checksum

    @pytest.fixture
    def folder(self, shared_data: Path) -> Path:
        return shared_data

    def files(self, folder: Path, split: SplitName) -> dict[Path, str]:
        return {folder / jpeg._ARCHIVE: jpeg._ARCHIVE}

    def change_a_pixel(self, folder: Path, split: SplitName, monkeypatch: pytest.MonkeyPatch) -> None:
        """As another decoder might: the archive is what it is."""
        stack = np.stack

        def changed(images: Sequence[np.ndarray]) -> np.ndarray:
            found = stack(images)
            found[0, 0, 0, 0] ^= 1
            return found

        monkeypatch.setattr(jpeg.np, "stack", changed)

    def test_a_bit_turned_early_in_the_archive_is_refused_by_name(self, folder: Path, tmp_path: Path) -> None:
        archive = self.own_copy(folder, "test", tmp_path) / jpeg._ARCHIVE
        archive.write_bytes(flipped(archive.read_bytes(), 5000))
        with pytest.raises(ValueError, match=rf"{jpeg._ARCHIVE} is truncated or damaged"):
            self.load(tmp_path, "test")

    def test_every_class_has_as_many_images(self, folder: Path) -> None:
        assert np.bincount(load_split(self.name, "test", folder).labels).tolist() == [1000] * 10


def test_every_data_set_keeps_the_contract() -> None:
    kept = {found.name for found in globals().values() if isinstance(found, type) and hasattr(found, "counts")}
    assert kept | set(NAMES) == {spec.name for spec in ROWS}  # the others are in `test_vision`
