"""Where data are found and what is said of them; what every data set promises is in `dataset_contract`."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import struct
from pathlib import Path

import foolbox
import numpy as np
import pytest
import torchvision

from zoo.datasets import BUNDLED, DataNotFoundError, idx, jpeg, load_split, read_split


@pytest.fixture(autouse=True)
def uncached() -> None:
    read_split.cache_clear()


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
    read_split.cache_clear()
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
    read_split.cache_clear()
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


def test_a_download_is_named_where_there_is_one() -> None:
    with pytest.raises(DataNotFoundError, match=r"^cifar10 is not bundled: .*--data-root, or --download$"):
        load_split("cifar10", "train")
    with pytest.raises(DataNotFoundError, match=r"--data-root; the images are those of github\.com/[^ ]*$"):
        load_split("cifar10-jpeg", "train")


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


def test_a_wrong_file_is_named(own_copy: Path) -> None:
    """Intact, but not the published content: one label changed."""
    path = own_copy / "mnist" / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[100] = (content[100] + 1) % 10
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte\.gz has md5"):
        load_split("mnist", "test", own_copy)


def test_a_name_that_is_no_data_sets_is_refused_with_the_nearest() -> None:
    with pytest.raises(KeyError, match="did you mean mnist"):
        load_split("minst", "test")


def test_cifar10_jpeg_from_archive_and_folder_alike(shared_data: Path, tmp_path: Path) -> None:
    from_archive = load_split("cifar10-jpeg", "test", shared_data)
    for file, content in jpeg._archive_files(shared_data / "cifar10-jpeg.tar.xz", "test"):
        path = tmp_path / "cifar10-jpeg" / "test" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    from_folder = load_split("cifar10-jpeg", "test", tmp_path)
    assert from_folder.fingerprint == from_archive.fingerprint
    assert np.array_equal(from_folder.images, from_archive.images)
    read_split.cache_clear()
    victim = tmp_path / "cifar10-jpeg" / "test" / "cat" / "0007.jpg"
    victim.unlink()
    with pytest.raises(ValueError, match="999 test images of class 'cat'"):
        load_split("cifar10-jpeg", "test", tmp_path)
