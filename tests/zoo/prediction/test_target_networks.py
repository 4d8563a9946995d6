"""Which networks a gradient target takes of each kind of posterior, and which targets there are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.zoo.networks import Drawing, X, linear
from zoo.layers import make_bayesian
from zoo.posteriors import ForwardPosterior, MeanFieldPosterior, PointPosterior, Posterior, posterior_of
from zoo.prediction.target_networks import networks_of, undefined_targets
from zoo.propagation.network import PropagatedNetwork
from zoo.targets import GRADIENT_TARGETS, TARGETS, Networks


def dropout() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))


@pytest.mark.parametrize(
    ("network", "posterior", "missing"),
    [
        (linear(), PointPosterior, ()),
        (make_bayesian(linear()), posterior_of, ()),
        (dropout(), posterior_of, ("mean-weights", "propagation")),
        (Drawing(lambda generator: linear()), posterior_of, ("mean-weights", "propagation")),
        # a layer that no rule propagates moments through
        (
            make_bayesian(nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Hardswish())),
            posterior_of,
            ("propagation",),
        ),
    ],
)
def test_targets_that_a_network_has_not(
    network: nn.Module, posterior: Callable[[nn.Module], Posterior], missing: tuple[str, ...]
) -> None:
    assert undefined_targets(network, posterior(network), X[:1]) == missing


@pytest.mark.parametrize("wanted", Networks)
def test_of_one_network_every_target_takes_that_one(wanted: Networks) -> None:
    network = linear()
    assert networks_of(wanted, network, PointPosterior(network), 5, 0).networks == [network]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Networks.DRAWS, 5),
        (Networks.IN_TURN, 5),
        (Networks.FIRST, 1),
        (Networks.MEAN, 1),
        (Networks.PROPAGATED, 1),
    ],
)
def test_networks_of_a_mean_field_network(wanted: Networks, count: int) -> None:
    network = make_bayesian(linear())
    posterior = MeanFieldPosterior(network)
    found = networks_of(wanted, network, posterior, 5, 3).networks
    assert len(found) == count
    assert isinstance(found[0], PropagatedNetwork) == (wanted is Networks.PROPAGATED)
    first = posterior.draws(1, 3)[0](X)
    assert torch.equal(found[0](X), first) == (wanted not in {Networks.MEAN, Networks.PROPAGATED})


def test_a_mean_that_is_not_there_is_refused() -> None:
    network = dropout()
    with pytest.raises(ValueError, match="has no posterior mean"):
        networks_of(Networks.MEAN, network, ForwardPosterior(network, dropout=True), 5, 0)


def test_every_target_is_a_row_with_words_for_pages() -> None:
    assert GRADIENT_TARGETS[0] == "expected"  # what leaderboards are made of, first in every table
    for name, target in TARGETS.items():
        assert name == target.name
        assert target.words.format(draws=8).rstrip(".;") == target.words.format(draws=8)
    assert {target.networks for target in TARGETS.values()} == set(Networks)
