"""SWAG: its moments and draws by the formula, on a model where SGD's stationary covariance is known, and resumed."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.zoo.training.known import Z, linear, randn
from zoo.catalogue.recipes import Recipe
from zoo.catalogue.samplers import Swag
from zoo.seeding import private_generator
from zoo.training.samplers.stochastic_gradient import minibatches
from zoo.training.samplers.swag import Collection, Moments, collect

DRAWS = 20_000


def moments_of(weights: Tensor, rank: int) -> Moments:
    moments = Moments(weights.shape[1], rank)
    for one in weights:
        moments.add(one)
    return moments


def assert_drawn(moments: Moments, covariance: Tensor) -> None:
    """Mean and covariance of draws, within `Z` standard errors."""
    generator = private_generator("swag test")
    drawn = torch.stack([moments.draw(generator) for _ in range(DRAWS)])
    centred = drawn - moments.mean
    products = torch.einsum("ni,nj->nij", centred, centred)
    for found, true in ((centred, torch.zeros(len(covariance)).double()), (products, covariance)):
        assert ((found.mean(0) - true).abs() < Z * found.std(0) / DRAWS**0.5).all()


def test_moments_and_draws_are_those_of_the_formula() -> None:
    """Maddox et al. 2019, section 3.2 and equation (1): half the diagonal, half the low-rank covariance."""
    weights, rank = 0.3 * randn(12, 5, of="weights") @ randn(5, 5, of="mixing") + 100, 4
    moments = moments_of(weights.float(), rank)  # far from 0, where squares in float32 would leave no digit
    weights = weights.float().double()
    assert torch.allclose(moments.mean, weights.mean(0), rtol=1e-12)
    variance = (weights - weights.mean(0)).square().mean(0)
    assert torch.allclose(moments.variance, variance, rtol=1e-9)
    columns = torch.stack([weights[i] - weights[: i + 1].mean(0) for i in range(12 - rank, 12)])
    assert torch.allclose(moments.deviations, columns, rtol=1e-9)
    covariance = (variance.diag() + columns.T @ columns / (rank - 1)) / 2
    assert_drawn(moments, covariance)


def test_a_variance_for_a_standard_deviation_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = 0.3 * randn(12, 5, of="weights")
    moments = moments_of(weights, 4)
    covariance = (moments.variance.diag() + moments.deviations.T @ moments.deviations / 3) / 2
    monkeypatch.setattr(Moments, "variance", property(lambda own: (own.squares / own.count).square()))
    with pytest.raises(AssertionError):
        assert_drawn(moments, covariance)


def test_the_covariance_of_a_linear_model_is_the_stationary_one_of_sgd() -> None:
    """Sigma = (1 - l H) Sigma (1 - l H) + l^2 S (Mandt et al. 2017), where SGD at step l meets noise of covariance S.

    Draws have half of its diagonal twice: 1/2 (diag Sigma + Sigma).
    """
    epochs, lr = 4000, 0.4
    hessian = torch.tensor([[1.0, 0.4, 0.0], [0.4, 0.8, -0.2], [0.0, -0.2, 0.6]], dtype=torch.float64)
    root = torch.tensor([[0.5, 0.0, 0.0], [0.3, 0.4, 0.0], [-0.2, 0.1, 0.6]], dtype=torch.float64)
    noise, optimum, seen = (
        randn(epochs, 3, of="sgd") @ root.T,
        torch.tensor([1.0, -2.0, 0.5]).double(),
        iter(range(epochs)),
    )

    def gradient(weights: Tensor, index: Tensor) -> tuple[float, Tensor]:
        return 0.0, hessian @ (weights - optimum) + noise[next(seen)]

    recipe = Recipe("linear", epochs, lr, 10, prior=1.0, sampler=Swag(rank=epochs - 50, momentum=0.0, burn_in=50))
    found = collect(gradient, 10, optimum, recipe).moments
    decay = torch.eye(3).double() - lr * hessian
    stationary = torch.linalg.solve(
        torch.eye(9).double() - torch.kron(decay, decay), (lr**2 * root @ root.T).flatten()
    ).reshape(3, 3)
    # of about epochs / 3 independent vectors, by the slowest axis: standard errors of 4 %
    assert torch.allclose(found.variance, stationary.diagonal(), rtol=0.15)
    low_rank = found.deviations.T @ found.deviations / (len(found.deviations) - 1)
    scale = torch.outer(stationary.diagonal(), stationary.diagonal()).sqrt()
    assert ((low_rank - stationary).abs() < 0.15 * scale).all()
    assert stationary.diagonal().min() < 0.5 * stationary.diagonal().max()
    assert_drawn(found, (found.variance.diag() + low_rank) / 2)


def test_sgd_of_one_epoch_is_that_of_torch() -> None:
    regression = linear(copies=1)
    recipe = Recipe("linear", 3, 0.01, 8, prior=0.5, sampler=Swag(rank=2, momentum=0.9))
    found = collect(regression.gradient, 24, torch.zeros(3).double(), recipe)
    weights = torch.zeros(3).double().requires_grad_()
    optimizer = torch.optim.SGD([weights], lr=0.01, momentum=0.9)
    ends = []
    for epoch in range(3):
        for index in minibatches(24, 8, "swag", 0, epoch):
            _, weights.grad = regression.gradient(weights.detach(), index)
            optimizer.step()
        ends.append(weights.detach().clone())
    assert torch.allclose(found.weights, ends[-1], rtol=1e-10)
    assert torch.allclose(found.moments.mean, torch.stack(ends).mean(0), rtol=1e-10)


def test_a_killed_collection_ends_with_the_same_moments(tmp_path: Path, untouched_global_state: None) -> None:
    regression, path = linear(copies=1), tmp_path / "swag.safetensors"
    recipe = Recipe("linear", 30, 0.01, 8, prior=0.5, sampler=Swag(rank=5, burn_in=3))
    start = randn(3, of="start")
    whole = collect(regression.gradient, 24, start, recipe)

    def die(collection: Collection) -> None:
        if collection.done == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(regression.gradient, 24, start, recipe, "", path, die)
    begun: list[int] = []
    resumed = collect(regression.gradient, 24, start, recipe, "", path, lambda found: begun.append(found.done))
    assert begun == list(range(11, 31))
    assert resumed.moments.count == whole.moments.count == 27
    for name in ("mean", "squares", "deviations"):
        assert torch.equal(getattr(resumed.moments, name), getattr(whole.moments, name)), name
    other = collect(regression.gradient, 24, start, dataclasses.replace(recipe, seed=1))
    assert not torch.equal(other.moments.mean, whole.moments.mean)
    with pytest.raises(ValueError, match="is of another sampling"):
        collect(regression.gradient, 24, start + 1, recipe, "", path)


def test_sgd_that_diverges_is_told() -> None:
    regression = linear(copies=1)
    recipe = Recipe("linear", 300, math.exp(5), 8, prior=0.5, sampler=Swag(rank=5))
    with pytest.raises(ValueError, match=r"epoch \d+: SGD of SWAG diverges; lower max_lr"):
        collect(regression.gradient, 24, randn(3, of="start"), recipe)
