"""Laplace approximations of laplace-torch: the predictive of the linearised network, and sampled weights.

A `Laplace` object predicts by the first (`glm`, probit) unless it is asked otherwise: a deterministic function of the
image, with a gradient. By the second (`nn`) it averages networks with weights drawn from the posterior.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters

from zoo.kind import Randomness
from zoo.layers import log_probabilities
from zoo.structure import is_of


def is_laplace(given: object) -> bool:
    """Whether something is a Laplace approximation of laplace-torch."""
    return is_of(given, "laplace.") and hasattr(given, "likelihood")


def laplace_network(la: Any, randomness: Randomness) -> nn.Module:
    """The network of a fitted `laplace.Laplace(model, "classification", ...)`, which it may change: give it a copy.

    randomness: `draw` for networks with drawn weights, `nn` in that library; anything else for its `glm` predictive.
    Raises ValueError for a regression, one that is not fitted, and draws where there is no distribution of weights.
    """
    if str(getattr(la.likelihood, "value", la.likelihood)) != "classification":
        raise ValueError(f"{type(la).__name__} has the likelihood {la.likelihood!r}; only classification is attacked")
    if getattr(la, "n_outputs", 0) == 0:
        raise ValueError(f"{type(la).__name__} is not fitted: la.fit(train_loader) first")
    if randomness is not Randomness.DRAW:
        return LinearisedPrediction(la)
    if not hasattr(la, "posterior_precision"):
        raise ValueError(f"{type(la).__name__} has no distribution of weights to draw from; leave out randomness")
    return LaplaceDraws(la)


class LinearisedPrediction(nn.Module):
    """(B, C, H, W) -> (B, K) log of the `glm` predictive: p = softmax(f / sqrt(1 + pi / 8 var f)), f linearised."""

    family = "bayesian"

    def __init__(self, la: Any) -> None:
        super().__init__()
        self.la = la
        self.place = nn.Parameter(torch.empty(0))  # attack libraries ask the first parameter where a network is
        la.enable_backprop = la.model.enable_backprop = True  # to the image
        if (last := _last_layer(la)) is not None:  # a copied hook collects its input for what it was copied from
            last._forward_hooks.clear()
            la.model.set_last_layer(la.model._last_layer_name)

    def forward(self, x: Tensor) -> Tensor:
        probabilities: Tensor = self.la(x.to(self.la._device))
        return log_probabilities(probabilities).to(x.device)

    def __deepcopy__(self, memo: dict[int, object]) -> LinearisedPrediction:
        if _last_layer(self.la) is not None:
            self.la.model._features.clear()  # of the last pass, with its graph
        return LinearisedPrediction(copy.deepcopy(self.la, memo))


class LaplaceDraws(nn.Module):
    """Networks with weights drawn from the posterior, and that of its mean, which is the fitted network."""

    def __init__(self, la: Any) -> None:
        super().__init__()
        self.la = la

    def draw(self, generator: torch.Generator) -> nn.Module:
        (weights,) = self.la.sample(1, generator=generator)
        return self._network(weights)

    def mean(self) -> nn.Module:
        return self._network(self.la.mean)

    def _network(self, weights: Tensor) -> nn.Module:
        last = _last_layer(self.la)
        model = self.la.model if last is None else self.la.model.model  # without what looks for its last layer
        sampled = self.la.params if last is None else list(last.parameters())
        memo: dict[int, object] = {id(old): nn.Parameter(torch.empty_like(old)) for old in sampled}
        network: nn.Module = copy.deepcopy(model, memo)
        vector_to_parameters(weights.detach(), [memo[id(old)] for old in sampled])  # type: ignore[misc]
        if last is not None:
            dict(network.named_modules())[self.la.model._last_layer_name]._forward_hooks.clear()
        return network.eval()


def _last_layer(la: Any) -> nn.Module | None:
    """The only random layer; None where all weights are random."""
    last: nn.Module | None = getattr(la.model, "last_layer", None)
    return last
