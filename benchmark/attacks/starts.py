"""Where an attack begins that walks along the decision boundary: at images of another label."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from benchmark.attacks.methods import Norm
from benchmark.attacks.seen import distances

TRIES = 50  # batches of noise


@torch.no_grad()
def adversarial_starts(model: nn.Module, x: Tensor, y: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
    """Which images (B,) are classified as their label and have a start, and all starts (B, C, H, W).

    A start is the nearest other image of the batch that is classified otherwise than the label; where all are
    classified alike, an image's own negative or mirror image, or noise. Random numbers are torch's: `craft` seeds them.
    """
    predicted = model(x).argmax(1)
    right = predicted == y
    usable = predicted[None, :] != y[:, None]  # (image, start)
    between = torch.stack([distances(one.expand_as(x), x, norm) for one in x])
    nearest = between.masked_fill(~usable, torch.inf).argmin(1)
    starts, found = x[nearest], usable.any(1)
    for candidate in _candidates(x):
        if bool((found | ~right).all()):
            break
        new = ~found & (model(candidate).argmax(1) != y)
        starts[new], found = candidate[new], found | new
    return right & found, starts


def _candidates(x: Tensor) -> Iterator[Tensor]:
    """Batches of images that resemble none: noise on any background, of any contrast."""
    yield 1 - x
    yield x.flip(-1)
    yield x.flip(-2)
    shape = (len(x), *[1] * (x.ndim - 1))
    for _ in range(TRIES):
        low, high = (torch.rand(shape, device=x.device) for _ in range(2))
        yield (low + (high - low) * torch.rand_like(x)).to(x)
