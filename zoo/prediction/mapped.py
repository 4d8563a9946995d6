"""Networks of any one architecture evaluated in one pass: (B, C, H, W) -> (S, B, K).

`torch.func.vmap` evaluates the architecture over weights that are stacked along a first axis. Weights that all networks
share are not stacked, so that what comes before the first that differs is evaluated once, and not S times: of a network
whose last layer alone is Bayesian, all but that layer.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.conv import _ConvNd

from zoo.layers.image import channels_last
from zoo.layers.replacement import copy_with
from zoo.prediction.architecture import differs, is_one_architecture, values_of


class MappedDraws(nn.Module):
    """The networks' logits in one pass. Raises ValueError if they differ in anything but the values of their weights.

    What `vmap` cannot do, such as a branch on values, is done one network after the other, with the same numbers.
    in_one_pass: False once that has happened.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        if not is_one_architecture(networks):
            raise ValueError("one pass needs networks that differ in nothing but the values of their weights")
        self.draws, self.in_one_pass = len(networks), True
        every = [values_of(network) for network in networks]
        self._architecture = (_without_values(networks[0]),)  # in a tuple, so that it is no submodule
        self._axes = {name: 0 if differs(every, name) else None for name in every[0]}
        self._dimensions = {name: value.ndim for name, value in every[0].items()}
        self.stacks = nn.ParameterList(
            nn.Parameter(every[0][name] if axis is None else _joined([values[name] for values in every]), False)
            for name, axis in self._axes.items()
        )

    def forward(self, x: Tensor) -> Tensor:
        x = channels_last(x) if x.ndim == 4 else x
        if self.in_one_pass:
            try:
                logits: Tensor = vmap(self._logits, in_dims=(self._axes, None))(self._values(), x)
                return logits
            except Exception:  # whatever vmap raises; an error of the networks' own is raised again by the loop
                logits, self.in_one_pass = self._looped(x), False
                return logits
        return self._looped(x)

    def _looped(self, x: Tensor) -> Tensor:
        values, axes = self._values(), self._axes
        each = [
            {name: value if axes[name] is None else value[draw] for name, value in values.items()}
            for draw in range(self.draws)
        ]
        return torch.stack([self._logits(one, x) for one in each])

    def _logits(self, values: Mapping[str, Tensor], x: Tensor) -> Tensor:
        logits: Tensor = functional_call(self._architecture[0], dict(values), (x,))
        return logits

    def _values(self) -> dict[str, Tensor]:
        """By name: (S, ...) where the networks differ, else what they share."""
        return {
            name: stack.unflatten(0, (self.draws, -1)) if axis == 0 and stack.ndim == self._dimensions[name] else stack
            for (name, axis), stack in zip(self._axes.items(), self.stacks, strict=True)
        }


def shared_convolutions(networks: Sequence[nn.Module]) -> float:
    """Which share of the convolutions of networks of one architecture come before the first that differs: 0 to 1.

    In the order in which the networks hold them; 1 where none differs, or there is none.
    """
    every = [values_of(network) for network in networks]
    names = [name for name, layer in networks[0].named_modules() if isinstance(layer, _ConvNd)]
    same = (
        not any(differs(every, f"{name}.{value}") for value in ("weight", "bias") if f"{name}.{value}" in every[0])
        for name in names
    )
    return sum(itertools.takewhile(bool, same)) / len(names) if names else 1.0


def _without_values(network: nn.Module) -> nn.Module:
    """A copy that has a forward pass, but no weights; what has two names in the network has them in the copy."""
    shapes = {value: torch.empty_like(value, device="meta") for value in (*network.parameters(), *network.buffers())}
    return copy_with(
        network,
        {
            value: nn.Parameter(shape, False) if isinstance(value, nn.Parameter) else shape
            for value, shape in shapes.items()
        },
    )


def _joined(values: list[Tensor]) -> Tensor:
    """(S, ...), but of convolutions (S C', C, k, k): torch has no channels_last for five axes."""
    return torch.cat(values) if values[0].ndim == 4 else torch.stack(values)
