"""The same networks built from other libraries' Bayesian layers, as far as those are installed."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable
from typing import Any

from torch import nn

from zoo.networks import LayerKit, bayesian


def peer_kits() -> dict[str, LayerKit]:
    """Layer kits by name. The first samples activations, as Kingma et al. 2015; it is always there."""
    kits = {"activation sampling (Kingma et al.)": bayesian(sampling="activations")}
    for name, kit in _PEERS.items():
        with contextlib.suppress(ImportError):
            kits[name] = kit()
    return kits


def missing_peers() -> list[str]:
    """The libraries that cannot be imported here."""
    kits = peer_kits()
    return [name for name in _PEERS if name not in kits]


def _bayesian_torch(kind: str) -> LayerKit:
    layers = importlib.import_module("bayesian_torch.layers")
    conv, linear = getattr(layers, f"Conv2d{kind}"), getattr(layers, f"Linear{kind}")
    return LayerKit(_without_kl(conv), _without_kl(linear), nn.Softplus)


def _without_kl(layer: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Its layers return their KL beside the output unless they are told not to."""

    def make(*arguments: Any, **options: Any) -> nn.Module:
        made = layer(*arguments, **options)
        made.forward = functools.partial(made.forward, return_kl=False)
        return made

    return make


def _blitz() -> LayerKit:
    modules = importlib.import_module("blitz.modules")

    def conv(channels_in: int, channels_out: int, kernel: int, **options: Any) -> nn.Module:
        made: nn.Module = modules.BayesianConv2d(channels_in, channels_out, (kernel, kernel), **options)
        return made

    return LayerKit(conv, modules.BayesianLinear, nn.Softplus)


def _torch_uncertainty() -> LayerKit:
    layers = importlib.import_module("torch_uncertainty.layers.bayesian")
    return LayerKit(layers.BayesConv2d, layers.BayesLinear, nn.Softplus)


_PEERS: dict[str, Callable[[], LayerKit]] = {
    "bayesian-torch, reparameterisation": functools.partial(_bayesian_torch, "Reparameterization"),
    "bayesian-torch, flipout": functools.partial(_bayesian_torch, "Flipout"),
    "blitz": _blitz,
    "torch-uncertainty": _torch_uncertainty,
}
