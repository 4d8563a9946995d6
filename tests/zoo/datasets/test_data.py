"""A user's own images: whatever holds them, pixels are the same; what cannot be attacked is refused in a line."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision.transforms import CenterCrop, Compose, Resize

from zoo.datasets import Data, DataNotFoundError, Split
from zoo.datasets.images import FileImages, fitted
from zoo.seeding import private_generator

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


def generator() -> Iterator[np.ndarray]:
    yield from PIXELS


FLOATS = (PIXELS / 255).astype(np.float32)
REFUSED: dict[str, tuple[Callable[[], Data], str]] = {
    "labels out of range": (
        lambda: Data.from_arrays(PIXELS, LABELS, classes=2),
        "labels from 0 to 2; they must be class numbers from 0 to 1",
    ),
    "negative labels": (lambda: Data.from_arrays(PIXELS, LABELS - 1), "labels from -1 to 1"),
    "labels that are no integers": (lambda: Data.from_arrays(PIXELS, LABELS / 2), "labels are float64; give class"),
    "labels in words": (lambda: Data.from_arrays(PIXELS, ["cat"] * 6), "give class numbers 0, 1, ... as integers"),
    "one-hot labels": (lambda: Data.from_arrays(PIXELS, np.eye(3)[LABELS]), r"give y.argmax\(1\)"),
    "fewer labels": (lambda: Data.from_arrays(PIXELS, LABELS[:4]), "4 labels for 6 images"),
    "one class": (lambda: Data.from_arrays(PIXELS, LABELS * 0), "one class only; say classes="),
    "an empty set": (lambda: Data.from_arrays(PIXELS[:0], LABELS[:0]), "an empty set; give at least one image"),
    "floats beyond 1": (lambda: Data.from_arrays(FLOATS * 255, LABELS), "pixels from 0 to 255; .* divide them by 255"),
    "normalised floats": (
        lambda: Data.from_arrays((FLOATS - 0.5) / 0.5, LABELS),
        r"pixels from -1 to 1; .*normalize=\(mean, std\)",
    ),
    "interpolated floats": (lambda: Data.from_arrays(FLOATS * 1.005, LABELS), r"x.clip\(0, 1\)"),
    "NaN": (lambda: Data.from_arrays(FLOATS * np.nan, LABELS), "NaN or infinite"),
    "divided by 255 twice": (lambda: Data.from_arrays(FLOATS / 255, LABELS), "0.0039, as of .* divided by 255 twice"),
    "divided by 255 as integers": (lambda: Data.from_arrays(PIXELS // 255, LABELS), "largest pixel is 1"),
    "integers": (lambda: Data.from_arrays(PIXELS.astype(int), LABELS), "pixels are int64; they must be uint8"),
    "another order": (
        lambda: Data.from_arrays(PIXELS, LABELS, channels="last"),
        r"\(6, 3, 8, 8\) does not have its channels last; say channels='first'",
    ),
    "an order in doubt": (lambda: Data.from_arrays(PIXELS.repeat(2, 1), LABELS), "not clear which axis"),
    "a flat image": (lambda: Data.from_arrays(PIXELS.reshape(6, -1), LABELS), r"\(N, C, H, W\)"),
    "a tensor elsewhere": (
        lambda: Data.from_arrays(torch.empty(6, 3, 8, 8, device="meta"), LABELS),
        r"x is a tensor on meta; give x.cpu\(\)",
    ),
    "a generator": (lambda: Data.from_arrays(generator(), LABELS), r"generator, which can be read only once"),
    "a list": (lambda: Data.from_arrays(list(PIXELS), LABELS), r"np.stack\(x\)"),
    "a loader": (lambda: Data.from_torch(DataLoader(Items())), "DataLoader gives no image by index.*loader.dataset"),
    "an iterator": (lambda: Data.from_torch(iter(Items())), "gives no image by index"),
    "no pairs": (lambda: Data.from_torch([1, 2]), r"item 0 is a int; items must be pairs \(image, label\)"),
    "nothing": (lambda: Data.from_torch(Items(count=0)), "Items is an empty set"),
    "several shapes": (
        lambda: Data.from_torch([(pillow(0), 0), (pillow(1).crop((0, 0, 4, 4)), 1)]),
        r"image 1 is uint8 \(3, 4, 4\), the first uint8 \(3, 8, 8\)",
    ),
    "items beyond [0, 1]": (lambda: Data.from_torch([(FLOATS[0] * 2, 0)]), "image 0: pixels from 0"),
    "a label that is no integer": (lambda: Data.from_torch([(FLOATS[0], "cat")]), "label 0 is 'cat'"),
    "several splits": (lambda: Data.from_hugging_face({"test": 1, "train": 2}), "give one of them: test, train"),
    "a streamed split": (lambda: Data.from_hugging_face(iter("ab")), "without streaming=True"),
    "no such column": (lambda: Data.from_hugging_face(Split_(), image="img"), "no column 'img' .* image, label"),
    "two columns": (
        lambda: Data.from_hugging_face(Split_(a=Image_(), b=Image_(), label=ClassLabel())),
        "2 columns hold Image; say image=, one of: a, b, label",
    ),
    "a name with a slash": (lambda: Data.from_arrays(PIXELS, LABELS, name="a/b"), "'a/b' cannot be the name"),
    "eps in another norm": (lambda: Data.from_arrays(PIXELS, LABELS, eps={"l1": [1]}), "no norm 'l1'"),
    "no eps": (lambda: Data.from_arrays(PIXELS, LABELS, eps={"l2": [0.0]}), "eps in l2 must be numbers > 0"),
    "statistics of one channel": (lambda: Data.from_arrays(PIXELS, LABELS, mean=[0.5]), "give 3 numbers for each"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_attacked_is_refused_in_a_line_with_the_remedy(make: Callable[[], Data], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def emptied(folder: Path) -> None:
    for path in (folder / "square").iterdir():
        path.unlink()


FOLDERS: dict[str, tuple[Callable[[Path], object], dict[str, Any], str]] = {
    "a text": (lambda f: (f / "circle" / "000.png").write_text("text"), {}, "000.png is no image .* remove it"),
    "a damaged image": (
        lambda f: (f / "circle" / "000.png").write_bytes((f / "circle" / "000.png").read_bytes()[:-30]),
        {},
        "000.png is no image that can be read: .*; replace or remove it",
    ),
    "an empty class": (emptied, {}, "square has no images; remove the folder"),
    "another size": (
        lambda f: pillow(0).crop((0, 0, 4, 4)).save(f / "square" / "9.png"),
        {},
        "several sizes: .*--size",
    ),
    "16 bits": (
        lambda f: Image.fromarray(np.full((8, 8), 999, np.uint16)).save(f / "circle" / "000.png"),
        {},
        "mode I;16; save it with 8 bits",
    ),
    "other classes": (lambda f: None, {"classes": ["circle", "square", "star"]}, "star, triangle differ"),
    "more classes": (lambda f: None, {"classes": 4}, "has 3 sub-folders, not 4"),
    "no size": (lambda f: None, {"size": 0}, "at least 1 pixel, not 0"),
}


@pytest.mark.parametrize(("change", "options", "message"), FOLDERS.values(), ids=FOLDERS)
def test_a_folder_that_cannot_be_attacked_is_refused_by_name(
    change: Callable[[Path], object], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write(tmp_path / "shapes")
    change(tmp_path / "shapes")
    with pytest.raises(ValueError, match=message):
        Data.from_folder(tmp_path / "shapes", **options)


def test_a_folder_without_classes_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere is no folder"):
        Data.from_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="has no sub-folders; put its images into one for every class"):
        Data.from_folder(write(tmp_path) / "circle")


def test_a_photograph_that_breaks_off_is_refused_by_name(tmp_path: Path) -> None:
    """JPEG has no checksums: it is found when it is decoded."""
    noise = (255 * torch.rand(6, 3, 64, 64, generator=private_generator("jpeg"))).byte().numpy()
    path = write(tmp_path, noise, end="jpg") / "circle" / "000.jpg"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"000.jpg cannot be decoded: .*; replace or remove it"):
        split(Data.from_folder(tmp_path)).pixels([0])


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
