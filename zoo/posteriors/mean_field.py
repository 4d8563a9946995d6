"""The project's mean-field layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from zoo.kind import Kind
from zoo.layers import MeanFieldLayer, bayesian_layers
from zoo.layers.meanfield import sample
from zoo.layers.replacement import copy_with
from zoo.posteriors.posterior import DrawnAlike, require_count


class MeanFieldPosterior(DrawnAlike):
    """A Gaussian for every weight of the project's mean-field layers."""

    kind = Kind.CONTINUOUS
    size = None

    def __init__(self, module: nn.Module, own_mean: Callable[[], nn.Module] | None = None) -> None:
        self.module = module
        self.mean = own_mean or self._mean

    @property
    def what(self) -> str:
        return f"the weights of its mean-field layers ({len(bayesian_layers(self.module))})"

    def draws(self, count: int, seed: int) -> list[nn.Module]:
        """As of every posterior. Weights that are not random are the same tensors in all draws."""
        require_count(count)
        first = self._mean().eval()
        for name in self._layers():
            first.get_submodule(name).requires_grad_(False)
        random = {parameter for name in self._layers() for parameter in first.get_submodule(name).parameters()}
        fixed = {value: value for value in (*first.parameters(), *first.buffers()) if value not in random}
        networks = [first, *(copy_with(first, fixed) for _ in range(count - 1))]
        self.redraw(networks, seed)
        return networks

    @torch.no_grad()
    def redraw(self, networks: Sequence[nn.Module], seed: int) -> None:
        """Make of networks that `draws` returned those that it returns for another seed, in place: no network is built.

        Fresh draws at each step of an attack would otherwise cost more than their gradients.
        """
        generator = torch.Generator().manual_seed(seed)
        posteriors = {name: list(layer.posterior()) for name, layer in self._layers().items()}
        for network in networks:
            for name, posterior in posteriors.items():
                for parameter, (mu, sigma) in zip(network.get_submodule(name).parameters(), posterior, strict=True):
                    parameter.copy_(sample(mu, sigma, generator))

    def _layers(self) -> dict[str, MeanFieldLayer]:
        return {name: part for name, part in self.module.named_modules() if isinstance(part, MeanFieldLayer)}

    def _mean(self) -> nn.Module:
        means: dict[nn.Module, nn.Module] = {layer: layer.mean() for layer in bayesian_layers(self.module)}
        return copy_with(self.module, means)
