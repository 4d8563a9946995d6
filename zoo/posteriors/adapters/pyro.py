"""Guides of Pyro: distributions over the weights of a network, which draw from the global generator.

Pyro names a weight by where the network stands in the model: `net.fc1.weight` for `fc1.weight`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.seeding import seeded_by
from zoo.structure import is_of


def is_guide(given: object) -> bool:
    """Whether something is a guide of `pyro.infer.autoguide`."""
    return is_of(given, "pyro.infer.autoguide.")


def in_own_names(values: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values by the names of `own`, without what a model puts before all of them and what guides sample beside them."""
    ends = (name.removesuffix(known) for name in values for known in own if name.endswith(f".{known}"))
    prefix = "" if set(values) & set(own) else next(ends, "")
    return {
        name.removeprefix(prefix): value
        for name, value in values.items()
        if not name.endswith(("_unconstrained", "_latent"))
    }


class GuidedNetwork(nn.Module):
    """A network whose weights a guide gives.

    Raises ValueError for a guide that samples something else than the template's weights.
    """

    def __init__(self, template: nn.Module, guide: Any) -> None:
        super().__init__()
        self.template, self.guide = template, guide

    def draw(self, generator: torch.Generator) -> nn.Module:
        with seeded_by(generator), torch.no_grad():
            return self._with(self.guide())

    def mean(self) -> nn.Module:
        with torch.no_grad():
            return self._with(self.guide.median())

    def _with(self, given: Mapping[str, Tensor]) -> nn.Module:
        own = self.template.state_dict()
        weights = in_own_names(given, own)
        if unknown := [name for name in weights if name not in own]:
            raise ValueError(f"the guide samples {', '.join(unknown[:3])}, which the template does not have")
        network = copy.deepcopy(self.template)
        network.load_state_dict({name: weights.get(name, value) for name, value in own.items()})
        return network.eval()
