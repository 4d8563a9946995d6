"""Data sets of the self-test's own: for their images the zoo has no network, so that none can be transferred from.

Both are the bundled test images of MNIST without their margin of four black pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.datasets import Data, load_split, register_dataset

SMALL, RARE = "mnist-20", "mnist-20-rare"
RARE_DIGITS = (1, 7)  # class 1 of two: a fifth of the images
EPS = {"linf": (0.1, 0.3), "l2": (1.0, 2.0)}  # as for MNIST


def cropped(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 1, 28, 28) -> (N, 1, 20, 20)."""
    return np.ascontiguousarray(images[:, :, 4:24, 4:24])


@register_dataset(SMALL)
def small() -> Data:
    """The ten digits."""
    split = load_split("mnist", "test")
    return Data.from_arrays(cropped(np.asarray(split.images)), split.labels, channels="first", eps=EPS)


@register_dataset(RARE)
def rare() -> Data:
    """Class 1: a one or a seven; class 0: any other digit."""
    split = load_split("mnist", "test")
    labels = np.isin(split.labels, RARE_DIGITS).astype(np.int64)
    return Data.from_arrays(cropped(np.asarray(split.images)), labels, channels="first", eps=EPS)
