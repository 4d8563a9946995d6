"""Any network with linear and convolutional layers as its mean-field twin."""

from __future__ import annotations

from collections.abc import Collection
from typing import Unpack

from torch import nn
from torch.nn.utils import parametrize

from zoo.layers.convolution import Conv2d
from zoo.layers.meanfield import MeanFieldLayer, Options
from zoo.layers.replacement import copy_with
from zoo.seeding import derive_seed, forked_random_state

# Their output is linear in weight and bias, each of whose elements an output meets at most once.
CONVERTIBLE: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


def make_bayesian(
    network: nn.Module,
    layers: Collection[str] | None = None,
    *,
    from_weights: bool = True,
    seed: int = 0,
    **options: Unpack[Options],
) -> nn.Module:
    """A copy of `network` with a mean-field posterior over the weights of its linear and convolutional layers.

    layers: names (of `network.named_modules()`) of those that become Bayesian, such as the last one alone; all by
        default. What has weights of another kind (normalisation, embeddings) stays as it is.
    from_weights: whether the posterior means begin at the network's weights; otherwise at random, see `Options`.
    seed: what random initial values are derived from.
    options: prior, mu, rho, variance, sampling; see `Options`.

    `zoo.posteriors.posterior_mean` is the way back. Raises ValueError for a name that is not there, for a layer that
    cannot be converted, for two layers that share a weight, and if there is nothing to convert.
    """
    chosen = _chosen(network, layers)
    _require_separate_weights(network, chosen)
    return copy_with(
        network, {layer: _twin(name, layer, from_weights, seed, options) for name, layer in chosen.items()}
    )


def _twin(name: str, layer: nn.Module, from_weights: bool, seed: int, options: Options) -> MeanFieldLayer:
    try:
        with forked_random_state(derive_seed("make_bayesian", name, seed)):
            twin = MeanFieldLayer(layer, **options)
        if from_weights:
            twin.start_at(layer)
    except ValueError as error:
        raise ValueError(f"layer {name}: {error}") from error
    weight = next(layer.parameters())
    return twin.to(weight.device).train(layer.training).requires_grad_(weight.requires_grad)


def _chosen(network: nn.Module, layers: Collection[str] | None) -> dict[str, nn.Module]:
    """The layers to convert, by name."""
    if isinstance(layers, str) or (layers is not None and not layers):
        raise ValueError(f"layers takes names, such as ['fc'], not {layers!r}")
    named = dict(network.named_modules(remove_duplicate=False))
    if layers is not None:
        if missing := sorted(set(layers) - set(named)):
            raise ValueError(f"no layer {missing[0]!r} in the network; there are: {', '.join(filter(None, named))}")
        chosen = {name: layer for name, layer in named.items() if name in layers}
    else:
        chosen = {name: layer for name, layer in named.items() if isinstance(layer, CONVERTIBLE)}
    if not chosen:
        raise ValueError(f"{type(network).__name__} has no linear or convolutional layer to make Bayesian")
    for name, layer in chosen.items():
        if reason := _why_not(layer):
            remedy = "leave it out with layers=..." if layers is None else "take it out of layers"
            raise ValueError(f"layer {name} cannot be converted, {reason}: {remedy}")
    return chosen


def _why_not(layer: nn.Module) -> str | None:
    """Why a layer cannot be converted: it is more than a map that is linear in its weight and bias. None if it can."""
    if parametrize.is_parametrized(layer):
        return "its weights are parametrized"
    if type(layer) not in CONVERTIBLE:
        # a subclass may use its weights in ways of its own, or be used by another module through them
        return f"it is a {type(layer).__name__}"
    if not set(dict(layer.named_parameters())) <= {"weight", "bias"} or not isinstance(layer.weight, nn.Parameter):
        return "its weights are made of others (normalised or pruned)"
    if layer._forward_hooks or layer._forward_pre_hooks:
        return "it has forward hooks"
    return None


def _require_separate_weights(network: nn.Module, chosen: dict[str, nn.Module]) -> None:
    """Raises ValueError where layers share a weight: it would have two posteriors, or two draws in a forward pass."""
    owners: dict[int, str] = {}
    for name, layer in network.named_modules(remove_duplicate=False):
        for parameter in layer.parameters(recurse=False):
            other = owners.setdefault(id(parameter), name)
            if other != name and (name in chosen or other in chosen):
                raise ValueError(f"layers {other} and {name} share a weight: their posteriors could not")
