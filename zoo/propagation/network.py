"""Networks of random weights or random units as one deterministic network: their expected prediction in one pass."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from zoo.layers import bayesian_layers
from zoo.layers.order import pooling_first
from zoo.layers.replacement import copy_with
from zoo.propagation.layers import RandomWeights, propagate
from zoo.propagation.moments import Moments, certain, log_softmax_logistic, log_softmax_simplified, noisy


class PropagatedNetwork(nn.Module):
    """Images (B, C, H, W) -> (B, K) log-probabilities of a mean-field network, by its moments in place of draws.

    The posterior is that of the moment: later training does not reach it. Raises ValueError, when it is called, for a
    layer that no rule propagates moments through.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        with torch.no_grad():
            fixed: dict[nn.Module, nn.Module] = {layer: RandomWeights(layer) for layer in bayesian_layers(network)}
        made = copy_with(network, fixed).eval()
        if type(made) is nn.Sequential:  # a maximum commutes with a monotone activation, which then has less to do
            made = nn.Sequential(*(column[0] for column in pooling_first([(layer,) for layer in made])))
        self.network: nn.Module = made

    def logits(self, x: Tensor) -> Moments:
        """Mean and variance of the logits, (B, K) each."""
        return propagate(self.network, certain(x))

    def forward(self, x: Tensor) -> Tensor:
        return log_softmax_logistic(self.logits(x))


class BeliefNetwork(nn.Sequential):
    """Images (B, C, H, W) -> (B, K) log-probabilities of a chain of layers and stochastic units, propagated (AP2).

    noise: variance of the Gaussian noise that pixels from 0 to 1 are taken to have. It is trained as it predicts:
    through the simplified softmax, as in Shekhovtsov and Flach 2018.
    """

    def __init__(self, layers: OrderedDict[str, nn.Module], noise: float) -> None:
        super().__init__(layers)
        self.noise = noise

    def extra_repr(self) -> str:
        return f"noise={self.noise:g}"

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in nn.Sequential
        return log_softmax_simplified(propagate(self, noisy(input, self.noise)))
