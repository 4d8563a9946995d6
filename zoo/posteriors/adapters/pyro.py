"""Guides of Pyro: distributions over the weights of a network, which draw from the global generator."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from zoo.seeding import seeded_by
from zoo.structure import is_of


def is_guide(given: object) -> bool:
    """Whether something is a guide of `pyro.infer.autoguide`."""
    return is_of(given, "pyro.infer.autoguide.")


class GuidedNetwork(nn.Module):
    """A network whose weights a guide gives, by the names that they have in the network.

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

    def _with(self, weights: dict[str, torch.Tensor]) -> nn.Module:
        own = self.template.state_dict()
        if unknown := [name for name in weights if name not in own]:
            raise ValueError(f"the guide samples {', '.join(unknown[:3])}, which the template does not have")
        network = copy.deepcopy(self.template)
        network.load_state_dict({name: weights.get(name, value) for name, value in own.items()})
        return network.eval()
