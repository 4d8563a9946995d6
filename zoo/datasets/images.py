"""Images that are read when they are asked for, so that a set of any size takes the memory of those in use.

What is read is compared with what was there when the set was made: a file that changed, or a data set that gives other
pixels each time, is refused and not attacked.
"""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.datasets.arrays import Channels, as_array, as_pixels, channels_first, require_bright
from zoo.seeding import isolated_random_state

if TYPE_CHECKING:
    from PIL.Image import Image

ASKED_TWICE = 16  # images of a data set that are read twice at once: flipped at random, each differs every other time
_MODES = ("1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr")  # of images with at most 8 bits a channel


class LazyImages(ABC):
    """N images, of which the wanted ones are read. shape: (N, C, H, W). dtype: uint8, or float32 in [0, 1]."""

    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: Any) -> NDArray[Any]:
        """(B, C, H, W): the images with these indices, a sequence, an array or a slice."""
        chosen = np.arange(len(self))[indices]
        found = np.empty((len(chosen), *self.shape[1:]), self.dtype)
        for place, index in enumerate(chosen.tolist()):
            found[place] = self.read(index)
        return found

    @abstractmethod
    def read(self, index: int) -> NDArray[Any]:
        """(C, H, W): one image. Raises ValueError where it is not what it was."""


class FileImages(LazyImages):
    """Images in files, decoded by Pillow to 8 bits a channel.

    root, names: the files, names relative to the folder. size: of the square that is cut out of the middle once the
    short side has that length, or the length `short` (bilinear); None leaves images as they are. grey: one channel in
    place of three.
    Raises ValueError for a file that is no image, and without `size` for images of several sizes.
    """

    def __init__(
        self, root: Path, names: Sequence[str], size: int | None = None, *, grey: bool = False, short: int | None = None
    ) -> None:
        if size is not None and size < 1:
            raise ValueError(f"size must be at least 1 pixel, not {size}")
        self.root, self.names, self.size, self.short, self.grey = root, tuple(names), size, short, grey
        self._digests: list[bytes] = []
        sizes: dict[tuple[int, int], str] = {}
        for name in self.names:
            content = (root / name).read_bytes()
            self._digests.append(hashlib.sha256(content).digest())
            sizes.setdefault(_size(content, root / name), name)
        if size is None and len(sizes) > 1:
            found = ", ".join(f"{name} has {width}x{height}" for (width, height), name in list(sizes.items())[:2])
            raise ValueError(f"{root}: images of several sizes: {found}; give size=, such as 48 (--size 48)")
        width, height = next(iter(sizes)) if size is None else (size, size)
        self.shape, self.dtype = (len(self.names), 1 if grey else 3, height, width), np.dtype(np.uint8)

    @property
    def fingerprint(self) -> str:
        """sha256 of names and bytes of the files, and of how they are read."""
        digest = hashlib.sha256(f"{self.size} {self.short} {self.grey}".encode())
        for name, content in zip(self.names, self._digests, strict=True):
            digest.update(name.encode() + content)
        return digest.hexdigest()

    def read(self, index: int) -> NDArray[Any]:
        from PIL import Image

        path = self.root / self.names[index]
        content = path.read_bytes()
        if hashlib.sha256(content).digest() != self._digests[index]:
            raise ValueError(f"{path} is another file than when the data set was made; make it anew")
        try:
            with Image.open(io.BytesIO(content)) as image:
                pixels = np.asarray(fitted(image.convert("L" if self.grey else "RGB"), self.size, self.short))
        except OSError as error:
            raise ValueError(f"{path} cannot be decoded: {error}; replace or remove it") from error
        return pixels[None] if self.grey else pixels.transpose(2, 0, 1)


def _size(content: bytes, path: Path) -> tuple[int, int]:
    """Width and height of an image; nothing is decoded, but where the format has checksums they are compared."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            image.verify()
            mode, size = image.mode, image.size
    except Exception as error:  # Pillow raises SyntaxError and more for damaged files
        raise ValueError(f"{path} is no image that can be read: {error}; replace or remove it") from error
    if mode not in _MODES:
        raise ValueError(f"{path} has pixels of mode {mode}; save it with 8 bits a channel")
    return size


def fitted(image: Image, size: int | None, short: int | None = None) -> Image:
    """The square of `size` pixels in the middle of an image whose short side is scaled to `short`, as torchvision does.

    Bilinear; the long side is rounded down. short: `size` by default, so that an image of that size is what it was. An
    image is left as it is without a size.
    """
    from PIL.Image import Resampling

    if size is None:
        return image
    wanted, found = short or size, min(image.size)
    if found != wanted:
        width, height = (int(wanted * side / found) for side in image.size)
        image = image.resize((width, height), Resampling.BILINEAR)
    left, top = (round((side - size) / 2) for side in image.size)
    return image.crop((left, top, left + size, top + size))


class ItemImages(LazyImages):
    """Images of a data set whose items are (image, label): a PIL image, an array or a tensor.

    It is read once from end to end, and nothing of it is kept but the labels and a digest of every image.
    size: of PIL images, as for `FileImages`. channels: where arrays and tensors have them.
    labels: (N,) as the items have them. fingerprint: sha256 of the pixels.
    Raises ValueError for no images, for several shapes or types, and for one that differs when it is asked for again.
    """

    def __init__(self, items: Any, size: int | None = None, channels: Channels | None = None) -> None:
        if not len(items):
            raise ValueError(f"{type(items).__name__} is an empty set; give at least one image")
        self._items, self._size, self._channels = items, size, channels
        self._digests: list[bytes] = []
        labels, highest = [], 0.0
        with isolated_random_state(0):  # an augmentation would move the user's random numbers
            for index in range(len(items)):
                pixels, label = self._item(index)
                self._digests.append(hashlib.sha256(pixels.tobytes()).digest())
                highest = max(highest, float(pixels.max()))
                labels.append(label)
                if index == 0:
                    self.shape, self.dtype = (len(items), *pixels.shape), pixels.dtype
                if (pixels.shape, pixels.dtype) != (self.shape[1:], self.dtype):
                    raise ValueError(
                        f"image {index} is {pixels.dtype} {pixels.shape}, the first {self.dtype} {self.shape[1:]}; "
                        "give all the same form: size= for PIL images, a transform for others"
                    )
            for index in range(0, len(items), max(1, len(items) // ASKED_TWICE)):
                self.read(index)
        require_bright(highest, self.dtype, "the data set")
        self.labels = _integers(labels)
        self.fingerprint = hashlib.sha256(b"".join(self._digests)).hexdigest()

    def read(self, index: int) -> NDArray[Any]:
        pixels, _ = self._item(index)
        if hashlib.sha256(pixels.tobytes()).digest() != self._digests[index]:
            raise ValueError(
                f"image {index} of the {type(self._items).__name__} has other pixels than when it was asked for first; "
                "leave out random augmentation"
            )
        return pixels

    def _item(self, index: int) -> tuple[NDArray[Any], Any]:
        what, item = f"image {index}", self._items[index]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise ValueError(f"item {index} is a {type(item).__name__}; items must be pairs (image, label)")
        image, label = item
        if hasattr(image, "resize") and hasattr(image, "convert"):  # of Pillow, without its import
            return self._of_pillow(image), label
        array = as_array(image, what)
        pixels = channels_first(array[None], self._channels, what)[0]
        return np.ascontiguousarray(as_pixels(pixels, what)), label

    def _of_pillow(self, image: Image) -> NDArray[Any]:
        pixels = np.asarray(fitted(image if image.mode == "L" else image.convert("RGB"), self._size))
        return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _integers(labels: Iterable[Any]) -> NDArray[np.int64]:
    """(N,) Raises ValueError for a label that is no integer."""
    found = []
    for index, label in enumerate(labels):
        value = label.item() if hasattr(label, "item") and getattr(label, "ndim", 0) == 0 else label
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"label {index} is {value!r}; give class numbers 0, 1, ... as integers")
        found.append(value)
    return np.array(found, np.int64)
