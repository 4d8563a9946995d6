"""Which posterior a network has, told by its structure or by what is said of it."""

from __future__ import annotations

from torch import nn

from zoo.kind import Randomness
from zoo.layers import bayesian_layers
from zoo.posteriors.drawn import DrawnPosterior
from zoo.posteriors.mean_field import MeanFieldPosterior
from zoo.posteriors.members import MemberPosterior
from zoo.posteriors.point import PointPosterior
from zoo.posteriors.posterior import Posterior
from zoo.posteriors.stochastic import ForwardPosterior
from zoo.structure import counted, dropout_layers, foreign_layers, own_method


def posterior_of(module: nn.Module) -> Posterior:
    """The posterior of a network that is random, by its structure; see `zoo.posteriors`.

    A network without `members`, `draw` or mean-field layers is taken to be stochastic in `forward`, by its dropout
    layers where no other is known to sample by itself.
    """
    return _of_members(module) or _drawn(module) or ForwardPosterior(module, dropout=not foreign_layers(module))


def said_posterior(module: nn.Module, randomness: Randomness) -> Posterior:
    """The posterior of a network of which it is said what is random.

    Raises ValueError where the network has nothing of the kind, and for `none` where it is more than one network.
    """
    if why := _unfit(module, randomness):
        raise ValueError(f"randomness={str(randomness)!r}, but {why}; leave it out to see what is found")
    if randomness is Randomness.AUTO:
        return evident_posterior(module)
    if randomness is Randomness.NONE:
        return PointPosterior(module)
    passes = ForwardPosterior(module, dropout=randomness is Randomness.DROPOUT)
    if randomness is Randomness.DRAW:
        return _drawn(module) or passes
    return (_of_members(module) if randomness is Randomness.MEMBERS else None) or passes  # which may answer for members


def _unfit(module: nn.Module, randomness: Randomness) -> str:
    """Why a network cannot be random in the way that is said; empty where it can, or where that shows in its passes."""
    if randomness is Randomness.NONE and (held := held_posterior(module)):
        return f"it has {held}: one network would be attacked, and not the average over all"
    if randomness is Randomness.DROPOUT and not dropout_layers(module):
        return (
            "it has no nn.Dropout layer that drops anything (F.dropout in forward is none: make it nn.Dropout, or give "
            "it training=True)"
        )
    if randomness is Randomness.DRAW and _drawn(module) is None:
        return "it has no method draw(generator) and no mean-field layer"
    return ""


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


def _of_members(module: nn.Module) -> MemberPosterior | None:
    if (members := own_method(module, "members")) is None:
        return None
    is_sample = bool(getattr(module, "is_sample", False))
    return MemberPosterior(members, own_method(module, "mean"), own_method(module, "weights"), is_sample)


def _drawn(module: nn.Module) -> DrawnPosterior | MeanFieldPosterior | None:
    mean = own_method(module, "mean")
    if (draw := own_method(module, "draw")) is not None:
        return DrawnPosterior(draw, mean)
    return MeanFieldPosterior(module, mean) if bayesian_layers(module) else None
