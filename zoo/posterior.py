"""Frozen posterior draws of any network, as ordinary deterministic modules.

A network takes part in one of three ways:

1. it contains the project's mean-field layers: a draw is a copy with plain layers in their place;
2. it has a method `draw(generator) -> nn.Module` of its own (and `mean() -> nn.Module` if it has a mean);
3. it is merely stochastic in `forward` (MC dropout, layers of Bayesian-Torch, BLiTZ and other libraries): a draw is
   the same module evaluated under a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from zoo.layers import bayesian_layers
from zoo.layers.replacement import copy_with
from zoo.seeding import derive_seed, forked_random_state

# Libraries whose mean-field layers keep sigma = softplus(rho) in parameters called rho, weight_rho, rho_kernel, ...
_RHO_LIBRARIES = ("bayesian_torch", "blitz")


class SeededPass(nn.Module):
    """A stochastic forward pass made deterministic: the same seed before every call, on a forked random state.

    Dropout stays on, everything else is in evaluation mode. Layers that sample per example (dropout, local
    reparameterisation) then see the same noise at the same position of a batch of the same shape. Of what networks
    for Bayesian-Torch return, (logits, KL), it keeps the logits.
    """

    def __init__(self, module: nn.Module, seed: int) -> None:
        super().__init__()
        self.module, self.seed = module, seed

    def train(self, mode: bool = True) -> SeededPass:
        """Does nothing: `eval()` would turn dropout, and with it the posterior, off."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        with forked_random_state(self.seed, x.device):
            output = self.module(x)
        logits: Tensor = output[0] if _is_logits_and_kl(output) else output
        return logits


def posterior_draws(module: nn.Module, count: int, seed: int) -> list[nn.Module]:
    """`count` frozen draws; the first n of them do not depend on `count`.

    Deterministic in `seed`, which never touches the global random state. A module without mean-field layers and
    without a `draw` method is taken to be stochastic in `forward` and wrapped in `SeededPass`.
    """
    if count < 1:
        raise ValueError(f"at least one posterior draw is needed, not {count}")
    generator = torch.Generator().manual_seed(seed)
    if (own_draw := _own_method(module, "draw")) is not None:
        return [own_draw(generator) for _ in range(count)]
    if layers := bayesian_layers(module):
        return [copy_with(module, {layer: layer.draw(generator) for layer in layers}).eval() for _ in range(count)]
    stochastic = copy_with(module, {}).eval()
    for part in stochastic.modules():
        if isinstance(part, _DropoutNd):
            part.train()
    return [SeededPass(stochastic, derive_seed(seed, index)) for index in range(count)]


def has_mean(module: nn.Module) -> bool:
    """Whether `posterior_mean` is defined for a network."""
    return _own_method(module, "mean") is not None or bool(bayesian_layers(module)) or bool(_foreign_rhos(module))


def posterior_mean(module: nn.Module) -> nn.Module:
    """The network with the posterior mean as its weights. Raises ValueError where no mean is defined."""
    if (own_mean := _own_method(module, "mean")) is not None:
        mean: nn.Module = own_mean()
        return mean
    if layers := bayesian_layers(module):
        return copy_with(module, {layer: layer.mean() for layer in layers})
    without_spread = copy_with(module, {}).eval()
    if rhos := _foreign_rhos(without_spread):
        for rho in rhos:
            rho.data.fill_(-torch.inf)  # softplus of which is 0
        return SeededPass(without_spread, 0)  # it still draws the noise that it multiplies by 0
    raise ValueError(
        f"{type(module).__name__} has no posterior mean: give it a method mean() -> nn.Module, or do not use the "
        "gradient target 'mean-weights' with it"
    )


def is_foreign(layer: nn.Module) -> bool:
    """Whether a layer is of a Bayesian library that is known here, or of a subclass."""
    return any(kind.__module__.split(".")[0] in _RHO_LIBRARIES for kind in type(layer).__mro__)


def _own_method(module: nn.Module, name: str) -> Callable[..., nn.Module] | None:
    """A network's own `draw` or `mean`; a layer of that name is none."""
    found = getattr(module, name, None)
    return found if callable(found) and not isinstance(found, nn.Module) else None


def _foreign_rhos(module: nn.Module) -> list[nn.Parameter]:
    return [
        parameter
        for layer in module.modules()
        if is_foreign(layer)
        for name, parameter in layer.named_parameters(recurse=False)
        if "rho" in name
    ]


def _is_logits_and_kl(output: object) -> bool:
    return (
        isinstance(output, tuple)
        and len(output) == 2
        and isinstance(output[0], Tensor)
        and (isinstance(output[1], float | int) or (isinstance(output[1], Tensor) and output[1].numel() == 1))
    )
