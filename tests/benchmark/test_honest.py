"""Honest networks of kinds that look odd: none is refused, and each is what it says."""

from __future__ import annotations

import pytest
import torch

from benchmark.plan.cells import Selection
from benchmark.selftest.__main__ import audited
from benchmark.selftest.honest import FITTED, HONEST, WIDER, LowFrequencies
from benchmark.selftest.networks import BROKEN
from zoo import models
from zoo.combine import expected
from zoo.datasets import load_split
from zoo.kind import Kind
from zoo.layers import bayesian_layers
from zoo.uncertainty import entropies

CAUGHT = ("FAIL", "ERROR")
WIDE = ("wide-posterior", "mc-dropout")
# accuracy on 300 images; least squares on 5,000 images and a network trained on few are no better than this
ACCURACY = dict.fromkeys(HONEST, 0.9) | {"linear": 0.8, "constant": 0.05}


def images() -> tuple[torch.Tensor, torch.Tensor]:
    return load_split("mnist", "test").sample(300, "honest")


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_network_is_taken_and_as_accurate_as_it_should_be(name: str) -> None:
    x, y = images()
    prediction = HONEST[name].entry.predictor(16, 0)
    logits = prediction.logits_in_batches(x)
    accuracy = float((expected(logits, prediction.weights).argmax(1) == y).float().mean())
    assert accuracy >= ACCURACY[name]
    assert name != "constant" or accuracy < 0.2
    information = float(entropies(logits.log_softmax(-1), prediction.weights).mutual_information.mean())
    assert name not in WIDE or 0.1 < information < 0.3
    assert (HONEST[name].entry.name, bool(HONEST[name].what)) == (f"mnist/{name}", True)


def test_there_are_honest_networks_of_every_kind_and_none_is_in_the_zoo_or_broken() -> None:
    kinds = {name: honest.entry.load()[1].kind for name, honest in HONEST.items()}
    assert set(kinds.values()) == set(Kind)
    assert {HONEST[name].entry.name for name in HONEST}.isdisjoint({*models, *(b.entry.name for b in BROKEN.values())})
    assert kinds["ensemble-listed"] is Kind.FINITE
    assert len(HONEST) >= 10


def test_a_posterior_is_as_much_wider_as_it_is_said_to_be() -> None:
    narrow, wide = models["mnist/bayesian-mlp"].build(), HONEST["wide-posterior"].entry.build()
    for one, other in zip(bayesian_layers(narrow), bayesian_layers(wide), strict=True):
        for (mean, sigma), (same, wider) in zip(one.posterior(), other.posterior(), strict=True):
            assert torch.equal(mean, same)
            assert torch.allclose(wider, WIDER * sigma, rtol=1e-4)


def test_low_frequencies_are_a_projection_that_keeps_what_is_smooth() -> None:
    layer = LowFrequencies()
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    once = layer(x)
    assert torch.allclose(layer(once), once, atol=1e-6)
    assert torch.allclose(layer(torch.full_like(x, 0.3)), torch.full_like(x, 0.3), atol=1e-6)
    assert (once - x).norm() > 0.1 * x.norm()


def test_least_squares_are_fitted_on_images_that_no_suite_attacks() -> None:
    assert FITTED.start >= Selection(examples=1000).examples


@pytest.mark.slow
@pytest.mark.parametrize("name", HONEST)
def test_no_honest_network_fails_the_whole_audit(name: str) -> None:
    result = audited(HONEST[name].entry, Selection(examples=30))
    assert {check: v.evidence for check, v in result.verdicts.items() if v.status in CAUGHT} == {}
