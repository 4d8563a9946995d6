"""Results for batches of images, each computed once: a memory whose key is the bytes of a batch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

MAX_BYTES = 3 << 30  # 20 steps on 100 images of 3x224x224, with their gradients, have 2.4 GB


class ImageMemo(Generic[T]):
    """The results for the most recent `size` batches of images, or fewer that take `max_bytes` with their images.

    computed: how many results were computed, not kept. bytes: of what is kept; the most recent is, whatever it takes.
    Batches that differ in one rounding are different: a sum of the bits finds the candidate, and every bit is compared,
    which takes a fraction of the time of a digest that could be trusted alone.
    """

    def __init__(self, size: int = 64, max_bytes: int = MAX_BYTES) -> None:
        self.size, self.max_bytes = size, max_bytes
        self.computed = self.bytes = 0
        self._kept: OrderedDict[tuple[torch.Size, int, int], tuple[Tensor, T]] = OrderedDict()

    def __call__(self, x: Tensor, compute: Callable[[], T], step: int = 0) -> T:
        """The result that is kept for these images, or else what `compute()` returns now.

        step: the step at which it is asked for, where that makes a difference.
        """
        bits = x.detach().contiguous().view(torch.int32)
        key = (x.shape, int(bits.sum(dtype=torch.int64)), step)
        if key in self._kept and torch.equal(self._kept[key][0], bits):
            self._kept.move_to_end(key)
            return self._kept[key][1]
        found = compute()
        self.computed += 1
        self._keep(key, (bits.clone(), found))
        return found

    def _keep(self, key: tuple[torch.Size, int, int], result: tuple[Tensor, T]) -> None:
        if (before := self._kept.pop(key, None)) is not None:  # other images of the same sum
            self.bytes -= _bytes(before)
        self._kept[key] = result
        self.bytes += _bytes(result)
        while len(self._kept) > self.size or (self.bytes > self.max_bytes and len(self._kept) > 1):
            self.bytes -= _bytes(self._kept.popitem(last=False)[1])


def _bytes(found: object) -> int:
    """Of the tensors in a result; the rest is small."""
    if isinstance(found, Tensor):
        return found.nbytes
    return sum(map(_bytes, found)) if isinstance(found, tuple) else 0
