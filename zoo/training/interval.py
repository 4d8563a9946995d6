"""Interval-bound training: the loss of the worst logits that intervals allow, beside that of the image as it is.

Source: Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust Models",
equations 6 to 12. A mean-field network is trained by one draw a minibatch, whose intervals are an ordinary network's.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.catalogue.recipes import Certified
from zoo.layers import MeanFieldLayer, Preprocess

# layers no output of which falls when an input grows: they take the ends of an interval to its ends
INCREASING = (
    nn.ReLU,
    nn.Softplus,
    nn.Sigmoid,
    nn.Tanh,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.Flatten,
    nn.Identity,
    Preprocess,
)


class Schedule(NamedTuple):
    """eps: of the ball. share: of the worst logits' loss in the whole; the rest is that of the image as it is."""

    eps: float
    share: float


def scheduled(settings: Certified, epochs: float) -> Schedule:
    """After so many epochs: both grow linearly, from 0 when the warm-up is over to what is wanted after the ramp."""
    progress = min(1.0, max(0.0, (epochs - settings.warm_up) / settings.ramp))
    return Schedule(settings.eps * progress, settings.share * progress)


def interval_loss(network: nn.Module, x: Tensor, y: Tensor, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """(B, K) logits of images x (B, C, H, W) with labels y (B,), and the loss, a mean over them.

    Raises ValueError for a network that is no chain of layers with a rule here that ends in a linear one.
    """
    clean, worst = worst_logits(network, x, y, schedule.eps)
    return clean, (1 - schedule.share) * F.cross_entropy(clean, y) + schedule.share * F.cross_entropy(worst, y)


def worst_logits(network: nn.Module, x: Tensor, y: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(B, K) logits of x, and for each class at least how far it may be ahead of y within linf eps and the box.

    What is 0 for y itself. Raises ValueError as `interval_loss` does.
    """
    layers = list(_leaves(network))
    if not layers or not isinstance(layers[-1], nn.Linear | MeanFieldLayer):
        raise ValueError("intervals are for chains of layers that end in a linear one")
    lower, upper = (x - eps).clamp_min(0), (x + eps).clamp_max(1)
    for layer in layers[:-1]:
        if isinstance(layer, INCREASING):
            x, lower, upper = layer(torch.cat([x, lower, upper])).chunk(3)
        else:
            weight, bias = _weights(layer)
            middle, radius = (lower + upper) / 2, (upper - lower) / 2
            x, middle = _affine(layer, torch.cat([x, middle]), weight, bias).chunk(2)
            radius = _affine(layer, radius, weight.abs(), None if bias is None else torch.zeros_like(bias))
            lower, upper = middle - radius, middle + radius
    weight, bias = _weights(layers[-1])
    return F.linear(x, weight, bias), _ahead(weight, bias, y, (lower + upper) / 2, (upper - lower) / 2)


def _ahead(weight: Tensor, bias: Tensor | None, y: Tensor, middle: Tensor, radius: Tensor) -> Tensor:
    """(B, K) the most that f_j - f_y can be, the last layer being one with their difference."""
    difference = weight - weight[y][:, None]  # (B, K, H)
    most = torch.einsum("bkh,bh->bk", difference, middle) + torch.einsum("bkh,bh->bk", difference.abs(), radius)
    return most if bias is None else most + bias - bias[y][:, None]


def _leaves(network: nn.Module) -> list[nn.Module]:
    if isinstance(network, nn.Sequential):
        return [leaf for child in network for leaf in _leaves(child)]
    return [network]


def _weights(layer: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Those of a layer, or one draw of them."""
    if isinstance(layer, MeanFieldLayer):
        return layer.sampled()
    if isinstance(layer, nn.Linear | nn.Conv2d):
        return layer.weight, layer.bias
    raise ValueError(f"no interval of the layer {type(layer).__name__}: interval-bound training has no rule for it")


def _affine(layer: nn.Module, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The layer's output with other weights."""
    if isinstance(layer, MeanFieldLayer):
        return layer.affine(x, weight, bias)
    weights = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    output: Tensor = torch.func.functional_call(layer, weights, (x,))
    return output
