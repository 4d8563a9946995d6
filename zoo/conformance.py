"""What is refused when a network is loaded: mistakes that would make every number about it wrong.

Each refusal is a ValueError with the name of the entry and what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.datasets import dataset_spec
from zoo.posterior import SeededPass, posterior_draws
from zoo.seeding import derive_seed, private_generator

if TYPE_CHECKING:
    from zoo.entry import ZooEntry


def check_network(entry: ZooEntry, network: nn.Module) -> None:
    """Check a loaded network on random pixels and raise ValueError for what must not be evaluated.

    Refused: a wrong number of classes, probabilities in place of logits, NaN, an output without a gradient to
    the input, draws that do not differ under a family other than `frequentist`, draws that differ under it.
    """
    spec = dataset_spec(entry.dataset)
    pixels = torch.rand((4, *spec.shape), generator=private_generator("probe", entry.dataset))
    if entry.is_deterministic:
        passes: list[nn.Module] = [SeededPass(network.eval(), seed) for seed in range(2)]
    else:
        passes = posterior_draws(network, 2, derive_seed("probe", entry.name))
    first, second = passes
    logits, other = _logits(entry, first, pixels), _logits(entry, second, pixels)

    if logits.shape != (4, spec.classes):
        raise ValueError(
            f"{entry.name}: output of shape {tuple(logits.shape)} for 4 images; {entry.dataset} needs "
            f"(4, {spec.classes}), one logit a class"
        )
    if not logits.isfinite().all():
        raise ValueError(f"{entry.name}: NaN or infinite outputs on random pixels in [0, 1]; check the weights")
    total = logits.sum(-1)
    if (logits >= 0).all() and torch.allclose(total, torch.ones_like(total), atol=1e-4):
        raise ValueError(
            f"{entry.name}: returns probabilities; a further softmax would squash its gradients. Return logits or "
            "log-probabilities"
        )
    if not logits.requires_grad:
        raise ValueError(
            f"{entry.name}: the output has no gradient with respect to the image; do not detach it or use "
            "torch.no_grad() in forward"
        )
    same = torch.equal(logits, other)
    if same and not entry.is_deterministic:
        raise ValueError(
            f"{entry.name}: family {entry.family!r}, but its posterior draws do not differ: the posterior is "
            "degenerate. Offer draw(generator) or layers that sample, or register it as 'frequentist'"
        )
    if not same and entry.is_deterministic:
        raise ValueError(
            f"{entry.name}: registered as 'frequentist', but two passes differ: register it under another family, "
            "so that predictions are averaged over draws"
        )


def _logits(entry: ZooEntry, network: nn.Module, pixels: Tensor) -> Tensor:
    try:
        logits = network.eval()(pixels.clone().requires_grad_())
    except Exception as error:  # whatever a user's network raises
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{entry.name}: fails on images of shape {tuple(pixels.shape)}: {what}") from error
    if not isinstance(logits, Tensor):
        raise ValueError(f"{entry.name}: returns {type(logits).__name__}; return one tensor of logits (B, K)")
    return logits
