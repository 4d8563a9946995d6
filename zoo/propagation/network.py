"""A Bayesian network as one deterministic network: its expected prediction in one pass."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from zoo.layers import bayesian_layers
from zoo.propagation.layers import RandomWeights, propagate
from zoo.propagation.moments import certain, log_softmax_logistic


class PropagatedNetwork(nn.Module):
    """Images (B, C, H, W) -> (B, K) log-probabilities of a mean-field network, by its moments in place of draws.

    The posterior is that of the moment: later training does not reach it. Raises ValueError, when it is called, for a
    layer that no rule propagates moments through.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        with torch.no_grad():
            fixed = {id(layer): RandomWeights(layer) for layer in bayesian_layers(network)}
        # deepcopy takes what it finds in its memo
        self.network: nn.Module = copy.deepcopy(network, dict(fixed)).eval()

    def forward(self, x: Tensor) -> Tensor:
        return log_softmax_logistic(propagate(self.network, certain(x)))
