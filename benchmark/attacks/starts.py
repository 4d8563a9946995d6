"""Where an attack begins that walks along the decision boundary: at images of another label."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.attacks.balls import distances
from benchmark.attacks.methods import Norm

TRIES = 50  # batches of noise


@torch.no_grad()
def adversarial_starts(model: nn.Module, x: Tensor, y: Tensor, norm: Norm) -> tuple[Tensor, Tensor, Tensor]:
    """Which images (B,) are classified as their label and have starts; starts in noise, and at images (B, C, H, W).

    An image's start at another is the nearest of the batch that is not classified as its label. Noise is uniform on any
    background, of any contrast. Where one of the two is not to be had, the other stands in. Random numbers are torch's:
    `craft` seeds them.
    """
    predicted = model(x).argmax(1)
    right = predicted == y
    usable = predicted[None, :] != y[:, None]  # (image, start)
    between = torch.stack([distances(one.expand_as(x), x, norm) for one in x])
    found, starts = usable.any(1), x[between.masked_fill(~usable, torch.inf).argmin(1)]
    noisy, noise = torch.zeros_like(found), x.clone()
    for _ in range(TRIES):
        if bool((noisy | ~right).all()):
            break
        candidate = _noise(x)
        new = ~noisy & (model(candidate).argmax(1) != y)
        noise[new], noisy = candidate[new], noisy | new
    stand_in = found & ~noisy
    noise[stand_in] = starts[stand_in]
    starts[~found] = noise[~found]
    return right & (found | noisy), noise, starts


def _noise(x: Tensor) -> Tensor:
    low, high = (torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) for _ in range(2))
    return (low + (high - low) * torch.rand_like(x)).to(x)
