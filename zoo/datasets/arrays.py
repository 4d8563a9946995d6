"""A user's arrays, checked and brought into one form. Every refusal is one line, with the value and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Channels = Literal["first", "last"]
COLOURS = (1, 3)  # channels by which an image is recognised; others must be declared
_NEARLY = 0.01  # beyond [0, 1]: as of an interpolation, which is to be clipped


def as_array(x: Any, what: str) -> NDArray[Any]:
    """An array or tensor as an array. what: its name, for what is refused.

    Raises ValueError for anything else, such as an iterator, which gives its images once, and for a tensor on a GPU.
    """
    if hasattr(x, "__next__"):
        raise ValueError(f"{what} is a {type(x).__name__}, which can be read only once; give np.stack(list({what}))")
    if hasattr(x, "detach") and hasattr(x, "device"):  # a tensor, without an import of torch
        if x.device.type != "cpu":
            raise ValueError(f"{what} is a tensor on {x.device}; give {what}.cpu()")
        x = x.detach()
        found: NDArray[Any] = (x.float() if str(x.dtype) == "torch.bfloat16" else x).numpy()
        return found
    if not isinstance(x, np.ndarray):
        raise ValueError(f"{what} is a {type(x).__name__}; give an array or a tensor, such as np.stack({what})")
    return x


def channels_first(x: NDArray[Any], channels: Channels | None, what: str) -> NDArray[Any]:
    """(N, C, H, W) from that, from (N, H, W, C), or from (N, H, W), which is one channel; a view.

    channels: where they are; None finds it by the shape. Raises ValueError where that is in doubt, or contradicts it.
    """
    if channels not in (None, "first", "last"):
        raise ValueError(f"channels must be 'first' or 'last', not {channels!r}")
    if x.ndim == 3:
        return x[:, None]
    if x.ndim != 4:
        raise ValueError(f"{what} of shape {x.shape}; images are (N, C, H, W), (N, H, W, C) or (N, H, W)")
    first, last = x.shape[1] in COLOURS, x.shape[3] in COLOURS
    if channels is None and first == last:
        raise ValueError(
            f"{what} of shape {x.shape}: it is not clear which axis holds the channels; say channels='first' or 'last'"
        )
    found = channels or ("first" if first else "last")
    if (found, first, last) in (("first", False, True), ("last", True, False)):
        other = "last" if found == "first" else "first"
        raise ValueError(f"{what} of shape {x.shape} does not have its channels {found}; say channels={other!r}")
    return x if found == "first" else np.moveaxis(x, 3, 1)


def as_pixels(x: NDArray[Any], what: str) -> NDArray[np.uint8] | NDArray[np.float32]:
    """uint8 as it is, floats in [0, 1] as float32. Raises ValueError for another type, and pixels beyond [0, 1]."""
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind != "f":
        raise ValueError(f"{what}: pixels are {x.dtype}; they must be uint8 from 0 to 255, or floats from 0 to 1")
    if not x.size:
        return x.astype(np.float32)
    lowest, highest = float(x.min()), float(x.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise ValueError(f"{what}: some pixels are NaN or infinite; floats must be in [0, 1]")
    if lowest < 0 or highest > 1:
        raise ValueError(
            f"{what}: pixels from {lowest:.4g} to {highest:.4g}; floats must be in [0, 1]: {_remedy(lowest, highest)}"
        )
    return x.astype(np.float32, copy=False)


def _remedy(lowest: float, highest: float) -> str:
    if lowest >= -_NEARLY and highest <= 1 + _NEARLY:
        return "x.clip(0, 1)"
    if lowest < 0:
        return "give them before normalisation, and say normalize=(mean, std) beside the network"
    return "divide them by 255, or give uint8"


def require_bright(highest: float, dtype: np.dtype[Any], what: str) -> None:
    """Raises ValueError for pixels that were divided by 255 once too often: they make any network look weak."""
    if dtype == np.uint8 and highest <= 1:
        raise ValueError(
            f"{what}: the largest pixel is {highest:.0f}, as of images that were divided by 255; give 0 to 255"
        )
    if dtype != np.uint8 and highest < 1.5 / 255:
        raise ValueError(
            f"{what}: the largest pixel is {highest:.2g}, as of images that were divided by 255 twice; give 0 to 1"
        )


def as_labels(y: Any, count: int, what: str) -> NDArray[np.int64]:
    """(N,) class numbers. Raises ValueError where they are no integers, or not as many as images."""
    labels = np.asarray(y) if isinstance(y, list | tuple) else as_array(y, what)
    if labels.ndim == 2:
        column = labels.shape[1] == 1
        remedy = f"give {what}[:, 0]" if column else f"as of one-hot labels; give {what}.argmax(1)"
        raise ValueError(f"{what} of shape {labels.shape}{': ' if column else ', '}{remedy}")
    if labels.ndim != 1 or len(labels) != count:
        raise ValueError(f"{len(labels) if labels.ndim else 1} labels for {count} images; give one for each")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{what}: labels are {labels.dtype}; give class numbers 0, 1, ... as integers")
    return labels.astype(np.int64)


def require_classes(labels: NDArray[np.int64], classes: int, what: str) -> None:
    """Raises ValueError for labels that are no numbers of classes."""
    if labels.min() < 0 or labels.max() >= classes:
        found, last = f"{labels.min()} to {labels.max()}", max(classes, 2) - 1
        raise ValueError(f"{what}: labels from {found}; they must be class numbers from 0 to {last}")


def number_of_classes(labels: NDArray[np.int64], classes: int | Sequence[str] | None) -> tuple[int, tuple[str, ...]]:
    """How many classes there are, and their names where they are given. classes: as said; None counts the labels."""
    if classes is None:
        return int(labels.max(initial=-1)) + 1, ()
    if isinstance(classes, int):
        return classes, ()
    return len(classes), tuple(classes)
