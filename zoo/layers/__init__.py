"""Layers with a distribution over their weights, and a convolution for small maps."""

from zoo.layers.conversion import make_bayesian
from zoo.layers.convolution import Conv2d
from zoo.layers.meanfield import (
    BayesianConv2d,
    BayesianLinear,
    MeanFieldLayer,
    Options,
    bayesian_layers,
    kl_divergence,
    use_generator,
)
from zoo.layers.outputs import log_probabilities, with_log_outputs
from zoo.layers.preprocess import Preprocess, normalized
from zoo.layers.priors import GaussianPrior, LogUniformPrior, Prior, ScaleMixturePrior, gaussian_kl

__all__ = [
    "BayesianConv2d",
    "BayesianLinear",
    "Conv2d",
    "GaussianPrior",
    "LogUniformPrior",
    "MeanFieldLayer",
    "Options",
    "Preprocess",
    "Prior",
    "ScaleMixturePrior",
    "bayesian_layers",
    "gaussian_kl",
    "kl_divergence",
    "log_probabilities",
    "make_bayesian",
    "normalized",
    "use_generator",
    "with_log_outputs",
]
