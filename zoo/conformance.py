"""What is refused when a network is loaded: mistakes that would make every number about it wrong.

Each refusal is a ValueError with the name of the entry and what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.datasets import dataset_spec
from zoo.posterior import posterior_draws
from zoo.seeding import derive_seed, forked_random_state, private_generator

if TYPE_CHECKING:
    from zoo.entry import ZooEntry


COLLAPSED = 1e-4  # largest difference between two draws' logits, relative to the largest logit


def check_network(entry: ZooEntry, network: nn.Module) -> None:
    """Check a loaded network on black, white and random images and raise ValueError for what must not be evaluated.

    Refused: a wrong number of classes, probabilities in place of logits, NaN, an output without a gradient to the
    input, draws that are not frozen, draws that do not differ under a family other than `frequentist`.
    """
    spec = dataset_spec(entry.dataset)
    noise = torch.rand((4, *spec.shape), generator=private_generator("probe", entry.dataset))
    pixels = torch.cat([noise, torch.zeros(1, *spec.shape), torch.ones(1, *spec.shape)]).requires_grad_()
    first, second = _two_draws(entry, network)
    logits, again, other = (_logits(entry, draw, pixels, seed) for draw, seed in ((first, 0), (first, 1), (second, 2)))

    if logits.shape != (6, spec.classes):
        raise ValueError(
            f"{entry.name}: output of shape {tuple(logits.shape)} for 6 images; {entry.dataset} needs "
            f"(6, {spec.classes}), one logit a class"
        )
    if not logits.isfinite().all():
        raise ValueError(f"{entry.name}: NaN or infinite outputs on pixels in [0, 1]; check weights and forward")
    total = logits.sum(-1)
    if (logits >= 0).all() and torch.allclose(total, torch.ones_like(total), atol=1e-4):
        raise ValueError(
            f"{entry.name}: returns probabilities; a further softmax would squash its gradients. Return logits or "
            "log-probabilities"
        )
    if not _reaches(logits, pixels):
        raise ValueError(
            f"{entry.name}: the output has no gradient with respect to the image; do not detach it or use "
            "torch.no_grad() in forward"
        )
    if not torch.equal(logits, again):
        if entry.is_deterministic:
            raise ValueError(
                f"{entry.name}: registered as 'frequentist', but two passes differ: register it under another "
                "family, so that predictions are averaged over draws"
            )
        raise ValueError(
            f"{entry.name}: two passes of one posterior draw differ, so it is not frozen: a draw must be "
            "deterministic (remove dropout and other noise from what draw() returns or from the layers around it)"
        )
    if not entry.is_deterministic and (logits - other).abs().max() <= COLLAPSED * logits.abs().max():
        raise ValueError(
            f"{entry.name}: family {entry.family!r}, but its posterior draws do not differ: the posterior is "
            "degenerate. Offer draw(generator) or layers that sample, or register it as 'frequentist'"
        )


def _two_draws(entry: ZooEntry, network: nn.Module) -> list[nn.Module]:
    if entry.is_deterministic:
        return [network, network]
    try:
        draws = posterior_draws(network, 2, derive_seed("probe", entry.name))
    except Exception as error:  # whatever a user's draw() raises
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{entry.name}: draw(generator) failed: {what}; it takes a torch.Generator") from error
    for draw in draws:
        if not isinstance(draw, nn.Module):
            raise ValueError(f"{entry.name}: draw(generator) returned {type(draw).__name__}, not an nn.Module")
    return draws


def _logits(entry: ZooEntry, network: nn.Module, pixels: Tensor, seed: int) -> Tensor:
    """One pass under a global random state of its own: a frozen network gives the same for every seed."""
    try:
        with forked_random_state(seed):
            logits = network.eval()(pixels)
    except Exception as error:  # whatever a user's network raises
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{entry.name}: fails on images of shape {tuple(pixels.shape)}: {what}") from error
    if not isinstance(logits, Tensor):
        raise ValueError(f"{entry.name}: returns {type(logits).__name__}; return one tensor of logits (B, K)")
    return logits


def _reaches(logits: Tensor, pixels: Tensor) -> bool:
    """Whether the output depends differentiably on the image."""
    if not logits.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(logits.sum(), pixels, retain_graph=True, allow_unused=True)
    return gradient is not None


def require_device(device: str) -> None:
    """Raises ValueError if nothing can be computed on `device` here."""
    try:
        torch.zeros(1, device=device).sum().item()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {device} is not available here: {str(error).splitlines()[0]}") from error
