"""SGHMC and SGLD against posteriors that are known, and what their steps of finite size do to them."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.zoo.training.known import Regression, linear, logistic
from zoo.catalogue.recipes import Recipe
from zoo.catalogue.samplers import Sghmc
from zoo.training.samplers.sghmc import Chains, cooled, sample, sampled_steps
from zoo.training.samplers.stochastic_gradient import minibatches, step

CONSTANT = Sghmc(chains=2, cycles=1, burn_in=0, per_cycle=100, cold=1.0, coldest=1.0, keep=2)


def recipe(
    regression: Regression, h: float, epochs: int, settings: Sghmc = CONSTANT, batch: int | None = None
) -> Recipe:
    """h: the step on the gradient of U."""
    images = len(regression.y)
    return Recipe("regression", epochs, h * images, batch or images, prior=regression.prior, sampler=settings)


def sampled(
    regression: Regression, h: float, epochs: int, settings: Sghmc = CONSTANT, batch: int | None = None
) -> Tensor:
    chains = sample(
        regression.gradient, len(regression.y), regression.starts(), recipe(regression, h, epochs, settings, batch)
    )
    return chains.positions[:, settings.per_cycle // 5 :]


@pytest.mark.parametrize("friction", [1.0, 0.2])
def test_with_full_gradients_the_variance_is_that_of_the_step_size(friction: float) -> None:
    """Of a Gaussian posterior exactly, also where the step is long: by the formula of `stochastic_gradient`."""
    regression = linear()
    curvature, axes = torch.linalg.eigh(regression.precision)
    h = 0.5 * (2 - friction) / float(curvature.max())  # a third more variance along the stiffest axis
    variance = 1 / (curvature * (1 - h * curvature / (2 * (2 - friction))))
    mean, exact = regression.moments()
    positions = sampled(regression, h, 1500, dataclasses.replace(CONSTANT, friction=friction))
    regression.assert_sampled(positions, mean, axes @ variance.diag() @ axes.T)
    with pytest.raises(AssertionError, match="of another posterior"):
        regression.assert_sampled(positions, mean, exact)


@pytest.mark.parametrize(("friction", "h"), [(1.0, 4e-4), (0.1, 4e-5)])
def test_linear_regression_by_minibatches(friction: float, h: float) -> None:
    """Bias by the formulas: the stiffest axis has up to 4 % more variance by the steps, and less by the minibatches."""
    regression = linear()
    settings = dataclasses.replace(CONSTANT, friction=friction)
    curvature = torch.linalg.eigvalsh(regression.precision).max()
    assert h * curvature / (2 * (2 - friction)) < 0.04
    regression.assert_sampled(sampled(regression, h, 700, settings, batch=8), *regression.moments(), bias=0.05)


@pytest.mark.parametrize("friction", [1.0, 0.3])
def test_logistic_regression_has_the_moments_of_quadrature(friction: float) -> None:
    regression = logistic()
    settings = dataclasses.replace(CONSTANT, friction=friction)
    regression.assert_sampled(sampled(regression, 0.06 * friction, 2000, settings), *regression.moments(), bias=0.04)


@pytest.mark.parametrize(("exploration", "noisy"), [(0.0, 300), (0.3, 600)])
def test_cycles_give_the_posterior_at_their_cold_ends(exploration: float, noisy: int) -> None:
    """Also after optimisation, where the noise has time enough to bring back what that took away."""
    regression, cycles = logistic(), 6
    settings = Sghmc(2, cycles, friction=0.3, exploration=exploration, burn_in=1, keep=2)
    own = recipe(regression, 0.06, cycles * noisy, settings)
    found = sample(regression.gradient, len(regression.y), regression.starts(), own).positions
    regression.assert_sampled(found, *regression.moments(), bias=0.06)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda step_size, friction, temperature, images: math.sqrt(2 * friction * step_size * temperature),
        lambda step_size, friction, temperature, images: math.sqrt(2 * step_size * temperature / images),
        lambda step_size, friction, temperature, images: math.sqrt(friction * step_size * temperature / images),
        lambda step_size, friction, temperature, images: 1.1 * math.sqrt(2 * friction * step_size / images),
    ],
    ids=["without the number of images", "without the friction", "without the 2", "a tenth too much"],
)
def test_noise_of_another_scale_is_another_posterior(wrong: object, monkeypatch: pytest.MonkeyPatch) -> None:
    regression, settings = logistic(), dataclasses.replace(CONSTANT, friction=0.3)
    monkeypatch.setattr("zoo.training.samplers.sghmc.noise_scale", wrong)
    positions = sampled(regression, 0.018, 1000, settings)
    with pytest.raises(AssertionError, match="of another posterior"):
        regression.assert_sampled(positions, *regression.moments(), bias=0.04)


def test_the_temperature_scales_the_covariance() -> None:
    """p(D | w)^(1/T) p(w)^(1/T) of a Gaussian posterior has T times its covariance, and its mean."""
    regression, settings = linear(), dataclasses.replace(CONSTANT, friction=1.0, temperature=0.25)
    mean, covariance = regression.moments()
    regression.assert_sampled(sampled(regression, 1e-3, 2000, settings), mean, covariance / 4, bias=0.05)


def test_cycles_cool_explore_without_noise_and_are_sampled_at_their_cold_ends() -> None:
    assert [round(cooled(passed, 0.0), 4) for passed in (0, 0.25, 0.5, 0.75, 1)] == [1, 0.8536, 0.5, 0.1464, 0]
    assert [cooled(passed, 1.0) for passed in (0, 0.3, 0.9)] == [1, 1, 1]
    assert sampled_steps(100, Sghmc(per_cycle=5, cold=0.5)) == {59: 0, 69: 1, 79: 2, 89: 3, 99: 4}
    assert sampled_steps(100, Sghmc(cycles=50, per_cycle=2, cold=1.0, exploration=0.9)) == {94: 0, 99: 1}
    regression = linear(copies=1)
    settings = Sghmc(chains=2, cycles=2, burn_in=0, per_cycle=4, cold=0.4, exploration=0.6, friction=0.5, keep=8)
    own, seen = recipe(regression, 1e-3, 20, settings), []
    whole = sample(regression.gradient, 24, regression.starts(), own, tell=lambda c: seen.append(c.weights.clone()))
    # an epoch is one step: exploration of the first cycle is gradient descent with momentum, and nothing else
    weights, velocity = regression.starts()[1], torch.zeros(3, dtype=torch.float64)
    for epoch in range(6):
        _, gradient = regression.gradient(weights, torch.arange(24))
        weights, velocity = step(weights, velocity, gradient, 0.024 * cooled(epoch / 10, 0.0), 0.5)
        assert torch.allclose(seen[epoch][1], weights, rtol=1e-10)
    assert torch.equal(whole.positions, torch.stack([seen[i] for i in (6, 7, 8, 9, 16, 17, 18, 19)], 1))
    later = dataclasses.replace(own, sampler=dataclasses.replace(settings, burn_in=1))
    assert torch.equal(sample(regression.gradient, 24, regression.starts(), later).positions, whole.positions[:, 4:])


def test_every_image_is_as_likely_in_each_minibatch() -> None:
    """Of whole minibatches, those left over being others each time."""
    counts, first = torch.zeros(10), torch.zeros(10)
    for epoch in range(3000):
        batches = list(minibatches(10, 4, "test", epoch))
        assert [len(batch) for batch in batches] == [4, 4]
        counts[torch.cat(batches)] += 1
        first[batches[0]] += 1
    assert (counts - 2400).abs().max() < 4.5 * (3000 * 0.8 * 0.2) ** 0.5
    assert (first - 1200).abs().max() < 4.5 * (3000 * 0.4 * 0.6) ** 0.5


def test_a_killed_sampling_ends_with_the_same_samples(tmp_path: Path, untouched_global_state: None) -> None:
    regression = linear(copies=2)
    settings = Sghmc(chains=2, cycles=4, burn_in=1, per_cycle=3, friction=0.2, exploration=0.3, keep=8)
    own, path = recipe(regression, 1e-3, 40, settings, batch=5), tmp_path / "chains.safetensors"
    starts = regression.starts().float()

    def gradient(weights: Tensor, index: Tensor) -> tuple[float, Tensor]:
        loss, found = regression.gradient(weights.double(), index)
        return loss, found.float()

    whole = sample(gradient, 24, starts, own)
    for killed_at in (13, 27):

        def die(chains: Chains, at: int = killed_at) -> None:
            if chains.done == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            sample(gradient, 24, starts, own, "", path, die)
    begun: list[int] = []
    resumed = sample(gradient, 24, starts, own, "", path, lambda chains: begun.append(chains.done))
    assert begun == list(range(21, 41))
    for name in ("positions", "weights", "velocity", "losses"):
        assert torch.equal(getattr(resumed, name), getattr(whole, name)), name
    assert whole.positions.dtype == torch.float32
    assert torch.equal(sample(gradient, 24, starts, own, "", path).positions, whole.positions)  # nothing left to do
    with pytest.raises(ValueError, match=r"chains\.safetensors is of another sampling"):
        sample(gradient, 24, starts, own, "other images", path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"chains\.safetensors is damaged"):
        sample(gradient, 24, starts, own, "", path)


def test_chains_and_seeds_have_random_numbers_of_their_own() -> None:
    regression, settings = linear(copies=1), Sghmc(chains=2, cycles=1, burn_in=0, per_cycle=4, cold=0.5, keep=4)
    same_start, own = torch.zeros(2, 3).double(), recipe(regression, 1e-3, 20, settings, batch=6)
    first = sample(regression.gradient, 24, same_start, own).positions
    assert not torch.equal(first[0], first[1])
    assert torch.equal(first, sample(regression.gradient, 24, same_start, own).positions)
    other = sample(regression.gradient, 24, same_start, dataclasses.replace(own, seed=1)).positions
    assert not torch.equal(first, other)


def test_what_cannot_be_sampled_is_refused() -> None:
    regression, settings = linear(copies=1), Sghmc(chains=2, cycles=1, burn_in=0, per_cycle=4, cold=0.5, keep=4)
    own = recipe(regression, 1e-3, 20, settings)
    for starts in (torch.zeros(3), torch.zeros(0, 3), torch.full((2, 3), torch.nan)):
        with pytest.raises(ValueError, match="starts of SGHMC are finite, a vector a chain"):
            sample(regression.gradient, 24, starts, own)
    with pytest.raises(ValueError, match=r"epoch \d+: a chain of SGHMC diverges .* lower max_lr"):
        sample(regression.gradient, 24, regression.starts(), dataclasses.replace(own, max_lr=1e6, epochs=100))
    with pytest.raises(ValueError, match="batch_size=25 of 24 images"):
        sample(regression.gradient, 24, regression.starts(), dataclasses.replace(own, batch_size=25))
    with pytest.raises(ValueError, match="a cycle of 2 steps is sampled in its last 1, too few for 4 samples"):
        sample(regression.gradient, 24, regression.starts(), dataclasses.replace(own, epochs=2))
    with pytest.raises(ValueError, match="not Sghmc"):
        sample(regression.gradient, 24, regression.starts(), dataclasses.replace(own, sampler=None))
