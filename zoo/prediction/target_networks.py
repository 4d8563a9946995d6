"""Which networks of a posterior a gradient target takes, and whether it has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.posteriors import Kind, MeanFieldPosterior, Posterior, posterior_mean
from zoo.propagation.network import PropagatedNetwork
from zoo.targets import TARGETS, Networks


class Drawn(NamedTuple):
    """Networks in evaluation mode, and how much each counts; None where they count alike."""

    networks: list[nn.Module]
    weights: list[float] | None = None


def networks_of(
    wanted: Networks,
    network: nn.Module,
    posterior: Posterior,
    draws: int,
    seed: int,
    instead: list[nn.Module] | None = None,
) -> Drawn:
    """Of `draws` draws those that are wanted. posterior: of the network. instead: earlier draws, needed no more.

    Raises ValueError for a mean where none is defined, and for less than one draw.
    """
    weights = None
    if instead is not None and isinstance(posterior, MeanFieldPosterior):
        posterior.redraw(instead, seed)
        return Drawn(instead)
    match wanted:
        case Networks.MEAN:
            found = [posterior_mean(network, posterior)]
        case Networks.PROPAGATED:
            found = [network if posterior.kind is Kind.POINT else PropagatedNetwork(network)]
        case Networks.FIRST:
            found = posterior.draws(1, seed)
        case Networks.IN_TURN:
            found = posterior.draws(draws, seed)
        case Networks.DRAWS:
            found, weights = posterior.draws(draws, seed), posterior.weights(draws, seed)
    return Drawn([one.eval() for one in found], weights)


def undefined_targets(network: nn.Module, posterior: Posterior, image: Tensor) -> tuple[str, ...]:
    """The gradient targets that there are not for a network. image: (1, C, H, W), on which it is tried."""
    return tuple(name for name, target in TARGETS.items() if not _has(target.networks, network, posterior, image))


def _has(wanted: Networks, network: nn.Module, posterior: Posterior, image: Tensor) -> bool:
    match wanted:
        case Networks.MEAN:
            return posterior.mean is not None and _answers(posterior.mean, image)
        case Networks.PROPAGATED:
            of_layers = isinstance(posterior, MeanFieldPosterior) and _propagates(network, image)
            return of_layers or posterior.kind is Kind.POINT
        case Networks.DRAWS | Networks.FIRST | Networks.IN_TURN:
            return True


def _answers(mean: Callable[[], nn.Module], image: Tensor) -> bool:
    """Whether the network of the mean is there and takes an image.

    A network that reads the distributions in its layers has none where plain layers stand in their place.
    """
    try:
        with torch.no_grad():
            mean().eval()(image)
    except Exception:  # whatever a user's network raises: it has no such target, and is attacked by all others
        return False
    return True


def _propagates(network: nn.Module, image: Tensor) -> bool:
    """Whether there is a rule for the moments of every layer."""
    try:
        with torch.no_grad():
            PropagatedNetwork(network)(image)
    except ValueError:
        return False
    return True
