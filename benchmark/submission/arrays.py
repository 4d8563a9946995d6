"""Safetensors of a submission: read by safetensors' own parser, which executes nothing. A pickle is none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import safetensors

from benchmark.attacks.spec import ThreatModel
from benchmark.protocol import BUDGET_TOLERANCE
from benchmark.records.image_files import ImageFile, read_images
from benchmark.submission.finding import Finding, few
from benchmark.submission.folder import IMAGES, WEIGHTS, Folder
from benchmark.submission.registration import AboutImages
from zoo.datasets import Split

_PICKLES = (b"PK", b"\x80", b"\x1f\x8b", b"\x93NUMPY")


def weights_findings(folder: Folder) -> Iterator[Finding]:
    """A weights file that is no safetensors file."""
    if WEIGHTS not in folder.names:
        return
    content = folder.bytes(WEIGHTS)
    if content.startswith(_PICKLES):
        yield Finding("weights", f"{WEIGHTS} is a pickle or an archive: save safetensors, nothing else is read")
        return
    try:
        with safetensors.safe_open(folder.path / WEIGHTS, "np") as opened:
            names = list(opened.keys())
    except (safetensors.SafetensorError, OSError) as error:
        yield Finding("weights", f"{WEIGHTS} is no safetensors file: {error}")
        return
    if not names:
        yield Finding("weights", f"{WEIGHTS} holds no tensor")


def images_findings(folder: Folder, about: AboutImages, split: Split) -> Iterator[Finding]:
    """Adversarial images that are none: of another form, outside the ball or the box."""
    path = folder.path / IMAGES
    if folder.bytes(IMAGES).startswith(_PICKLES):
        yield Finding("images", f"{IMAGES} is a pickle or an archive: save safetensors, nothing else is read")
        return
    try:
        file = read_images(path)
    except ValueError as error:
        yield Finding("images", str(error).replace(str(path), IMAGES))
        return
    shape = split.images.shape[1:]
    if file.images.shape[1:] != shape or any(not 0 <= index < len(split) for index in file.indices):
        yield Finding("images", f"{IMAGES} is not of test images of shape {shape} with indices below {len(split)}")
        return
    if outside := outside_of(file, about.threat, split):
        yield Finding(
            "ball", f"{len(outside)} of {len(file.indices)} images are outside the ball or the box: {few(outside)}"
        )


def outside_of(file: ImageFile, threat: ThreatModel, split: Split) -> list[str]:
    """Indices of images outside the ball or the box, as `benchmark.evaluation.judge.violations` counts them."""
    found = []
    for image, index in zip(file.images, file.indices, strict=True):
        clean = split.images[[index]][0]
        pixels = clean.astype(np.float32) / np.float32(255) if clean.dtype == np.uint8 else clean
        change = (image.astype(np.float64) - pixels.astype(np.float64)).ravel()
        distance = np.abs(change).max() if threat.norm == "linf" else np.linalg.norm(change)
        if image.min() < 0 or image.max() > 1 or distance > threat.eps + BUDGET_TOLERANCE:
            found.append(str(index))
    return found
