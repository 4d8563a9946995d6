"""A small network fitted to a few images, and what the zoo makes of what another library makes of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmark.networks import Settings, entries_of
from zoo import ZooEntry
from zoo.datasets import load_split
from zoo.kind import Said
from zoo.seeding import forked_random_state, private_generator

X = torch.rand(4, 1, 28, 28, generator=private_generator("foreign"))


def images(count: int = 256) -> tuple[Tensor, Tensor]:
    split = load_split("mnist", "test", None, False)
    return torch.tensor(split.images[:count]).float() / 255, torch.tensor(split.labels[:count])


def loader() -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(*images()), 64)


def fitted(*layers: nn.Module, seed: int = 0) -> nn.Module:
    """8 hidden units, after which further layers may stand, and a few steps of training."""
    with forked_random_state(seed):
        net = nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), *layers, nn.Linear(8, 10))
        optimiser, (x, y) = torch.optim.Adam(net.parameters(), 0.02), images()
        for _ in range(30):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimiser.step()
    return net.eval()


def entry_of(given: Any, **options: Any) -> ZooEntry:
    """The entry that `evaluate(given, "mnist", **options)` makes."""
    template = options.pop("template", None)
    (entry,) = entries_of(given, Settings("mnist", template=template, said=Said(**options)))
    return entry


FAST = {"suite": "smoke", "examples": 3, "attacks": ["fgsm", "pgd-l2"]}
