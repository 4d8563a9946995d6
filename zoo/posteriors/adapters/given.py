"""Whatever a user has for a network, as one `nn.Module`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from zoo.kind import Kind, Randomness
from zoo.posteriors.adapters.laplace import is_laplace, laplace_network
from zoo.posteriors.adapters.pyro import GuidedNetwork, in_own_names, is_guide
from zoo.posteriors.adapters.torch_uncertainty import unwrapped
from zoo.posteriors.ensemble import Ensemble
from zoo.posteriors.mean_field import MeanFieldPosterior
from zoo.posteriors.posterior import Posterior
from zoo.posteriors.samples import SampledNetwork

WORDS = "an nn.Module, a list of them (one ensemble), a posterior of zoo.posteriors or of laplace-torch"


def is_network(given: object) -> bool:
    """Whether something is a network, or one can be made of it; a function that builds one is none."""
    known = isinstance(given, nn.Module) or is_laplace(given) or isinstance(getattr(given, "kind", None), Kind)
    return known or (isinstance(given, list | tuple) and all(isinstance(one, nn.Module) for one in given))


def as_network(given: object, randomness: Randomness = Randomness.AUTO) -> nn.Module:
    """One network of what is given: a network, a list of them, a posterior, an object of another library.

    randomness: of a Laplace object, `draw` for sampled weights; by default its own predictive.
    Raises ValueError for anything else.
    """
    if is_laplace(given):
        return laplace_network(given, randomness)
    if isinstance(given, nn.Module):
        return unwrapped(given)
    if not is_network(given):
        raise ValueError(f"{type(given).__name__} is no network; give {WORDS}")
    if isinstance(given, list | tuple):
        return cast("nn.Module", given[0]) if len(given) == 1 else Ensemble(given)
    return _of_posterior(cast("Posterior", given))


def sampled(template: nn.Module, states: Any) -> nn.Module:
    """Samples of a network's weights as one network; see `SampledNetwork.of`. states: state dicts, or a dict of stacks.

    A guide of Pyro is taken, too, and drawn from. What samples leave out (running statistics of batch norm, layers that
    were not sampled) is the template's.
    Raises ValueError for samples that do not fit.
    """
    if is_guide(states):
        return GuidedNetwork(template, states)
    own = template.state_dict()
    if isinstance(states, Mapping):
        return SampledNetwork.of(template, _completed_stacks(own, states))
    if not isinstance(states, Sequence) or not all(isinstance(state, Mapping) for state in states):
        raise ValueError(f"with template= give state dicts, a dict of stacked tensors or a guide, not {_what(states)}")
    return SampledNetwork.of(template, [{**own, **in_own_names(state, own)} for state in states])


def _completed_stacks(own: Mapping[str, Tensor], stacks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """(M, ...) of everything that the template has; what was not sampled, M times."""
    known = {name: torch.as_tensor(stack).detach() for name, stack in in_own_names(stacks, own).items()}
    size = max((len(stack) for stack in known.values() if stack.ndim), default=0)
    return {name: value.expand(size, *value.shape) for name, value in own.items() if name not in known} | known


def _what(states: object) -> str:
    inside = sorted({type(one).__name__ for one in states}) if isinstance(states, list | tuple) else []
    return f"{type(states).__name__} of {' and '.join(inside)}" if inside else type(states).__name__


def _of_posterior(posterior: Posterior) -> nn.Module:
    """A network whose posterior this is. Mean-field layers show it themselves, and can more than be drawn from."""
    if isinstance(posterior, MeanFieldPosterior):
        return posterior.module
    if posterior.kind is Kind.POINT:
        return posterior.draws(1, 0)[0]
    if posterior.kind is Kind.CONTINUOUS:
        return _Drawn(posterior)
    size = posterior.size or 1
    return Ensemble(posterior.draws(size, 0), posterior.weights(size, 0), posterior.is_sample)


class _Drawn(nn.Module):
    """A continuous posterior as a network that says itself how to draw from it."""

    mean: Callable[[], nn.Module]

    def __init__(self, posterior: Posterior) -> None:
        super().__init__()
        self.posterior = posterior
        if posterior.mean is not None:
            self.mean = posterior.mean

    def draw(self, generator: torch.Generator) -> nn.Module:
        (drawn,) = self.posterior.draws(1, int(torch.randint(2**62, (), generator=generator)))
        return copy.deepcopy(drawn)
