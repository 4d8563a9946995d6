"""The Laplace sampler, against posteriors that are Gaussian and curvatures by autograd. Needs laplace-torch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.zoo.training.known import Z, linear, randn
from zoo.catalogue.recipes import Recipe
from zoo.catalogue.samplers import Laplace
from zoo.datasets import Split, load_split
from zoo.networks import build_network
from zoo.seeding import forked_random_state
from zoo.training.log_posterior import LogPosterior
from zoo.training.loop import Training
from zoo.training.samplers.laplace import draws_of, fitted
from zoo.training.sampling import sample
from zoo.training.subset import divided

pytest.importorskip("laplace", reason="needs laplace-torch")

DRAWS = 20_000


def assert_drawn(drawn: Tensor, mean: Tensor, covariance: Tensor) -> None:
    """Mean and covariance of draws (n, D), within `Z` standard errors."""
    centred = drawn - mean
    products = torch.einsum("ni,nj->nij", centred, centred)
    for found, true in ((centred, torch.zeros_like(mean)), (products, covariance)):
        assert ((found.mean(0) - true).abs() < Z * found.std(0) / len(drawn) ** 0.5).all()


@pytest.mark.parametrize("subset", ["all", "last_layer"])
@pytest.mark.parametrize("structure", ["full", "kron", "diag"])
def test_of_a_linear_gaussian_model_it_is_the_posterior(structure: str, subset: str) -> None:
    """A layer with one output has the curvature X^T X / noise^2, which full and kron hold; diag holds its diagonal."""
    regression = linear(copies=1)
    mean, covariance = regression.moments()
    with forked_random_state(0):
        network = nn.Sequential(nn.Identity(), nn.Linear(3, 1, bias=False)).double()
    network[1].weight.data = mean[None].clone()
    settings = Laplace(structure, subset, draws=DRAWS)
    target = LogPosterior(network, regression.x, regression.y, regression.prior)
    x, y = regression.x, regression.y[:, None]
    found = fitted(network, x, y, regression.prior, settings, 7, "regression", regression.noise)
    drawn = draws_of(found, target, mean, DRAWS, 0)
    exact = (1 / regression.precision.diagonal()).diag() if structure == "diag" else covariance
    assert_drawn(drawn, mean, exact)
    if structure == "diag":
        with pytest.raises(AssertionError):
            assert_drawn(drawn, mean, covariance)


def test_of_a_logistic_regression_it_has_the_curvature_of_autograd() -> None:
    """Full Gauss-Newton is the Hessian where logits are linear in the weights."""
    x, labels = randn(20, 2, of="laplace"), torch.arange(20) % 3
    with forked_random_state(1):
        network = nn.Sequential(nn.Linear(2, 3)).double()
    target = LogPosterior(network, x, labels, 0.8)
    start = target.flat(network)
    found = fitted(network, x, labels, 0.8, Laplace("full"), 7)
    hessian = torch.autograd.functional.hessian(
        lambda w: (
            nn.functional.cross_entropy(
                torch.func.functional_call(network, target.named(w), (x,)), labels, reduction="sum"
            )
            + w.square().sum() / (2 * 0.8**2)
        ),
        start,
    )
    assert torch.allclose(found.posterior_precision.double(), hessian, rtol=1e-4, atol=1e-5)
    assert_drawn(draws_of(found, target, start, DRAWS, 0), start, torch.linalg.inv(hessian))


@pytest.fixture(scope="module")
def few() -> Split:
    """300 MNIST images in the role of a training split."""
    test = load_split("mnist", "test")
    return dataclasses.replace(test, name="train", images=test.images[:300], labels=test.labels[:300])


@pytest.mark.parametrize(("structure", "subset"), [("kron", "all"), ("diag", "all"), ("kron", "last_layer")])
def test_a_network_of_draws(
    structure: str, subset: str, few: Split, tmp_path: Path, untouched_global_state: None
) -> None:
    recipe = Recipe("mlp-50", epochs=3, max_lr=1e-2, batch_size=20, prior=0.3, images=60)
    start, _ = Training("mnist/map", recipe, few, None).run()
    own = dataclasses.replace(recipe, epochs=1, max_lr=1.0, sampler=Laplace(structure, subset, draws=6))
    first, again, other = (
        sample(lambda: build_network("mlp-50", "mnist"), divided(few, 60), one, None, start)
        for one in (own, own, dataclasses.replace(own, seed=1))
    )
    assert torch.equal(first.draws.positions, again.draws.positions)
    assert not torch.equal(first.draws.positions, other.draws.positions)
    assert first.network.size == 6
    states = first.network.state_dict()
    same = torch.equal(states["fc1.weight"], start.state_dict()["fc1.weight"].expand(6, -1, -1))
    assert same == (subset == "last_layer")
    assert states["fc2.weight"].std(0).min() > 0
    # where the data say nothing, as of pixels that are always black, the posterior is the prior; the MAP's mean is 0
    assert first.draws.figures["prior_precision"] == [pytest.approx(1 / 0.3**2, rel=1e-5)]
    assert first.draws.figures["gradient_norm_at_start"] > 0
    tuned = dataclasses.replace(own, sampler=dataclasses.replace(own.sampler, optimize_prior=True))
    made = sample(lambda: build_network("mlp-50", "mnist"), divided(few, 60), tuned, None, start)
    assert made.draws.figures["prior_precision"] != first.draws.figures["prior_precision"]
