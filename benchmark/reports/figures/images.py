"""Attacked images beside what they are made from."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

if TYPE_CHECKING:
    from benchmark.results.images import AttackedImages

ACROSS = 8  # examples beside each other
ROWS = ("clean", "difference × 10", "attacked")
LETTERS = 12  # of the title in an inch
WIDTH, HEIGHT, NARROWEST = 1.05, 3.6, 4.2  # inches of an example, of a row of them, and of a figure


def attacked_images(images: AttackedImages, count: int = ACROSS) -> Figure:
    """Clean, difference x 10 (grey is none) and attacked, an example below the other; those that are broken first.

    Above: the label, then what the clean image is taken for, with confidence. Below: what the attacked one is.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    clean, survives = np.array(images.labels) == images.predicted_clean, images.survives
    # what an attack broke, what survives, what was wrong from the start
    shown = sorted(range(len(images)), key=lambda place: (not clean[place], survives[place]))[:count]
    blocks = [shown[start : start + ACROSS] for start in range(0, len(shown), ACROSS)]
    width = max(NARROWEST, 0.6 + WIDTH * min(ACROSS, len(shown)))
    figure = Figure(figsize=(width, 0.3 + HEIGHT * len(blocks)), layout="constrained")
    figure.suptitle("\n".join(textwrap.wrap(repr(images), round(LETTERS * width))), fontsize=9)
    parts = figure.subfigures(len(blocks), 1, squeeze=False)[:, 0]
    for part, places in zip(parts, blocks, strict=True):
        axes = part.subplots(3, min(ACROSS, len(shown)), squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()  # where there is no example
        for axis, name in zip(axes[:, 0], ROWS, strict=True):
            axis.set_ylabel(name, fontsize=8)
        for column, place in zip(axes.T, places, strict=False):
            _draw(column, images, place)
    return figure


def _draw(column: Sequence[Axes], images: AttackedImages, place: int) -> None:
    """One example into three axes, one below the other."""
    clean, attacked = images.clean[place], images.adversarial[place]
    for axis, image in zip(column, (clean, 0.5 + 10 * (attacked - clean), attacked), strict=True):
        _show(axis, image)
    as_it_is = _taken_for(images.predicted_clean[place], images.confidence_clean[place])
    column[0].set_title(f"label {images.labels[place]}\n{as_it_is}", fontsize=7.5, pad=3)
    under_attack = _taken_for(images.predicted[place], images.confidence[place])
    colour = "black" if images.survives[place] else "firebrick"
    column[-1].set_xlabel(under_attack, fontsize=7.5, labelpad=3, color=colour)


def _taken_for(predicted: int, confidence: float) -> str:
    return f"→ {predicted}, {100 * confidence:.0f} %"


def _show(axis: Axes, image: NDArray[np.float32]) -> None:
    """image: (C, H, W); one channel is shown in grey, of others than three the first."""
    axis.set_axis_on()
    axis.set(xticks=[], yticks=[])
    pixels = np.clip(image, 0, 1)
    if len(pixels) == 3:
        axis.imshow(pixels.transpose(1, 2, 0), interpolation="nearest")
    else:
        axis.imshow(pixels[0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
