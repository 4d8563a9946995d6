"""Which posterior a network has, told by its structure."""

from __future__ import annotations

from torch import nn

from zoo.layers import bayesian_layers
from zoo.posteriors.drawn import DrawnPosterior
from zoo.posteriors.mean_field import MeanFieldPosterior
from zoo.posteriors.members import MemberPosterior
from zoo.posteriors.point import PointPosterior
from zoo.posteriors.posterior import Posterior
from zoo.posteriors.stochastic import ForwardPosterior
from zoo.structure import counted, foreign_layers, own_method


def posterior_of(module: nn.Module, dropout: bool | None = None) -> Posterior:
    """The posterior of a network that is random, by its structure; see `zoo.posteriors`.

    dropout: whether dropout layers are a part of it; None switches them on where no layer is known to sample by itself.
    A network without `members`, `draw` or mean-field layers is taken to be stochastic in `forward`.
    """
    mean = own_method(module, "mean")
    if (members := own_method(module, "members")) is not None:
        return MemberPosterior(members, mean, own_method(module, "weights"), bool(getattr(module, "is_sample", False)))
    if (draw := own_method(module, "draw")) is not None:
        return DrawnPosterior(draw, mean)
    if bayesian_layers(module):
        return MeanFieldPosterior(module, mean)
    return ForwardPosterior(module, not foreign_layers(module) if dropout is None else dropout)


def evident_posterior(module: nn.Module) -> Posterior:
    """The posterior of a network of which nobody says whether it is random: a point where nothing shows that it is.

    Dropout shows nothing: it is in ordinary networks, too.
    """
    return posterior_of(module) if held_posterior(module) else PointPosterior(module)


def held_posterior(module: nn.Module) -> str:
    """What makes a network more than one whatever it is registered as, in words; empty where nothing does."""
    methods = [f"a method {name}()" for name in ("members", "draw") if own_method(module, name) is not None]
    return " and ".join(methods) or counted([*bayesian_layers(module), *foreign_layers(module)])


def posterior_draws(module: nn.Module, count: int, seed: int) -> list[nn.Module]:
    """`count` frozen draws of a random network's posterior; see `Posterior.draws`."""
    return posterior_of(module).draws(count, seed)


def posterior_mean(module: nn.Module, posterior: Posterior | None = None) -> nn.Module:
    """The network with the posterior mean as its weights. Raises ValueError where no mean is defined."""
    mean = (posterior or posterior_of(module)).mean
    if mean is None:
        raise ValueError(
            f"{type(module).__name__} has no posterior mean: give it a method mean() -> nn.Module, or do not use the "
            "gradient target 'mean-weights' with it"
        )
    return mean()
