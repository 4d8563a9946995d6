"""What is refused when a network is loaded: mistakes that would make every number about it wrong.

Each refusal is a ValueError with the name of the entry, what was found and what to do.
"""

from __future__ import annotations

import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from zoo.catalogue.probe import Probe
from zoo.catalogue.randomness import random_calls, why_passes_differ
from zoo.datasets import DATASETS
from zoo.kind import Kind, Outputs, Randomness
from zoo.posteriors import (
    DrawnPosterior,
    ForwardPosterior,
    MemberPosterior,
    MixturePosterior,
    PointPosterior,
    Posterior,
    SeededPass,
    held_posterior,
    member_count,
    said_posterior,
)
from zoo.seeding import derive_seed, isolated_random_state

COLLAPSED = 1e-4  # largest difference between two draws' log-probabilities, relative to the largest of them
PROBES = 24  # draws of which two must differ: of an ensemble of two, all are the same member once in 8 million
REPEATED = 8  # draws of its own that a network must repeat: one that picks one of two at random does so once in 256
CERTAIN = 1e-3  # a stated accuracy is refused below this p-value

# What is said of two passes that differ, and what to do where torch's random numbers are the reason.
RESTLESS_NETWORK = (
    "said to be one network, but two passes differ",
    "Turn that off in evaluation mode, or leave out family and randomness, so that draws of it are averaged",
)
RESTLESS_DRAW = (
    "two passes of one posterior draw differ, so it is not frozen",
    "A draw must be deterministic: remove noise from what draw() returns or from the layers around mean-field ones",
)


def check_network(
    network: nn.Module,
    name: str,
    dataset: str,
    family: str | None = None,
    randomness: Randomness = Randomness.AUTO,
    outputs: Outputs = Outputs.LOGITS,
) -> Posterior:
    """The posterior of a loaded network, checked on black, white and random images; a point where nothing is random.

    name, dataset, family, randomness, outputs: what it is registered as; see `zoo.catalogue.entry.ZooEntry`.
    Raises ValueError for what must not be evaluated: a wrong number of classes, probabilities in place of logits or
    logits in place of probabilities, NaN, an output without a gradient to the input, draws that are not frozen, do not
    follow their generator or do not differ, a family or a randomness that is not what is found.
    """
    probe = Probe(name, dataset, outputs)
    posterior = _posterior(probe, network, family, randomness)
    if posterior.kind is Kind.POINT:
        _check_outputs(probe, network, *RESTLESS_NETWORK)
        if randomness is Randomness.AUTO and family not in (None, "frequentist"):
            raise ValueError(
                f"{name}: family {family!r}, but nothing is random in it.{_off(probe, network)} Offer "
                "draw(generator), members() or layers that sample, or say randomness='none' (--randomness none)"
            )
        return posterior
    (first,) = _draws(probe, posterior, 1)
    logits = _check_outputs(probe, first, *RESTLESS_DRAW)
    if isinstance(posterior, DrawnPosterior):
        _check_draw(probe, posterior, first, logits)
    if _draws_differ(probe, posterior, logits):
        return posterior
    if isinstance(first, SeededPass) and (members := _members_that_differ(probe, first)):
        return MixturePosterior(network, members)
    off = _off(probe, network) if isinstance(posterior, ForwardPosterior) else ""
    if randomness is Randomness.MEMBERS and isinstance(posterior, ForwardPosterior):
        raise ValueError(
            f"{name}: randomness='members', but it has no method members(), and one pass does not answer for several. "
            "Give a list of networks, or leave randomness out to see what is found"
        )
    raise ValueError(
        f"{name}: its posterior draws do not differ: the posterior is degenerate.{off} Offer draw(generator), "
        "members() or layers that sample, or say that nothing is random: randomness='none' (--randomness none)"
    )


def check_accuracy(name: str, said: float, right: int, count: int) -> None:
    """Raises ValueError where `right` of `count` images is not what an entry of that accuracy should reach."""
    if binomtest(right, count, said).pvalue < CERTAIN:
        raise ValueError(
            f"{name}: registered with an accuracy of {100 * said:.1f} %, but {100 * right / count:.1f} % of "
            f"{count} test images are right. Networks get pixels in [0, 1]: if it was trained on normalised ones, say "
            "normalize=(mean, std); else look at its weights, the order of its classes and where that accuracy is from"
        )


def _posterior(probe: Probe, network: nn.Module, family: str | None, randomness: Randomness) -> Posterior:
    """What is said to be random, or else what is found: in a forward pass it shows when two are compared."""
    if randomness is Randomness.AUTO and family == "frequentist":
        if held := held_posterior(network):
            raise ValueError(
                f"{probe.name}: family 'frequentist', but it has {held}: one network would be attacked, and not the "
                "average over all. Leave family out, or say family='bayesian' (--family bayesian)"
            )
        return PointPosterior(network)
    try:
        posterior = said_posterior(network, randomness)
    except ValueError as error:
        raise ValueError(f"{probe.name}: {error}") from None
    if randomness is not Randomness.AUTO or posterior.kind is not Kind.POINT:
        return posterior
    passes = ForwardPosterior(network, dropout=False)
    first, *others = passes.draws(PROBES, derive_seed("probe", probe.name))
    logits = probe.logits(first)
    # of few outcomes (one of two crops) two passes are often the same: where anything is drawn, many are compared
    count = len(others) if random_calls(network.eval(), probe.images).on else 1
    differ = any(not torch.equal(probe.logits(other), logits) for other in others[:count])
    several = isinstance(first, SeededPass) and len(first.every_member(probe.images)) > 1
    return passes if differ or several else posterior


def _draws(probe: Probe, posterior: Posterior, count: int, state: int = 0) -> list[nn.Module]:
    """Draws under a global random state of its own."""
    try:
        with isolated_random_state(state):
            draws = posterior.draws(count, derive_seed("probe", probe.name))
    except Exception as error:  # whatever a user's method raises
        what = f"{type(error).__name__}: {error}"
        takes = "nothing" if isinstance(posterior, MemberPosterior) else "a torch.Generator"
        raise ValueError(f"{probe.name}: {_method(posterior)} failed: {what}; it takes {takes}") from error
    for draw in draws:
        if not isinstance(draw, nn.Module):
            raise ValueError(f"{probe.name}: {_method(posterior)} returned {type(draw).__name__}, not an nn.Module")
    return draws


def _method(posterior: Posterior) -> str:
    """The user's method that draws come from."""
    return "members()" if isinstance(posterior, MemberPosterior) else "draw(generator)"


def _check_outputs(probe: Probe, network: nn.Module, restless: str, remedy: str) -> Tensor:
    """(6, K) logits, which are what they should be. restless, remedy: what is said where two passes differ."""
    logits, again = probe.logits(network, 0), probe.logits(network, 1)
    count, classes, name = len(probe.images), probe.spec.classes, probe.name
    if logits.shape != (count, classes):
        members = member_count(logits, count)
        hint = f": {members} answers an image? Say randomness='members', and they are averaged" if members > 1 else ""
        if DATASETS.own({probe.spec.name}) and logits.ndim == 2:
            hint += f"; if some classes have no images, tell the data set how many there are: classes={logits.shape[1]}"
        raise ValueError(
            f"{name}: output of shape {tuple(logits.shape)} for {count} images; {probe.spec.name} needs "
            f"({count}, {classes}), one logit a class{hint}"
        )
    if not logits.isfinite().all():
        raise ValueError(f"{name}: NaN or infinite outputs on pixels in [0, 1]; check weights and forward")
    _check_scale(probe, logits)
    if not probe.reached_by(logits):
        raise ValueError(
            f"{name}: the output has no gradient with respect to the image; do not detach it or use torch.no_grad() in "
            "forward"
        )
    if not torch.equal(logits, again):
        raise ValueError(f"{name}: {restless}: {why_passes_differ(probe, network, remedy)}")
    return logits


def _check_scale(probe: Probe, outputs: Tensor) -> None:
    """That (6, K) outputs are logits where nothing else is said, and logarithms of probabilities where that is said."""
    if probe.outputs is Outputs.PROBABILITIES:
        total = outputs.exp().sum(-1)
        if not torch.allclose(total, torch.ones_like(total), atol=1e-4):
            raise ValueError(
                f"{probe.name}: outputs='probabilities', but they add up to {total.min():.3g} to {total.max():.3g}; "
                "for logits or log-probabilities leave outputs out"
            )
    elif (outputs >= 0).all() and torch.allclose(total := outputs.sum(-1), torch.ones_like(total), atol=1e-4):
        raise ValueError(
            f"{probe.name}: returns probabilities; a further softmax would squash its gradients. Say "
            "outputs='probabilities' (--outputs probabilities), and their logarithm is taken, or return logits"
        )


def _check_draw(probe: Probe, posterior: DrawnPosterior, first: nn.Module, logits: Tensor) -> None:
    """That a network's own `draw` follows its generator and leaves earlier draws alone.

    Draws may be one object, as of an ensemble that hands out its members: what counts is what they answer. A network
    that writes every draw into the same weights, and whose last draw is the first by chance, is seen to be one network.
    """
    drawn = [probe.logits(draw) for draw in _draws(probe, posterior, REPEATED)]
    elsewhere = [probe.logits(draw) for draw in _draws(probe, posterior, REPEATED, state=1)]
    if not torch.equal(probe.logits(first), logits):
        raise ValueError(
            f"{probe.name}: a further draw changes the ones before: draw(generator) returns a module that it goes on "
            "using. Return a copy: copy.deepcopy(...)"
        )
    if not all(torch.equal(one, other) for one, other in zip(drawn, elsewhere, strict=True)):
        raise ValueError(
            f"{probe.name}: draw(generator) gives another network for the same generator, so nothing about it could be "
            "repeated. Take every random number from it: torch.randn(..., generator=generator); around a library that "
            "takes no generator write `with zoo.seeding.seeded_by(generator):`"
        )


def _draws_differ(probe: Probe, posterior: Posterior, logits: Tensor) -> bool:
    """Whether two draws differ, by their log-probabilities: an offset of all logits is no difference."""
    first = logits.log_softmax(-1)
    for count in (2, PROBES):  # two are enough for most
        for draw in _draws(probe, posterior, count):  # of all members, the first is not always the one drawn alone
            if (probe.logits(draw).log_softmax(-1) - first).abs().max() > COLLAPSED * first.abs().max():
                return True
    return False


def _off(probe: Probe, network: nn.Module) -> str:
    """What might have been meant as its posterior, as a sentence; empty where there is nothing."""
    off = "; ".join(random_calls(network.eval(), probe.images).off)
    return f" Off in evaluation mode are {off}; randomness='dropout' turns on nn.Dropout layers alone." if off else ""


def _members_that_differ(probe: Probe, draw: SeededPass) -> int:
    """M where one pass answers for M members that are not all the same; else 0."""
    with torch.no_grad():
        log_p = draw.every_member(probe.images).log_softmax(-1)  # (M, B, K)
    return len(log_p) if (log_p - log_p[0]).abs().max() > COLLAPSED * log_p.abs().max() else 0
