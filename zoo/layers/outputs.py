"""Networks that return probabilities, as networks that return their logarithms."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from zoo.layers.wrapped import Wrapped


def log_probabilities(probabilities: Tensor) -> Tensor:
    """Their logarithm; of what is smaller than the smallest normal number, that of it: value and gradient are finite.

    A softmax changes nothing about them, so that a cross-entropy is exactly -log p(y | x).
    """
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def with_log_outputs(network: nn.Module) -> nn.Module:
    """A network that returns probabilities (B, K) as one that returns log-probabilities, its posterior with it.

    A chain that ends in a softmax loses nothing where probabilities round to 0 or 1: it ends in its logarithm instead.
    """
    if type(network) is nn.Sequential and type(last := network[-1]) is nn.Softmax and last.dim in (1, -1):
        *layers, (name, _) = network.named_children()
        return nn.Sequential(OrderedDict([*layers, (name, nn.LogSoftmax(last.dim))]))
    return _LogOutputs(network)


class _LogOutputs(Wrapped):
    def around(self, network: nn.Module) -> nn.Module:
        return _LogOutputs(network)

    def forward(self, x: Tensor) -> Tensor:
        return log_probabilities(self.network(x))
