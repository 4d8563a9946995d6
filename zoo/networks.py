"""The architectures, each defined once and instantiated with frequentist or Bayesian layers.

Shapes and parameter counts are those of the appendix of "Robustness of Bayesian Approach to Gradient-Based
Attacks" (Iyer); `tests/zoo/test_networks.py` holds them to it. Every network takes native pixels in [0, 1]
and brings them to what it needs itself, so that an attack works on the images people know.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Unpack

from torch import nn

from zoo.datasets import dataset_spec
from zoo.layers import BayesianConv2d, BayesianLinear, Conv2d, Options, Preprocess
from zoo.lookup import lookup
from zoo.propagation.network import BeliefNetwork
from zoo.propagation.units import LogisticBernoulli


@dataclass(frozen=True)
class LayerKit:
    """What an architecture is built from: one convolution, one linear layer, one activation."""

    conv: Callable[..., nn.Module]
    linear: Callable[..., nn.Module]
    activation: Callable[[], nn.Module]


FREQUENTIST = LayerKit(Conv2d, nn.Linear, nn.ReLU)
FREQUENTIST_SOFTPLUS = LayerKit(Conv2d, nn.Linear, nn.Softplus)


def bayesian(**options: Unpack[Options]) -> LayerKit:
    """Mean-field layers with softplus activations; see `zoo.layers.Options`."""
    return LayerKit(partial(BayesianConv2d, **options), partial(BayesianLinear, **options), nn.Softplus)


def lenet(channels: int, classes: int, kit: LayerKit) -> nn.Sequential:
    """LeNet-5 with max-pooling: 32x32 input, 61,706 weights for one channel."""
    return _named(
        conv1=kit.conv(channels, 6, 5),
        act1=kit.activation(),
        pool1=nn.MaxPool2d(2),
        conv2=kit.conv(6, 16, 5),
        act2=kit.activation(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=kit.linear(400, 120),
        act3=kit.activation(),
        fc2=kit.linear(120, 84),
        act4=kit.activation(),
        fc3=kit.linear(84, classes),
    )


def alexnet(
    channels: int, classes: int, kit: LayerKit, *, last: int = 256, dropout: float | None = 0.5
) -> nn.Sequential:
    """AlexNet cut down to 32x32 input. The Bayesian twin has last=128 and dropout=None."""

    def drop() -> nn.Module | None:
        return None if dropout is None else nn.Dropout(dropout)

    return _named(
        conv1=kit.conv(channels, 64, 11, stride=4, padding=5),
        act1=kit.activation(),
        drop1=drop(),
        pool1=nn.MaxPool2d(2),
        conv2=kit.conv(64, 192, 5, padding=2),
        act2=kit.activation(),
        pool2=nn.MaxPool2d(2),
        conv3=kit.conv(192, 384, 3, padding=1),
        act3=kit.activation(),
        drop3=drop(),
        conv4=kit.conv(384, 256, 3, padding=1),
        act4=kit.activation(),
        conv5=kit.conv(256, last, 3, padding=1),
        act5=kit.activation(),
        drop5=drop(),
        pool3=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        classifier=kit.linear(last, classes),
    )


def conv3fc3(channels: int, classes: int, kit: LayerKit) -> nn.Sequential:
    """3Conv3FC ("SimpleCNN"): three convolutions, three linear layers, softplus in both families."""
    return _named(
        conv1=kit.conv(channels, 32, 5, padding=2),
        act1=kit.activation(),
        pool1=nn.MaxPool2d(3, 2),
        conv2=kit.conv(32, 64, 5, padding=2),
        act2=kit.activation(),
        pool2=nn.MaxPool2d(3, 2),
        conv3=kit.conv(64, 128, 5, padding=1),
        act3=kit.activation(),
        pool3=nn.MaxPool2d(3, 2),
        flatten=nn.Flatten(),
        fc1=kit.linear(512, 1000),
        act4=kit.activation(),
        fc2=kit.linear(1000, 1000),
        act5=kit.activation(),
        fc3=kit.linear(1000, classes),
    )


def perceptron(pixels: int, hidden: int, classes: int, kit: LayerKit) -> nn.Sequential:
    """Two hidden layers on the pixels as they are: the tutorial "Weight Uncertainty in Neural Networks"."""
    return _named(
        flatten=nn.Flatten(),
        fc1=kit.linear(pixels, hidden),
        act1=kit.activation(),
        fc2=kit.linear(hidden, hidden),
        act2=kit.activation(),
        fc3=kit.linear(hidden, classes),
    )


def shallow_perceptron(pixels: int, hidden: int, classes: int, kit: LayerKit) -> nn.Sequential:
    """One hidden layer on the pixels as they are: small enough for full-batch Hamiltonian Monte Carlo."""
    return _named(
        flatten=nn.Flatten(), fc1=kit.linear(pixels, hidden), act1=kit.activation(), fc2=kit.linear(hidden, classes)
    )


def logistic(pixels: int, classes: int) -> nn.Sequential:
    """100 logistic units: the standard network of Shekhovtsov and Flach 2018, section 4, "Stability"."""
    return _named(flatten=nn.Flatten(), fc1=nn.Linear(pixels, 100), act1=nn.Sigmoid(), fc2=nn.Linear(100, classes))


def logistic_ap2(pixels: int, classes: int) -> nn.Sequential:
    """The same with binary units that are 1 with the logistic's probability, mean and variance propagated.

    The paper's text has lost the variance of its input noise; 0.1 is ours.
    """
    layers = dict(logistic(pixels, classes).named_children()) | {"act1": LogisticBernoulli()}
    return BeliefNetwork(OrderedDict(layers), noise=0.1)


# Architectures on 32x32 normalised pixels, from (channels, classes).
_CONVOLUTIONAL: dict[str, Callable[[int, int], nn.Sequential]] = {
    "lenet": lambda channels, classes: lenet(channels, classes, FREQUENTIST),
    "alexnet": lambda channels, classes: alexnet(channels, classes, FREQUENTIST),
    "3conv3fc": lambda channels, classes: conv3fc3(channels, classes, FREQUENTIST_SOFTPLUS),
    "bayesian-lenet": lambda channels, classes: lenet(channels, classes, bayesian()),
    "bayesian-alexnet": lambda channels, classes: alexnet(channels, classes, bayesian(), last=128, dropout=None),
    "bayesian-3conv3fc": lambda channels, classes: conv3fc3(channels, classes, bayesian()),
}
# Architectures on the image as it is, from (pixels, classes).
_PERCEPTRONS: dict[str, Callable[[int, int], nn.Sequential]] = {
    "mlp": lambda pixels, classes: perceptron(pixels, 400, classes, FREQUENTIST),
    "mlp-50": lambda pixels, classes: shallow_perceptron(pixels, 50, classes, FREQUENTIST_SOFTPLUS),
    "bayesian-mlp-50": lambda pixels, classes: shallow_perceptron(pixels, 50, classes, bayesian(prior=0.3)),
    "bayesian-mlp": lambda pixels, classes: perceptron(
        pixels, 512, classes, replace(bayesian(prior=6.0, rho=-6.0), activation=nn.Sigmoid)
    ),
    "logistic": logistic,
    "logistic-ap2": logistic_ap2,
}
ARCHITECTURES = (*_CONVOLUTIONAL, *_PERCEPTRONS)


def build_network(architecture: str, dataset: str) -> nn.Sequential:
    """An untrained network of `ARCHITECTURES` for a data set: pixels (B, C, H, W) in [0, 1] -> logits (B, K).

    Raises KeyError for an architecture or a data set that does not exist.
    """
    spec = dataset_spec(dataset)
    build = lookup({**_CONVOLUTIONAL, **_PERCEPTRONS}, architecture, "architecture")
    if architecture in _PERCEPTRONS:
        return build(math.prod(spec.shape), spec.classes)
    body = build(spec.shape[0], spec.classes)
    preprocess = Preprocess(spec.mean, spec.std, pad=(32 - spec.shape[-1]) // 2)
    return nn.Sequential(OrderedDict([("preprocess", preprocess), *body.named_children()]))


def _named(**layers: nn.Module | None) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, layer) for name, layer in layers.items() if layer is not None))
