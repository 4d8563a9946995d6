"""Attacked images on the page: clean, what was changed, attacked; as PNG or JPEG inside it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.reports.tables import threat_title
from benchmark.results.images import AttackedImages
from zoo.datasets import DATASETS

AMPLIFIED = 10  # times, that a difference can be seen
SMALL = 64  # pixels a side, up to which an image is kept exactly and more of them are shown
LARGE = 128  # pixels a side, to which a larger one is reduced
FATES = ("broken", "survives", "wrong as it is")  # in the order in which they are shown
SHOWN, SHOWN_LARGE = 6, 3  # images of a threat model


@dataclass(frozen=True)
class Tile:
    """One image. clean, difference, attacked: as `data:` addresses. before, after: what it is taken for.

    label: its number, and its name where the data set says one. distance: from clean to attacked, in the norm.
    fate: `broken` by the attack, or `survives`, or `wrong as it is`.
    """

    example: int
    label: str
    clean: str
    difference: str
    attacked: str
    before: str
    after: str
    distance: str
    by: str
    fate: str


@dataclass(frozen=True)
class Gallery:
    """The images of one threat model that are shown, and how many there are."""

    title: str
    tiles: list[Tile]
    count: int


def gallery(images: AttackedImages) -> Gallery:
    """The first images that the attack broke, after them those that survive, and at last those that were wrong."""
    fates = [
        "wrong as it is" if clean != label else "broken" if attacked != label else "survives"
        for label, clean, attacked in zip(images.labels, images.predicted_clean, images.predicted, strict=True)
    ]
    most = SHOWN if max(images.clean.shape[2:]) <= SMALL else SHOWN_LARGE
    shown = sorted(range(len(fates)), key=lambda at: FATES.index(fates[at]))[:most]
    title = threat_title(images.threat.norm, images.threat.eps)
    return Gallery(title, [_tile(images, at, fates[at]) for at in shown], len(fates))


def _tile(images: AttackedImages, at: int, fate: str) -> Tile:
    clean, adversarial = images.clean[at], images.adversarial[at]
    return Tile(
        example=images.examples[at],
        label=_named(images.dataset, images.labels[at]),
        clean=_address(clean),
        difference=_address(0.5 + AMPLIFIED * (adversarial - clean)),
        attacked=_address(adversarial),
        before=_said(images.dataset, images.predicted_clean[at], images.confidence_clean[at]),
        after=_said(images.dataset, images.predicted[at], images.confidence[at]),
        distance=_distance(images, at),
        by=f"{images.attack[at]} in {images.library[at]}",
        fate=fate,
    )


def _said(dataset: str, predicted: int, confidence: float) -> str:
    return f"{_named(dataset, predicted)} at {100 * confidence:.1f} %"


def _named(dataset: str, label: int) -> str:
    """A label by number, and by name where the data set says one; that of records may be unknown here."""
    names = DATASETS[dataset].class_names if dataset in DATASETS else ()
    return f"{label} ({names[label]})" if label < len(names) else str(label)


def _distance(images: AttackedImages, at: int) -> str:
    moved = (images.adversarial[at] - images.clean[at]).astype(np.float64)
    order = np.inf if images.threat.norm == "linf" else 2
    return f"{np.linalg.norm(moved.ravel(), order):.3g}"


def _address(pixels: NDArray[np.float32]) -> str:
    """An image (C, H, W) in [0, 1] as a `data:` address; grey for any number of channels but three."""
    levels = np.rint(255 * pixels.clip(0, 1)).astype(np.uint8)
    image = Image.fromarray(levels.transpose(1, 2, 0) if len(levels) == 3 else levels.mean(0).astype(np.uint8))
    exact = max(image.size) <= SMALL
    image.thumbnail((LARGE, LARGE))
    content, kind = io.BytesIO(), "png" if exact else "jpeg"
    image.save(content, kind, optimize=True, **({} if exact else {"quality": 80}))
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"
