"""What is known of images is found again by every bit, and by nothing less."""

from __future__ import annotations

import torch

from benchmark.attacks.memo import ImageMemo
from zoo.seeding import private_generator

X = torch.rand(2, 1, 3, 3, generator=private_generator("memo"))


def test_the_oldest_is_forgotten() -> None:
    memo = ImageMemo[int](size=2)
    found = [memo(X + k, lambda k=k: k) for k in (0, 1, 2, 2, 0)]
    assert found == [0, 1, 2, 2, 0]
    assert memo.computed == 4


def test_images_that_differ_in_one_bit_or_in_order_are_others() -> None:
    """A swap of two pixels leaves the sum of the bits as it is; -0.0 and 0.0 are equal numbers and other bits."""
    zero, minus = torch.zeros(2, 1, 3, 3), torch.zeros(2, 1, 3, 3)
    minus[0, 0, 0, 0] = -0.0
    swapped = X.flip(3)
    next_ = X.clone()
    next_[1, 0, 2, 2] = torch.nextafter(next_[1, 0, 2, 2], torch.tensor(2.0))
    memo = ImageMemo[str]()
    for name, images in {"x": X, "swapped": swapped, "next": next_, "zero": zero, "minus": minus}.items():
        assert memo(images, lambda name=name: name) == name
    assert memo.computed == 5


def test_a_batch_changed_in_place_is_not_what_is_remembered() -> None:
    memo, images = ImageMemo[int](), X.clone()
    assert memo(images, lambda: 1) == 1
    images += 1
    assert memo(images, lambda: 2) == 2
    assert memo(X, lambda: 3) == 1


def test_no_more_is_kept_than_may_be_and_the_newest_in_any_case() -> None:
    """A batch has 72 bytes, and so has its result."""
    memo = ImageMemo[tuple[torch.Tensor, torch.Tensor]](size=64, max_bytes=300)
    for k in (0, 1, 2, 2, 1, 0):
        found, _ = memo(X + k, lambda k=k: (X + k, torch.empty(0)))
        assert torch.equal(found, X + k)
        assert memo.bytes == 144 * min(2, memo.computed)
    assert memo.computed == 4
    tight = ImageMemo[torch.Tensor](max_bytes=1)
    assert [tight(X, lambda: X).shape for _ in range(3)] == [X.shape] * 3
    assert (tight.computed, tight.bytes) == (1, 144)
