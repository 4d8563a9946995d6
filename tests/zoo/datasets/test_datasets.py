"""Data: what is bundled is MNIST, what is damaged is named."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import shutil
import struct
from pathlib import Path

import foolbox
import numpy as np
import pytest
import torchvision

from zoo.datasets import BUNDLED, DATASETS, DataNotFoundError, idx, jpeg, load_split


@pytest.fixture(autouse=True)
def uncached() -> None:
    load_split.cache_clear()


def test_the_bundled_split_is_mnists_test_split() -> None:
    split = load_split("mnist", "test")
    assert (split.images.shape, split.images.dtype) == ((10_000, 1, 28, 28), np.uint8)
    # class counts of the published test split
    assert np.bincount(split.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_the_images_and_labels_go_together_as_in_foolboxs_samples() -> None:
    """foolbox ships a few lossless MNIST images with labels: each must be in the split, with that label."""

    class Bounds:
        bounds, dummy = (0, 255), None

    samples = Path(foolbox.__file__).parent / "data"
    split = load_split("mnist", "test")
    found = {split.images[i].tobytes(): int(split.labels[i]) for i in range(len(split))}
    from PIL import Image

    checked = 0
    for path in sorted(samples.glob("mnist_*.png")):
        label = int(path.stem.split("_")[-1])
        checked += found.get(np.asarray(Image.open(path)).tobytes()) == label
    assert checked >= 10


@pytest.fixture
def own_copy(tmp_path: Path) -> Path:
    shutil.copytree(BUNDLED / "mnist", tmp_path / "mnist")
    return tmp_path


def test_flat_nested_and_decompressed_layouts_are_found(own_copy: Path) -> None:
    expected = load_split("mnist", "test").fingerprint
    raw = own_copy / "torchvision" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (own_copy / "mnist").glob("*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    for root in (own_copy, own_copy / "mnist", own_copy / "torchvision"):
        assert load_split("mnist", "test", root).fingerprint == expected


def test_a_flat_folder_of_any_name_is_read_or_refused_but_never_passed_over(own_copy: Path) -> None:
    flat = own_copy / "flat"
    (own_copy / "mnist").rename(flat)
    assert load_split("mnist", "test", flat).fingerprint == load_split("mnist", "test").fingerprint
    with pytest.raises(DataNotFoundError, match="fashion-mnist not found"):
        load_split("fashion-mnist", "test", flat)  # the same file names, another data set
    load_split.cache_clear()
    victim = flat / "t10k-images-idx3-ubyte.gz"
    victim.write_bytes(victim.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"flat/t10k-images"):
        load_split("mnist", "test", flat)


@pytest.fixture
def train_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three random training images in MNIST's format, under MNIST's names and with its checksums."""
    rng, folder = np.random.default_rng(0), tmp_path / "train"
    folder.mkdir()
    arrays = rng.integers(0, 256, (3, 28, 28), dtype=np.uint8), np.array([3, 1, 2], dtype=np.uint8)
    for file, values in zip(idx._FILES["train"], arrays, strict=True):
        content = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()
        (folder / f"{file}.gz").write_bytes(gzip.compress(content))
        monkeypatch.setitem(idx._MD5["mnist"], file, hashlib.md5(content).hexdigest())
    return folder


def test_training_images_are_found_flat_too(train_files: Path) -> None:
    split = load_split("mnist", "train", train_files)
    assert split.images.shape == (3, 1, 28, 28)
    assert split.labels.tolist() == [3, 1, 2]
    for name, message in (("fashion-mnist", "fashion-mnist not found"), ("notmnist", "no train images of it")):
        with pytest.raises(DataNotFoundError, match=message):
            load_split(name, "train", train_files)
    victim = train_files / f"{idx._FILES['train'][0]}.gz"
    victim.write_bytes(gzip.compress(gzip.decompress(victim.read_bytes())[:-1]))
    load_split.cache_clear()
    with pytest.raises(ValueError, match=rf"{victim.name} has md5"):
        load_split("mnist", "train", train_files)


def test_a_flat_folder_of_fashion_mnists_files_holds_no_mnist(
    train_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_mnist = idx._MD5["mnist"]
    for file in idx._FILES["train"]:
        monkeypatch.setitem(idx._MD5["fashion-mnist"], file, of_mnist[file])
        monkeypatch.setitem(of_mnist, file, "0" * 32)
    assert len(load_split("fashion-mnist", "train", train_files)) == 3
    with pytest.raises(DataNotFoundError, match=r"^mnist not found; looked for .*add --download"):
        load_split("mnist", "train", train_files)


def test_the_full_training_images_are_found_flat(shared_data: Path, tmp_path: Path) -> None:
    nested = load_split("mnist", "train", shared_data)
    for path in (shared_data / "mnist").glob("train-*"):
        shutil.copy(path, tmp_path)
    assert load_split("mnist", "train", tmp_path).fingerprint == nested.fingerprint
    with pytest.raises(DataNotFoundError, match="fashion-mnist not found"):
        load_split("fashion-mnist", "train", tmp_path)


def test_nothing_is_downloaded_that_is_at_hand_and_a_failed_download_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise RuntimeError("no route to host")

    monkeypatch.setattr(torchvision.datasets, "MNIST", offline)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", offline)
    assert len(load_split("mnist", "test", None, True)) == 10_000
    assert len(load_split("mnist", "test", tmp_path, True)) == 10_000
    for name, split in (("mnist", "train"), ("cifar10", "test")):
        with pytest.raises(ValueError, match=f"{name} could not be downloaded.*no route"):
            load_split(name, split, tmp_path, True)


@pytest.mark.parametrize("damage", [lambda b: b[:-20], lambda b: b[:1000], lambda b: b"", lambda b: b"x" * 100])
def test_a_truncated_file_is_named(own_copy: Path, damage: object) -> None:
    path = own_copy / "mnist" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte\.gz"):
        load_split("mnist", "test", own_copy)


def test_a_wrong_file_is_named(own_copy: Path) -> None:
    """Intact, but not the published content: one label changed."""
    path = own_copy / "mnist" / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[100] = (content[100] + 1) % 10
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte\.gz has md5"):
        load_split("mnist", "test", own_copy)


def test_missing_data_say_where_they_were_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="--data-root"):
        load_split("mnist", "train")
    for name in ("fashion-mnist", "cifar10", "cifar100", "cifar10-jpeg"):
        with pytest.raises(DataNotFoundError, match="--data-root"):
            load_split(name, "test")
        with pytest.raises(DataNotFoundError, match=str(tmp_path)):
            load_split(name, "test", tmp_path)
    with pytest.raises(KeyError, match="mnist"):
        load_split("minst", "test")


def write_cifar(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """CIFAR in torchvision's layout with three random images a file, and checksums to match."""
    kind = {"cifar10": torchvision.datasets.CIFAR10, "cifar100": torchvision.datasets.CIFAR100}[name]
    base = folder / kind.base_folder
    base.mkdir()
    rng = np.random.default_rng(0)
    labels = "labels" if name == "cifar10" else "fine_labels"
    lists: dict[str, list[list[str]]] = {"train_list": [], "test_list": []}
    images = None
    for which, files in lists.items():
        for file, _ in getattr(kind, which):
            images = rng.integers(0, 256, (3, 3072), dtype=np.uint8)
            content = pickle.dumps({"data": images, labels: [1, 2, 3]})
            (base / file).write_bytes(content)
            files.append([file, hashlib.md5(content).hexdigest()])
        monkeypatch.setattr(kind, which, files)
    content = pickle.dumps({kind.meta["key"]: [str(i) for i in range(DATASETS[name].classes)]})
    (base / kind.meta["filename"]).write_bytes(content)
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": hashlib.md5(content).hexdigest()})
    return images


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_is_read_through_torchvision_and_a_damaged_batch_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    images = write_cifar(tmp_path, name, monkeypatch)
    split = load_split(name, "test", tmp_path)
    assert np.array_equal(split.images, images.reshape(3, 3, 32, 32))
    assert split.labels.tolist() == [1, 2, 3]
    load_split.cache_clear()
    victim = next(tmp_path.glob("*/*batch*" if name == "cifar10" else "*/train"))
    victim.write_bytes(victim.read_bytes()[:-1])
    with pytest.raises(ValueError, match=victim.name):
        load_split(name, "test", tmp_path)


def test_cifar10_jpeg_from_archive_and_folder_alike(shared_data: Path, tmp_path: Path) -> None:
    from_archive = load_split("cifar10-jpeg", "test", shared_data)
    assert from_archive.images.shape == (10_000, 3, 32, 32)
    assert np.bincount(from_archive.labels).tolist() == [1000] * 10
    for file, content in jpeg._archive_files(shared_data / "cifar10-jpeg.tar.xz", "test"):
        path = tmp_path / "cifar10-jpeg" / "test" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    from_folder = load_split("cifar10-jpeg", "test", tmp_path)
    assert from_folder.fingerprint == from_archive.fingerprint
    assert np.array_equal(from_folder.images, from_archive.images)
    load_split.cache_clear()
    victim = tmp_path / "cifar10-jpeg" / "test" / "cat" / "0007.jpg"
    victim.unlink()
    with pytest.raises(ValueError, match="999 test images of class 'cat'"):
        load_split("cifar10-jpeg", "test", tmp_path)


def test_a_truncated_archive_is_named(shared_data: Path, tmp_path: Path) -> None:
    archive = tmp_path / "cifar10-jpeg.tar.xz"
    archive.write_bytes((shared_data / archive.name).read_bytes()[:1_000_000])
    with pytest.raises(ValueError, match=r"cifar10-jpeg\.tar\.xz is truncated"):
        load_split("cifar10-jpeg", "test", tmp_path)


def test_the_training_split_is_read_from_a_root(shared_data: Path) -> None:
    split = load_split("mnist", "train", shared_data)
    assert len(split) == 60_000
    assert (split.images / 255).mean() == pytest.approx(DATASETS["mnist"].mean[0], abs=1e-4)
    assert (split.images / 255).std() == pytest.approx(DATASETS["mnist"].std[0], abs=1e-4)
