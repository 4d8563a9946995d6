"""A small network and a batch of images, for tests of attacks."""

from __future__ import annotations

import torch
from torch import nn

from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import private_generator


def small_network(scale: float = 1.0, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.random.manual_seed(seed)
        net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    with torch.no_grad():
        net[3].weight.mul_(scale)
    return net


def prediction_of(network: nn.Module) -> ExpectedPrediction:
    return ExpectedPrediction([network.eval()])


X = torch.rand(7, 1, 8, 8, generator=private_generator("attack images"))
Y = torch.arange(7) % 5
EXAMPLES = tuple(range(100, 107))
