"""Laplace approximations of laplace-torch, as they are. Needs that package: `tox -e foreign`."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark import evaluate
from tests.foreign.networks import FAST, X, entry_of, fitted, loader
from zoo.posteriors import Kind, posterior_mean
from zoo.seeding import isolated_random_state

laplace = pytest.importorskip("laplace", reason="needs laplace-torch")
SHAPES = [("last_layer", "kron"), ("last_layer", "diag"), ("last_layer", "full"), ("all", "diag"), ("all", "kron")]


def fit(subset: str = "last_layer", structure: str = "kron", net: nn.Module | None = None) -> Any:
    with isolated_random_state(0):
        la = laplace.Laplace(net or fitted(), "classification", subset_of_weights=subset, hessian_structure=structure)
        la.fit(loader())
    return la


@pytest.mark.parametrize(("subset", "structure"), SHAPES)
def test_the_default_predictive_is_its_own_call_and_has_a_gradient(subset: str, structure: str) -> None:
    la = fit(subset, structure)
    entry = entry_of(la)
    assert (entry.label, entry.load()[1].kind) == ("bayesian", Kind.POINT)
    prediction = entry.predictor(8, 0)
    assert torch.allclose(prediction.probabilities(X), la(X), atol=1e-5)
    assert not torch.allclose(la(X), la.model(X).softmax(1), atol=1e-3)
    y, direction = la(X).argmax(1), torch.randn(X.shape, generator=torch.Generator().manual_seed(1))
    _, gradient = prediction.value_and_gradient(X, y)
    with torch.no_grad():
        ahead, behind = (-la(X + step * direction).log()[range(4), y].double() for step in (1e-3, -1e-3))
    numerically = (ahead - behind) / 2e-3
    along = (gradient * direction).flatten(1).sum(1).double()
    assert torch.allclose(along, numerically, rtol=0.05, atol=0.02)


@pytest.mark.parametrize(("subset", "structure"), SHAPES)
def test_draws_are_networks_with_weights_from_its_posterior(subset: str, structure: str) -> None:
    la = fit(subset, structure)
    network, posterior = entry_of(la, randomness="draw").load()
    assert (posterior.kind, posterior.family) == (Kind.CONTINUOUS, "bayesian")
    (draw,) = posterior.draws(1, 7)
    (weights,) = la.sample(1, generator=torch.Generator().manual_seed(7))
    random = list(draw.parameters()) if subset == "all" else [*draw[3].parameters()]
    assert torch.allclose(torch.cat([value.flatten() for value in random]), weights)
    assert torch.allclose(posterior_mean(network, posterior)(X), la.model(X), atol=1e-6)


def test_averaged_draws_are_its_sampled_predictive() -> None:
    """Both are averages over 1,000 draws: they differ by less than 6 standard errors, but for rare classes."""
    la = fit()
    with isolated_random_state(1):
        theirs = la(X, pred_type="nn", link_approx="mc", n_samples=1000)
    ours = entry_of(la, randomness="draw").predictor(1000, 0).logits(X).softmax(-1)  # (S, B, K)
    assert ((ours.mean(0) - theirs).abs() < 6 * (2 / 1000) ** 0.5 * ours.std(0) + 1e-3).all()


def test_a_linear_model_in_closed_form() -> None:
    """Of logits W x with a Gaussian W, mean and variance are known, and so is the probit predictive."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features, self.fc = nn.Flatten(), nn.Linear(784, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.features(x))

    with isolated_random_state(0):
        la = fit("all", "diag", Linear())
    variance = la.posterior_variance
    spread = X.flatten(1) ** 2 @ variance[:7840].view(10, 784).T + variance[7840:]
    by_hand = (la.model(X) / (1 + torch.pi / 8 * spread).sqrt()).softmax(1)
    assert torch.allclose(entry_of(la).predictor(1, 0).probabilities(X), by_hand, atol=1e-5)


def test_the_users_object_is_left_as_it_is() -> None:
    la = fit()
    la.model.train()
    before, features = copy.deepcopy(la.model.state_dict()), la.model._features
    for randomness in ("auto", "draw"):
        assert evaluate(la, "mnist", randomness=randomness, **FAST).errors == {}
    assert not la.enable_backprop
    assert la.model.training
    assert la.model._features is features
    assert all(torch.equal(value, before[name]) for name, value in la.model.state_dict().items())
    assert all(parameter.requires_grad for parameter in la.model.parameters())


@pytest.mark.parametrize(
    ("la", "randomness", "message"),
    [
        (lambda: laplace.Laplace(fitted(), "classification"), "auto", "KronLLLaplace is not fitted"),
        (lambda: laplace.Laplace(fitted(), "regression"), "auto", "only classification is attacked"),
        (fit, "members", "do not differ"),
    ],
)
def test_what_cannot_be_attacked_is_refused(la: Any, randomness: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(la(), "mnist", randomness=randomness, **FAST)
