"""Hamiltonian Monte Carlo against posteriors that are known: closed forms, quadrature, and what leapfrogs promise."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from zoo.seeding import private_generator
from zoo.training.diagnostics import bulk_ess, mean_ess, split_rhat
from zoo.training.samplers.hmc import Samples, Settings, Target, kinetic, leapfrog, leapfrogs, sample

Z = 4.5  # standard errors: a quantity is beyond them once in 150,000


def randn(*shape: int, of: str = "data") -> Tensor:
    return torch.randn(shape, generator=private_generator("test hmc", of), dtype=torch.float64)


def with_gradient(log_density: Target) -> Target:
    """The target of a log density (C, D) -> (C,)."""

    def target(positions: Tensor) -> tuple[Tensor, Tensor]:
        leaf = positions.detach().requires_grad_()
        value = log_density(leaf)
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
        return value.detach().double(), gradient

    return target


def gaussian(precision: Tensor) -> Target:
    return lambda w: (-0.5 * ((w @ precision) * w).sum(-1), -w @ precision)


def assert_moments(samples: Tensor, mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> None:
    """samples: (C, N, D). Mean and covariance within `Z` standard errors, from what the samples are worth."""
    values = samples.numpy()
    centred = values - mean
    products = np.einsum("cni,cnj->cnij", centred, centred)
    assert split_rhat(values).max() < 1.02
    for found, true in ((values, mean), (products, covariance)):
        error = found.std((0, 1)) / np.sqrt(mean_ess(found))
        assert (np.abs(found.mean((0, 1)) - true) < Z * error).all()
        assert (error < 0.1 * np.sqrt(np.diag(covariance)).max()).all(), "too few samples to say anything"


def test_linear_regression_has_its_posterior_in_closed_form() -> None:
    """Four weights under N(0, 0.5^2), noise 0.7; correlated inputs, so that the posterior is no sphere."""
    prior, noise = 0.5, 0.7
    x = randn(12, 4) @ (torch.eye(4, dtype=torch.float64) + 0.8 * randn(4, 4, of="mixing"))
    y = x @ torch.tensor([0.5, -1.0, 0.2, 0.8], dtype=torch.float64) + noise * randn(12, of="noise")
    precision = x.T @ x / noise**2 + torch.eye(4) / prior**2
    covariance = torch.linalg.inv(precision)
    mean = covariance @ x.T @ y / noise**2

    def log_density(w: Tensor) -> Tensor:
        return -(y - w @ x.T).square().sum(-1) / (2 * noise**2) - w.square().sum(-1) / (2 * prior**2)

    settings = Settings(math.pi / 2 * prior, burn_in=150, draws=500, step_size=0.3)
    samples = sample(with_gradient(log_density), prior * randn(4, 4, of="starts"), settings)
    assert_moments(samples.positions, mean.numpy(), covariance.numpy())
    # tuned on the way, fixed afterwards
    assert 0.65 < samples.acceptance[150:].mean() < 0.9
    assert len(samples.step_sizes[:150].unique()) > 100
    assert len(samples.step_sizes[150:].unique()) == 1


@pytest.mark.parametrize("dimensions", [1, 2])
def test_logistic_regression_has_the_moments_of_quadrature(dimensions: int) -> None:
    """Few and nearly separable examples, so that the posterior is skewed and a Gaussian would miss."""
    prior = 1.5
    x = randn(7, dimensions, of="logistic")
    y = (x.sum(-1) > 0).double()

    def log_density(w: Tensor) -> Tensor:
        logits = w @ x.T
        loss = F.binary_cross_entropy_with_logits(logits, y.expand_as(logits), reduction="none").sum(-1)
        return -loss - w.square().sum(-1) / (2 * prior**2)

    axis = torch.linspace(-9, 9, 601, dtype=torch.float64)
    grid = torch.cartesian_prod(*[axis] * dimensions).reshape(-1, dimensions)
    p = log_density(grid).softmax(0)
    mean = p @ grid
    covariance = torch.einsum("g,gi,gj->ij", p, grid - mean, grid - mean)
    # the posterior is narrower than the prior: pi/2 of the prior would be near half its period, which only mirrors it
    settings = Settings(math.pi / 4 * prior, burn_in=100, draws=600, step_size=0.5)
    samples = sample(with_gradient(log_density), prior * randn(4, dimensions, of="starts"), settings)
    assert_moments(samples.positions, mean.numpy(), covariance.numpy())


def test_leapfrogs_are_reversible_and_keep_volume() -> None:
    target = with_gradient(lambda w: -w.pow(4).sum(-1) / 4 - w[:, 0] * w[:, 1])
    position, momentum = randn(3, 2, of="position"), randn(3, 2, of="momentum")
    gradient = target(position)[1]
    there, turned, _, at = leapfrog(target, position, momentum, gradient, 0.1, 20)
    back, again, _, _ = leapfrog(target, there, -turned, at, 0.1, 20)
    assert (there - position).abs().max() > 0.1
    assert torch.allclose(back, position, atol=1e-12)
    assert torch.allclose(again, -momentum, atol=1e-12)

    def end(state: Tensor) -> Tensor:
        q, p, _, _ = leapfrog(quartic, state[None, :2], state[None, 2:], quartic(state[None, :2])[1], 0.1, 20)
        return torch.cat([q[0], p[0]])

    jacobian = torch.autograd.functional.jacobian(end, torch.cat([position[0], momentum[0]]))
    assert abs(float(torch.linalg.det(jacobian)) - 1) < 1e-10


def quartic(w: Tensor) -> tuple[Tensor, Tensor]:
    """-(w1^4 + w2^4) / 4 - w1 w2, with a gradient that can be differentiated again."""
    return -w.pow(4).sum(-1) / 4 - w[:, 0] * w[:, 1], -w.pow(3) - w.flip(1)


def test_the_energy_error_is_of_second_order() -> None:
    """Half the step, over the same time: a quarter of the error."""
    position, momentum = randn(5, 2, of="position"), randn(5, 2, of="momentum")

    def error(step_size: float) -> Tensor:
        before, gradient = quartic(position)
        _, end, after, _ = leapfrog(quartic, position, momentum, gradient, step_size, round(1 / step_size))
        return (after - kinetic(end) - before + kinetic(momentum)).abs()

    ratio = error(0.01) / error(0.005)
    assert torch.allclose(ratio, torch.full_like(ratio, 4.0), rtol=0.05)


def test_a_killed_sampling_ends_with_the_same_samples(tmp_path: Path, untouched_global_state: None) -> None:
    target, starts = gaussian(torch.eye(3) + 0.5), randn(3, 3, of="starts").float()
    settings = Settings(1.0, burn_in=17, draws=25, step_size=0.4, seed=5)
    whole = sample(target, starts, settings)
    path = tmp_path / "chains.safetensors"
    for killed_at in (13, 37):  # in burn-in, and after it

        def die(samples: Samples, at: int = killed_at) -> None:
            if samples.done == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            sample(target, starts, settings, path, die)
    begun: list[int] = []
    resumed = sample(target, starts, settings, path, lambda samples: begun.append(samples.done))
    assert begun == list(range(31, 43))
    for name in ("positions", "current", "acceptance", "log_density", "step_sizes"):
        assert torch.equal(getattr(resumed, name), getattr(whole, name)), name
    assert whole.positions.dtype == torch.float32
    assert torch.equal(sample(target, starts, settings, path).positions, whole.positions)  # nothing left to do


def test_a_sampling_is_lengthened_to_the_samples_that_the_longer_one_has(tmp_path: Path) -> None:
    target, starts = gaussian(torch.eye(3) + 0.5), randn(3, 3, of="starts").float()
    short = Settings(1.0, burn_in=7, draws=6, step_size=0.4, every=2)
    long = dataclasses.replace(short, draws=10)
    whole, path = sample(target, starts, long), tmp_path / "chains.safetensors"
    sample(target, starts, short, path)
    begun: list[int] = []
    lengthened = sample(target, starts, long, path, lambda samples: begun.append(samples.done))
    assert begun == list(range(20, 28))
    for name in ("positions", "current", "acceptance", "log_density", "step_sizes"):
        assert torch.equal(getattr(lengthened, name), getattr(whole, name)), name
    with pytest.raises(ValueError, match=r"chains\.safetensors has 27 iterations, more than 19; ask for as many"):
        sample(target, starts, short, path)

    def die(samples: Samples) -> None:
        if samples.done == 10:
            raise KeyboardInterrupt

    path.unlink()
    with pytest.raises(KeyboardInterrupt):
        sample(target, starts, long, path, die)
    shortened = sample(target, starts, short, path)  # it had not come as far
    assert torch.equal(shortened.positions, whole.positions[:, :6])


def test_chains_and_seeds_have_random_numbers_of_their_own() -> None:
    target, start = gaussian(torch.eye(2)), torch.zeros(2, 2)
    settings = Settings(1.0, burn_in=5, draws=5, step_size=0.4)
    first = sample(target, start, settings)
    assert not torch.equal(first.positions[0], first.positions[1])
    other = sample(target, start, dataclasses.replace(settings, seed=1))
    assert not torch.equal(first.positions[0], other.positions[0])


@pytest.mark.parametrize("outside", [math.inf, -math.inf, math.nan])
def test_chains_do_not_go_where_the_density_is_not_finite(outside: float) -> None:
    def target(w: Tensor) -> tuple[Tensor, Tensor]:
        return torch.where(w.abs().amax(-1) < 1, -0.5 * w.square().sum(-1), outside).double(), -w

    samples = sample(target, torch.zeros(3, 2), Settings(1.5, burn_in=20, draws=100, step_size=0.3))
    assert samples.positions.abs().max() < 1
    assert samples.positions.abs().max() > 0.9
    assert (samples.acceptance == 0).any()


def test_a_step_that_is_far_too_long_is_brought_down_in_burn_in() -> None:
    settings = Settings(1.0, burn_in=100, draws=100, step_size=1.0)
    samples = sample(gaussian(400 * torch.eye(20)), randn(3, 20, of="starts").float(), settings)
    assert samples.acceptance[0].max() < 1e-6
    assert samples.step_sizes[-1] < 0.1
    assert 0.65 < samples.acceptance[100:].mean() < 0.9


def test_one_sample_comes_from_so_many_iterations() -> None:
    target, starts = gaussian(torch.eye(2)), torch.zeros(3, 2)
    settings = Settings(1.0, burn_in=4, draws=12, step_size=0.4)
    whole = sample(target, starts, settings)
    fewer = sample(target, starts, dataclasses.replace(settings, draws=4, every=3))
    assert torch.equal(fewer.positions, whole.positions[:, 2::3])
    assert torch.equal(fewer.acceptance, whole.acceptance)


@pytest.mark.parametrize("name", ["trajectory", "burn_in", "draws", "step_size", "every"])
@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_settings_without_meaning_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} of HMC must be positive and finite, not {value}"):
        dataclasses.replace(Settings(1.0, 10, 10, 0.1), **{name: value})


@pytest.mark.parametrize("acceptance", [0, 1, math.nan])
def test_an_acceptance_is_a_probability(acceptance: float) -> None:
    with pytest.raises(ValueError, match="acceptance of HMC is a probability"):
        Settings(1.0, 10, 10, 0.1, acceptance)


def test_what_cannot_be_sampled_is_refused(tmp_path: Path) -> None:
    settings, target, starts = Settings(1.0, 5, 5, 0.4), gaussian(torch.eye(2)), torch.zeros(3, 2)
    for wrong in (torch.zeros(2), torch.zeros(0, 2), torch.full((3, 2), torch.nan)):
        with pytest.raises(ValueError, match="starts of HMC are finite, a vector a chain"):
            sample(target, wrong, settings)
    with pytest.raises(ValueError, match=r"log density \[nan, nan, nan\] at HMC's starts"):
        sample(lambda w: (w.sum(-1).double() * torch.nan, w), starts, settings)
    with pytest.raises(ValueError, match="its gradient must be finite"):
        sample(lambda w: (w.sum(-1).double(), w + torch.inf), starts, settings)
    with pytest.raises(ValueError, match=r"chains \[0, 1, 2\] \(from 0\) accepted next to nothing"):
        sample(lambda w: (torch.where(w.abs().amax(-1) > 0, -torch.inf, 0.0).double(), -w), starts, settings)
    with pytest.raises(ValueError, match=r"step size has fallen to 1\.0e-04, over 2000 leapfrogs"):
        leapfrogs(1.0, 1e-4)
    path = tmp_path / "chains.safetensors"
    sample(target, starts, settings, path)
    with pytest.raises(ValueError, match=r"chains\.safetensors is of another sampling"):
        sample(target, starts, dataclasses.replace(settings, seed=1), path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"chains\.safetensors is damaged"):
        sample(target, starts, settings, path)


# Diagnostics


def autoregressive(phi: float, chains: int = 4, draws: int = 2000, quantities: int = 40) -> NDArray[np.float64]:
    """Stationary AR(1) series of unit innovations, (C, N, quantities)."""
    noise = randn(chains, draws, quantities, of=f"ar {phi}").numpy()
    values = np.empty_like(noise)
    values[:, 0] = noise[:, 0] / math.sqrt(1 - phi**2)
    for t in range(1, draws):
        values[:, t] = phi * values[:, t - 1] + noise[:, t]
    return values


@pytest.mark.parametrize("phi", [0.9, 0.6, 0.0, -0.3])
def test_the_effective_sample_size_of_an_autoregressive_series_is_known(phi: float) -> None:
    """N (1 - phi) / (1 + phi); its ranks are worth the same but for the transformation, which is nearly linear here."""
    values = autoregressive(phi)
    true = 8000 * (1 - phi) / (1 + phi)
    assert mean_ess(values).mean() == pytest.approx(true, rel=0.05)
    assert bulk_ess(values).mean() == pytest.approx(true, rel=0.05)


def test_r_hat_is_near_one_for_chains_of_one_distribution_alone() -> None:
    values = autoregressive(0.6)
    assert split_rhat(values).max() < 1.01
    apart = values + 3 * np.arange(4)[:, None, None]
    assert split_rhat(apart).min() > 1.5
    assert bulk_ess(apart).max() < 30
    drifting = values + np.linspace(0, 5, 2000)[None, :, None]
    assert split_rhat(drifting).min() > 1.2, "the chains agree with each other, their halves do not"
    wider = values * np.array([1, 1, 1, 4])[:, None, None]
    assert split_rhat(wider).min() > 1.1, "the means agree, the spreads do not"


def test_chains_that_stand_still() -> None:
    """All at one place there is nothing to disagree on; at different places they have not mixed."""
    assert split_rhat(np.ones((4, 10, 1))) == 1
    assert split_rhat(np.broadcast_to(np.arange(4.0)[:, None, None], (4, 10, 1)))[0] > 10


@pytest.mark.parametrize("values", [np.zeros(10), np.zeros((2, 3)), np.full((2, 10), np.nan)])
def test_too_few_values_say_nothing_of_convergence(values: NDArray[np.float64]) -> None:
    for measure in (split_rhat, bulk_ess, mean_ess):
        with pytest.raises(ValueError, match="convergence is told from finite values"):
            measure(values)
