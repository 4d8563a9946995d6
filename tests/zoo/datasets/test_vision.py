"""torchvision's further data sets, from tiny files in its layout, beside what torchvision itself reads from them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torchvision
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

from zoo.datasets import DATASETS, DataNotFoundError, Split, SplitName, dataset_spec, read_split
from zoo.datasets.files import BUNDLED
from zoo.datasets.images import LazyImages

NAMES = ("svhn", "stl10", "gtsrb", "eurosat", "imagenet")


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape[0]).integers(0, 256, shape, dtype=np.uint8)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def load(name: str, folder: Path, split: SplitName = "test") -> Split:
    return read_split.__wrapped__(dataset_spec(name), split, folder)


def images(split: Split) -> np.ndarray:
    return (split.pixels() * 255).round().byte().numpy()


def theirs(dataset: torchvision.datasets.VisionDataset, size: int) -> tuple[np.ndarray, list[int]]:
    scaled = Compose([Resize(size), CenterCrop(size)])
    items = [(np.asarray(scaled(image)).transpose(2, 0, 1), label) for image, label in dataset]
    return np.stack([image for image, _ in items]), [label for _, label in items]


@pytest.fixture
def svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    scipy.io.savemat(tmp_path / "test_32x32.mat", {"X": pixels(32, 32, 3, 10), "y": np.arange(1, 11)[:, None]})
    listed = ["", "test_32x32.mat", md5(tmp_path / "test_32x32.mat")]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", {"test": listed})
    return tmp_path


@pytest.fixture
def stl10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    for file, content in (("test_X.bin", pixels(10, 3, 96, 96)), ("test_y.bin", np.arange(1, 11, dtype=np.uint8))):
        (folder / file).write_bytes(content.tobytes())
    listed = [[file, md5(folder / file)] for file in ("test_X.bin", "test_y.bin")]
    monkeypatch.setattr(torchvision.datasets.STL10, "test_list", listed)
    return tmp_path


@pytest.fixture
def gtsrb(tmp_path: Path) -> Path:
    folder = tmp_path / "gtsrb" / "GTSRB"
    rows = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    for number in range(43):
        image = Image.fromarray(pixels(40 + number, 60, 3))
        (folder / "Training" / f"{number:05}").mkdir(parents=True)
        image.save(folder / "Training" / f"{number:05}" / "00000_00000.ppm")
        (folder / "Training" / f"{number:05}" / f"GT-{number:05}.csv").touch()
        (folder / "Final_Test" / "Images").mkdir(parents=True, exist_ok=True)
        image.transpose(Image.Transpose.ROTATE_90).save(folder / "Final_Test" / "Images" / f"{number:05}.ppm")
        rows.append(f"{number:05}.ppm;0;0;0;0;0;0;{42 - number}")
    (tmp_path / "gtsrb" / "GT-final_test.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.fixture
def eurosat(tmp_path: Path) -> Path:
    for number in range(10):
        folder = tmp_path / "eurosat" / "2750" / f"Class{number}"
        folder.mkdir(parents=True)
        for index in range(6):
            Image.fromarray(pixels(64, 64, 3) ^ (6 * number + index)).save(folder / f"Class{number}_{index}.png")
    return tmp_path


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    Image.fromarray(pixels(300, 400, 3)).save(tmp_path / "image.png")
    for number in range(1000):
        folder = tmp_path / "imagenet" / "val" / f"n{number:08}"
        folder.mkdir(parents=True)
        (folder / "1.png").hardlink_to(tmp_path / "image.png")
    return tmp_path


def test_svhn_is_what_torchvision_reads(svhn: Path) -> None:
    found, expected = load("svhn", svhn), torchvision.datasets.SVHN(svhn, "test")
    assert np.array_equal(found.images, expected.data)
    assert found.labels.tolist() == [*range(1, 10), 0]  # the files call the digit 0 class 10


def test_stl10_is_what_torchvision_reads(stl10: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets.STL10, "train_list", [])  # it asks for all files
    found, expected = load("stl10", stl10), torchvision.datasets.STL10(str(stl10), "test")
    assert np.array_equal(found.images, expected.data)
    assert found.labels.tolist() == expected.labels.tolist() == list(range(10))


@pytest.mark.parametrize("split", ["train", "test"])
def test_gtsrb_is_what_torchvision_reads(gtsrb: Path, split: SplitName) -> None:
    found = load("gtsrb", gtsrb, split)
    expected, labels = theirs(torchvision.datasets.GTSRB(gtsrb, split), 48)
    assert np.array_equal(images(found), expected)
    assert found.labels.tolist() == labels


def test_eurosat_is_divided_into_a_fifth_and_the_rest(eurosat: Path) -> None:
    test, train = load("eurosat", eurosat), load("eurosat", eurosat, "train")
    expected, labels = theirs(torchvision.datasets.EuroSAT(str(eurosat)), 64)
    assert np.array_equal(images(test), expected[::5])
    assert test.labels.tolist() == labels[::5]
    assert sorted(test.labels.tolist() + train.labels.tolist()) == labels
    assert {image.tobytes() for image in images(test)}.isdisjoint(image.tobytes() for image in images(train))


def test_imagenet_is_cut_as_usual_and_an_image_is_read_when_it_is_asked_for(imagenet: Path) -> None:
    found = load("imagenet", imagenet)
    usual = Compose([Resize(256), CenterCrop(224)])(Image.open(imagenet / "image.png"))
    assert isinstance(found.images, LazyImages)
    assert found.labels.tolist() == list(range(1000))
    (image,) = found.pixels([7])
    assert np.array_equal((image * 255).round().byte().permute(1, 2, 0), usual)


@pytest.mark.parametrize("name", NAMES)
def test_each_has_its_row_and_says_what_is_missing(
    name: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    spec = DATASETS[name]
    found = load(name, request.getfixturevalue(name))
    assert (found.images.shape[1:], set(found.labels.tolist())) == (spec.shape, set(range(spec.classes)))
    assert len(spec.mean) == len(spec.std) == 3
    with pytest.raises(DataNotFoundError, match=rf"{name}.*--data-root"):
        read_split.__wrapped__(spec, "test")
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(DataNotFoundError, match=rf"{name} not found.*{empty}.*(--download|image-net.org)"):
        load(name, empty)
    assert not list(BUNDLED.glob(name))


@pytest.mark.parametrize(("name", "file"), [("svhn", "test_32x32.mat"), ("stl10", "stl10_binary/test_X.bin")])
def test_a_damaged_file_is_refused_by_name(name: str, file: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(name) / file
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{path.name} has md5 .*fetch it again"):
        load(name, request.getfixturevalue(name))
