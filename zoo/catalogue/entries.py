"""The networks that come with the zoo: the recipes that have been trained, cards beside weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import zoo
from zoo.catalogue.recipes import MAPS, RECIPES, Recipe
from zoo.catalogue.registry import register_model

if TYPE_CHECKING:
    from torch import nn


WEIGHTS = Path(zoo.__file__).parent / "weights"


def network_of(recipe: Recipe, dataset: str) -> nn.Module:
    """The network that a recipe's weights fit: one, or with a sampler as many as it keeps."""
    from zoo.networks import build_network
    from zoo.posteriors import SampledNetwork

    network = build_network(recipe.architecture, dataset)
    if recipe.sampler is None:
        return network
    return SampledNetwork(network, recipe.sampler.size, is_sample=recipe.family != "ensemble")


def _register(name: str, recipe: Recipe) -> None:
    dataset = name.split("/", maxsplit=1)[0]
    weights = WEIGHTS / f"{name}.safetensors"

    @register_model(name, dataset=dataset, family=recipe.family, weights=weights, map=MAPS.get(name))
    def factory() -> nn.Module:
        return network_of(recipe, dataset)


for _name, _recipe in RECIPES.items():
    # a card without its weights is a damaged installation, which is said when the entry is used
    if (WEIGHTS / f"{_name}.json").is_file():
        _register(_name, _recipe)
