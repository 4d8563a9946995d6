"""Data that cannot be attacked: refused in a line with the remedy, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from tests.zoo.datasets.test_data import (
    LABELS,
    PIXELS,
    ClassLabel,
    Image_,
    Items,
    Split_,
    pillow,
    split,
    write,
)
from zoo.datasets import Data
from zoo.seeding import private_generator


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
    "a column of labels": (lambda: Data.from_arrays(PIXELS, LABELS[:, None]), r"give y\[:, 0\]"),
    "eps of no norm": (lambda: Data.from_arrays(PIXELS, LABELS, eps=8), r"eps is norm by norm, such as .* not 8"),
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


def test_a_folder_of_splits_is_no_data_set_of_two_classes(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write(tmp_path / part)
    with pytest.raises(ValueError, match=r"holds test, train, which are no classes: name .*test$"):
        Data.from_folder(tmp_path)
    assert len(Data.from_folder(tmp_path / "test")) > 0
    (tmp_path / "other" / "train").mkdir(parents=True)  # of railways, say
    (tmp_path / "train" / "circle" / "000.png").rename(tmp_path / "other" / "train" / "000.png")
    write(tmp_path / "spare")
    (tmp_path / "spare" / "circle").rename(tmp_path / "other" / "circle")
    assert Data.from_folder(tmp_path / "other").spec.classes == 2
