"""What the weights of a network may be, and frozen draws of it as ordinary deterministic modules.

An ordinary network is a `PointPosterior`. `posterior_of(network)` tells which of four others a random one has:

1. it has a method `members() -> list of networks`: an ensemble or Monte-Carlo samples, of which a method
   `weights() -> list of numbers` says how much each counts; alike by default. Where its attribute `is_sample` is true
   they are samples of a posterior, and are read as a sample of the limit, too. `Ensemble` is made of networks,
   `SampledNetwork` of state dicts;
2. it has a method `draw(generator) -> nn.Module` of its own (and `mean() -> nn.Module` if it has a mean);
3. it contains the project's mean-field layers: a draw is a copy with plain layers in their place;
4. it is merely stochastic in `forward` (MC dropout, layers of Bayesian-Torch, BLiTZ and other libraries): a draw is
   the same module evaluated under a fixed seed.

`zoo.posteriors.adapters` makes a network of what other libraries call a posterior.
"""

from zoo.kind import Kind
from zoo.posteriors.drawn import DrawnPosterior
from zoo.posteriors.ensemble import Ensemble
from zoo.posteriors.found import (
    evident_posterior,
    held_posterior,
    posterior_draws,
    posterior_mean,
    posterior_of,
    said_posterior,
)
from zoo.posteriors.mean_field import MeanFieldPosterior
from zoo.posteriors.members import MemberPosterior
from zoo.posteriors.point import PointPosterior
from zoo.posteriors.posterior import Posterior
from zoo.posteriors.samples import SampledNetwork
from zoo.posteriors.stochastic import ForwardPosterior, MixturePosterior, SeededPass, member_count

__all__ = [
    "DrawnPosterior",
    "Ensemble",
    "ForwardPosterior",
    "Kind",
    "MeanFieldPosterior",
    "MemberPosterior",
    "MixturePosterior",
    "PointPosterior",
    "Posterior",
    "SampledNetwork",
    "SeededPass",
    "evident_posterior",
    "held_posterior",
    "member_count",
    "posterior_draws",
    "posterior_mean",
    "posterior_of",
    "said_posterior",
]
