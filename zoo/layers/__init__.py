"""Layers with a distribution over their weights, and a convolution for small maps."""

from zoo.layers.convolution import Conv2d
from zoo.layers.meanfield import (
    BayesianConv2d,
    BayesianLinear,
    MeanFieldLayer,
    bayesian_layers,
    gaussian_kl,
    kl_divergence,
    use_generator,
)

__all__ = [
    "BayesianConv2d",
    "BayesianLinear",
    "Conv2d",
    "MeanFieldLayer",
    "bayesian_layers",
    "gaussian_kl",
    "kl_divergence",
    "use_generator",
]
