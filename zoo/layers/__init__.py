"""Layers with a distribution over their weights."""

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
    "MeanFieldLayer",
    "bayesian_layers",
    "gaussian_kl",
    "kl_divergence",
    "use_generator",
]
