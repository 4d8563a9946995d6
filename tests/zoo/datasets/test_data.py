"""A user's own images: whatever holds them, pixels are the same; what cannot be attacked is refused in a line."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, TensorDataset
from torchvision.transforms import CenterCrop, Compose, Resize

from zoo.datasets import Data, DataNotFoundError, Split
from zoo.datasets.images import FileImages, fitted

CLASSES = ("circle", "square", "triangle")
LABELS = np.array([0, 0, 1, 1, 2, 2])
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)  # (N, C, H, W)


def split(data: Data) -> Split:
    return Split(data.name, "test", data.images, data.labels, data.fingerprint)


def write(folder: Path, pixels: np.ndarray = PIXELS, labels: np.ndarray = LABELS, end: str = "png") -> Path:
    """As a folder for every class; the files' names are in the order of the images."""
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        path = folder / CLASSES[label] / f"{number:03}.{end}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(path)
    return folder


def pillow(index: int) -> Image.Image:
    return Image.fromarray(PIXELS[index].transpose(1, 2, 0))


class Items(Dataset):
    """Pairs as torchvision's data sets give them. change: of an image, each time it is asked for."""

    def __init__(self, change: Callable[[Any], Any] = lambda image: image, count: int = 6) -> None:
        self.change, self.count = change, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.change(pillow(index)), int(LABELS[index])


class Image_:  # noqa: N801 - only its name is looked at
    pass


Image_.__name__ = "Image"


class ClassLabel:
    names = CLASSES


class Split_:  # noqa: N801
    """As a split of Hugging Face's `datasets` behaves: features, a length, rows by index."""

    def __init__(self, **features: Any) -> None:
        self.features = features or {"image": Image_(), "label": ClassLabel()}

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> dict[str, Any]:
        return dict.fromkeys(self.features, pillow(index)) | {"label": int(LABELS[index])}


LAYOUTS: dict[str, Callable[[], Data]] = {
    "uint8, channels first": lambda: Data.from_arrays(PIXELS, LABELS),
    "uint8, channels last": lambda: Data.from_arrays(PIXELS.transpose(0, 2, 3, 1), LABELS),
    "declared": lambda: Data.from_arrays(PIXELS.transpose(0, 2, 3, 1), LABELS, channels="last"),
    "float32 tensors": lambda: Data.from_arrays(torch.from_numpy(PIXELS).float() / 255, torch.from_numpy(LABELS)),
    "float64": lambda: Data.from_arrays(PIXELS / 255, LABELS.tolist()),
    "a TensorDataset": lambda: Data.from_torch(TensorDataset(torch.from_numpy(PIXELS), torch.from_numpy(LABELS))),
    "Pillow's images": lambda: Data.from_torch(Items()),
    "Hugging Face": lambda: Data.from_hugging_face(Split_()),
}


@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
def test_whatever_holds_the_images_the_pixels_are_the_same(make: Callable[[], Data]) -> None:
    data = make()
    pixels = split(data).pixels([4, 1])
    assert pixels.dtype == torch.float32
    assert torch.equal(pixels, torch.from_numpy(PIXELS[[4, 1]]).float() / 255)
    assert data.labels.tolist() == LABELS.tolist()
    assert (data.spec.shape, data.spec.classes) == ((3, 8, 8), 3)


def test_a_folder_gives_the_same_pixels_and_only_those_that_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Data.from_folder(write(tmp_path / "shapes"))
    assert (data.name, data.spec.class_names, data.labels.tolist()) == ("shapes", CLASSES, LABELS.tolist())
    asked: list[int] = []
    read = FileImages.read
    monkeypatch.setattr(FileImages, "read", lambda self, index: (asked.append(index), read(self, index))[1])
    assert torch.equal(split(data).pixels([4, 1]), torch.from_numpy(PIXELS[[4, 1]]).float() / 255)
    assert asked == [4, 1]
    grey = Data.from_folder(tmp_path / "shapes", grey=True, classes=["square", "triangle", "circle"], name="other")
    assert (grey.name, grey.spec.shape, grey.labels.tolist()) == ("other", (1, 8, 8), [0, 0, 1, 1, 2, 2])


@pytest.mark.parametrize("shape", [(40, 30), (30, 41), (17, 90), (24, 24), (23, 200)])
def test_images_are_scaled_and_cut_as_torchvision_does(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    theirs = Compose([Resize(24), CenterCrop(24)])(Image.fromarray(pixels))
    assert np.array_equal(fitted(Image.fromarray(pixels), 24), theirs)


def test_one_channel_needs_no_axis_of_its_own() -> None:
    data = Data.from_arrays(PIXELS[:, 0], LABELS)
    assert data.spec.shape == (1, 8, 8)
    assert np.array_equal(data.images, PIXELS[:, :1])


def test_what_the_user_does_with_the_arrays_afterwards_changes_nothing() -> None:
    own = PIXELS.copy()
    data = Data.from_arrays(own, LABELS)
    own[:] = 0
    assert np.array_equal(data.images, PIXELS)


def test_another_pixel_label_or_file_name_is_another_fingerprint(tmp_path: Path) -> None:
    other = PIXELS.copy()
    other[0, 0, 0, 0] ^= 1
    arrays = [Data.from_arrays(x, y) for x, y in ((PIXELS, LABELS), (other, LABELS), (PIXELS, LABELS[::-1]))]
    folders = [Data.from_folder(write(tmp_path / "a")), Data.from_folder(write(tmp_path / "b", other))]
    (tmp_path / "b" / "circle" / "000.png").rename(tmp_path / "b" / "circle" / "0000.png")
    folders.append(Data.from_folder(tmp_path / "b"))
    folders.append(Data.from_folder(tmp_path / "b", size=4))
    items = [Data.from_torch(TensorDataset(torch.from_numpy(x), torch.from_numpy(LABELS))) for x in (PIXELS, other)]
    fingerprints = [data.fingerprint for data in (*arrays, *folders, *items)]
    assert len(set(fingerprints)) == len(fingerprints)
    assert Data.from_folder(tmp_path / "a").fingerprint == folders[0].fingerprint


def test_it_can_be_sent_to_another_process(tmp_path: Path) -> None:
    for data in (Data.from_arrays(PIXELS, LABELS, eps={"l2": [1.0]}), Data.from_folder(write(tmp_path), name="a")):
        again = pickle.loads(pickle.dumps(data))
        assert (again.fingerprint, again.spec.eps) == (data.fingerprint, data.spec.eps)
        assert torch.equal(split(again).pixels(), split(data).pixels())


def test_eps_are_those_of_cifar_for_each_pixel_where_nobody_says() -> None:
    def eps(size: int, **about: Any) -> Any:
        return Data.from_arrays(np.resize(PIXELS, (6, 3, size, size)), LABELS, **about).spec.eps

    assert eps(32) == {"linf": (2 / 255, 8 / 255), "l2": (0.25, 0.5)}
    assert eps(48)["l2"] == (0.38, 0.75)  # sqrt(48² / 32²) = 1.5
    assert eps(224)["l2"] == (1.8, 3.5)
    assert eps(48, eps={"linf": (0.2, 0.1)}) == {"linf": (0.1, 0.2), "l2": (0.38, 0.75)}


def test_there_are_only_the_images_that_are_attacked() -> None:
    spec = Data.from_arrays(PIXELS, LABELS).spec
    with pytest.raises(DataNotFoundError, match="no train split"):
        spec.read("data", "train", None, False)


def test_a_file_that_changed_is_refused_when_it_is_read(tmp_path: Path) -> None:
    data = Data.from_folder(write(tmp_path))
    write(tmp_path, PIXELS[::-1])
    with pytest.raises(ValueError, match=r"000.png is another file than when the data set was made; make it anew"):
        split(data).pixels([0])


def test_random_augmentation_is_refused_and_the_users_random_numbers_stay(untouched_global_state: None) -> None:
    def noisy(image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 * torch.rand(())

    with pytest.raises(ValueError, match=r"image 0 of the Items has other pixels .* leave out random augmentation"):
        Data.from_torch(Items(noisy))


def test_a_split_of_the_real_package_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = write(tmp_path / "shapes")
    splits = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(tmp_path / "cache"))
    data = Data.from_hugging_face(splits["train"])
    assert torch.equal(split(data).pixels(), torch.from_numpy(PIXELS).float() / 255)
    assert (data.labels.tolist(), data.spec.class_names) == (LABELS.tolist(), CLASSES)
    with pytest.raises(ValueError, match="give one of them: train"):
        Data.from_hugging_face(splits)
