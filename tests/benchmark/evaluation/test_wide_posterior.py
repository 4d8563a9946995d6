"""A wide posterior with a known answer: a Bayesian linear model, whose expected prediction and best attacks are known.

Two classes, logits w_0 x + b_0 and w_1 x + b_1, every weight an independent Gaussian: their difference z is Gaussian
with mean mu(x), linear in x, and variance v(x), and the expected prediction is E sigmoid(z), an integral in one
dimension. It is above 1/2 where mu > 0. So an image survives in a ball exactly where mu is larger than the most that
the ball can take away from it: eps times the dual norm of the mean weights.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.attacks.craft import craft
from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attacks import doubled, with_fresh_draws
from benchmark.plan.ladder import RUNGS, ladder
from zoo.layers import BayesianLinear
from zoo.posteriors import MeanFieldPosterior
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import forked_random_state

N, SIDE, SIGMA = 200, 8, 0.4


class Model(NamedTuple):
    """network: (B, 1, 8, 8) -> (B, 2). mean, bias: of the difference of its logits. x: images well inside the box."""

    network: nn.Module
    mean: Tensor
    bias: float
    x: Tensor
    y: Tensor


@pytest.fixture(scope="module")
def model() -> Model:
    with forked_random_state(7):
        layer = BayesianLinear(SIDE * SIDE, 2, rho=math.log(math.expm1(SIGMA)))
        layer.weight_mu.data.normal_(0, 0.15)
        x = 0.5 + 0.4 * (torch.rand(N, 1, SIDE, SIDE) - 0.5)
        mean = (layer.weight_mu[1] - layer.weight_mu[0]).detach()
        layer.bias_mu.data.copy_(torch.tensor([0.0, -float((x.flatten(1) @ mean).mean())]))
    bias = float(layer.bias_mu[1].detach())
    y = (x.flatten(1) @ mean + bias > 0).long()  # the label that the expected prediction gives
    return Model(nn.Sequential(nn.Flatten(), layer), mean, bias, x, y)


def margin(model: Model, x: Tensor) -> Tensor:
    """(B,) mu, positive where the expected prediction gives the right label."""
    mu = x.double().flatten(1) @ model.mean.double() + model.bias
    return mu * (2 * model.y - 1)


def by_quadrature(model: Model, x: Tensor) -> Tensor:
    """(B,) E sigmoid(z) by Gauss-Hermite quadrature, in float64."""
    points, weights = (torch.from_numpy(part) for part in np.polynomial.hermite_e.hermegauss(80))
    mu = x.double().flatten(1) @ model.mean.double() + model.bias
    spread = (2 * SIGMA**2 * (x.double().flatten(1).square().sum(1) + 1)).sqrt()
    values = torch.sigmoid(mu[:, None] + spread[:, None] * points) @ weights
    return values / math.sqrt(2 * math.pi)


def dual(model: Model, norm: str) -> float:
    """How much of mu a ball of radius 1 can take away."""
    return float(model.mean.double().norm(p=1 if norm == "linf" else 2))


def threat_model(model: Model, norm: Norm) -> ThreatModel:
    """With the eps at which the best attack leaves 40 % of the images."""
    return ThreatModel(norm, float(margin(model, model.x).quantile(0.6)) / dual(model, norm))


def best(model: Model, threat: ThreatModel) -> set[int]:
    """The images that no attack in the ball can break."""
    return set((margin(model, model.x) > threat.eps * dual(model, threat.norm)).nonzero()[:, 0].tolist())


def survivors(model: Model, spec: AttackSpec, draws: int) -> set[int]:
    prediction = ExpectedPrediction.of(
        model.network, draws, 3, spec.gradient, posterior=MeanFieldPosterior(model.network)
    )
    found = craft("foolbox", prediction, model.x, model.y, spec, range(N), 0).images
    return set((margin(model, found) > 0).nonzero()[:, 0].tolist())


def test_the_expected_prediction_is_the_integral(model: Model) -> None:
    """Within four standard errors of 4,000 draws, and above 1/2 where its mean is above 0."""
    draws = 4_000
    prediction = ExpectedPrediction.of(model.network, draws, 5, posterior=MeanFieldPosterior(model.network))
    with torch.no_grad():
        found = prediction(model.x[:20]).exp()[:, 1].double()
    assert (found - by_quadrature(model, model.x[:20])).abs().max() < 4 * 0.5 / math.sqrt(draws)
    right = (by_quadrature(model, model.x) > 0.5).long()
    assert torch.equal(right, model.y)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_converged_attack_reaches_the_optimum_and_eight_frozen_draws_do_not(model: Model, norm: Norm) -> None:
    threat = threat_model(model, norm)
    optimum = best(model, threat)
    assert len(optimum) == 0.4 * N
    frozen = survivors(model, doubled(threat), RUNGS[0])
    assert optimum <= frozen
    assert len(frozen) - len(optimum) > 0.1 * N

    broken: dict[int, set[int]] = {}
    climbed = ladder(frozen, broken, N)
    while len(climbed.survivors) < len(climbed.wanted) and not climbed.converged:
        for draws in climbed.wanted[len(broken) :]:
            alive = survivors(model, with_fresh_draws(threat), draws)
            assert optimum <= alive
            broken[draws] = set(range(N)) - alive
        climbed = ladder(frozen, broken, N)
    assert climbed.converged
    assert list(climbed.survivors.values())[-1] - len(optimum) <= 0.01 * N


def test_fresh_draws_break_more_than_as_many_frozen_ones(model: Model) -> None:
    threat = threat_model(model, "linf")
    fresh = survivors(model, with_fresh_draws(threat), RUNGS[0])
    frozen = {draws: survivors(model, doubled(threat), draws) for draws in (1, 8, 64)}
    assert len(frozen[1]) > len(frozen[8]) > len(frozen[64])
    assert len(fresh) < len(frozen[64])
