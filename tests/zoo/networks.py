"""Small networks for images (B, 1, 28, 28), and entries that hold them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.catalogue.entry import ZooEntry
from zoo.seeding import forked_random_state, private_generator

Factory = Callable[[], nn.Module]
X = torch.rand(4, 1, 28, 28, generator=private_generator("conformance"))


def entry(factory: Factory, family: str = "bayesian", **options: object) -> ZooEntry:
    name = str(options.pop("name", "mnist/under-test"))
    return ZooEntry(name, "mnist", family, factory, None, Path(__file__), **options)


def linear(seed: int = 0) -> nn.Module:
    with forked_random_state(seed):
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


class After(nn.Module):
    """A linear network and something after it."""

    def __init__(self, change: Callable[[Tensor], Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Flatten(), *layers, nn.Linear(784, 10))
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.inner(x))


class Noisy(nn.Module):
    """A layer that samples whatever its mode, as the layers of other Bayesian libraries do."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Drawing(nn.Module):
    """A network whose draws are what a function of the generator gives."""

    def __init__(self, draw: Callable[[torch.Generator], nn.Module]) -> None:
        super().__init__()
        self.draw = draw


class Wrapper(nn.Module):
    """As Torch-Uncertainty's wrappers: (B, C, H, W) -> (M B, K), one member after the other."""

    def __init__(self, networks: list[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([network(x) for network in self.networks])
