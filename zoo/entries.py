"""The networks that come with the zoo. Their recipes are in `zoo.recipes`, their cards beside their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.recipes import RECIPES
from zoo.registry import register_model

if TYPE_CHECKING:
    from torch import nn


def _register(name: str, dataset: str, architecture: str) -> None:
    family = "bayesian" if architecture.startswith("bayesian-") else "frequentist"

    @register_model(name, dataset=dataset, family=family, weights=f"weights/{name}.safetensors")
    def factory() -> nn.Module:
        from zoo.networks import build_network

        return build_network(architecture, dataset)


for _name, _recipe in RECIPES.items():
    _register(_name, _name.split("/")[0], _recipe.architecture)
