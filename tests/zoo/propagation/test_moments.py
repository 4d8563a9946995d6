"""Every rule against numerical integration, its limits, and its gradient; over the whole range of mean and variance."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, ndtr
from scipy.stats import norm
from torch import Tensor

from zoo.propagation import moments
from zoo.propagation.moments import Moments
from zoo.seeding import private_generator

Function = Callable[[np.ndarray], np.ndarray]
Rule = Callable[[Moments], Moments]

means = st.floats(-30, 30)
sigmas = st.floats(-3, 2).map(lambda exponent: 10**exponent)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)


def gaussian(mu: float, sigma: float) -> Moments:
    return Moments(torch.tensor(mu, dtype=torch.float64), torch.tensor(sigma**2, dtype=torch.float64))


def integrated(f: Function, mu: float, sigma: float) -> tuple[float, float]:
    """Mean and variance of f(x) for a Gaussian x, by quadrature on pieces on which f is smooth."""
    kink = min(max(-mu / sigma, -12.0), 12.0)
    around = [kink - 8 / sigma, kink - 1 / sigma, kink, kink + 1 / sigma, kink + 8 / sigma]  # of a sigmoid's bend
    edges = sorted({-12.0, 12.0, *(edge for edge in (*around, -4.0, 4.0) if -12 < edge < 12)})
    z, weight = [], []
    for low, high in pairwise(edges):
        z.append((high - low) / 2 * NODES + (high + low) / 2)
        weight.append((high - low) / 2 * WEIGHTS)
    z, weight = np.concatenate(z), np.concatenate(weight) * norm.pdf(np.concatenate(z))
    values = f(mu + sigma * z)
    mean = float((weight * values).sum())
    return mean, float((weight * (values - mean) ** 2).sum())


EXACT: dict[str, tuple[Rule, Function]] = {
    "relu": (moments.relu, lambda x: np.maximum(x, 0)),
    "leaky relu 0.01": (moments.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x)),
    "leaky relu 0.3": (lambda x: moments.leaky_relu(x, 0.3), lambda x: np.where(x > 0, x, 0.3 * x)),
    "abs": (moments.absolute, np.abs),
    "heaviside": (moments.heaviside, lambda x: (x > 0).astype(float)),
    "normal cdf": (moments.normal_cdf, ndtr),
}


@pytest.mark.parametrize("name", EXACT)
@given(mu=means, sigma=sigmas)
@settings(max_examples=150)
def test_exact_rules_are_the_integrals(name: str, mu: float, sigma: float) -> None:
    rule, f = EXACT[name]
    found, (mean, variance) = rule(gaussian(mu, sigma)), integrated(f, mu, sigma)
    unit = 1.0 if name in ("heaviside", "normal cdf") else sigma
    assert found.mean.item() == pytest.approx(mean, rel=1e-10, abs=1e-10 * unit)
    assert found.variance.item() == pytest.approx(variance, rel=1e-8, abs=1e-10 * unit**2)


@given(means, sigmas)
@settings(max_examples=100)
def test_a_binary_unit_is_one_with_the_expected_probability(mu: float, sigma: float) -> None:
    found = moments.probit(gaussian(mu, sigma))
    p, _ = integrated(ndtr, mu, sigma)
    assert found.mean.item() == pytest.approx(p, abs=1e-10)
    assert found.variance.item() == pytest.approx(p * (1 - p), abs=1e-10)


@given(means, sigmas)
@settings(max_examples=200)
def test_logistic_units_are_approximated_within_what_was_measured(mu: float, sigma: float) -> None:
    mean, variance = integrated(expit, mu, sigma)
    for rule in (moments.logistic_bernoulli, moments.logistic_bernoulli_normal, moments.logistic_transform):
        assert rule(gaussian(mu, sigma)).mean.item() == pytest.approx(mean, abs=0.025)
    assert moments.logistic_transform(gaussian(mu, sigma)).variance.item() == pytest.approx(variance, abs=0.08)
    binary = moments.logistic_bernoulli(gaussian(mu, sigma))
    assert binary.variance.item() == pytest.approx((binary.mean * (1 - binary.mean)).item())


def test_logistic_transforms_variance_has_its_asymptotes() -> None:
    """sigma^2 (p (1 - p))^2 for small sigma, one quarter for large."""
    for mu in (0.0, 1.0, -3.0):
        p = expit(mu)
        small = moments.logistic_transform(gaussian(mu, 1e-4)).variance.item()
        assert small == pytest.approx(1e-8 * (p * (1 - p)) ** 2, rel=1e-4)
        assert moments.logistic_transform(gaussian(mu, 1e5)).variance.item() == pytest.approx(0.25, rel=1e-3)


@given(means, sigmas)
def test_heaviside_of_a_logistic_variable_is_its_cdf(mu: float, sigma: float) -> None:
    """A logistic variable of scale s has the standard deviation s pi / sqrt(3)."""
    p = expit(mu / (sigma * math.sqrt(3) / math.pi))
    assert moments.heaviside_logistic(gaussian(mu, sigma)).mean.item() == pytest.approx(p, abs=1e-12)


def density_of_maximum(mu: float, s: float, nu: float, t: float) -> tuple[float, float]:
    """Mean and variance of the maximum of two independent Gaussians, from its density."""
    points = sorted({mu + k * s for k in (-12, -4, 0, 4, 12)} | {nu + k * t for k in (-12, -4, 0, 4, 12)})
    x, weight = [], []
    for low, high in pairwise(points):
        x.append((high - low) / 2 * NODES + (high + low) / 2)
        weight.append((high - low) / 2 * WEIGHTS)
    x, weight = np.concatenate(x), np.concatenate(weight)
    density = norm.pdf(x, mu, s) * norm.cdf(x, nu, t) + norm.pdf(x, nu, t) * norm.cdf(x, mu, s)
    mean = float((weight * density * x).sum())
    return mean, float((weight * density * (x - mean) ** 2).sum())


@given(means, sigmas, means, sigmas)
@settings(max_examples=150)
def test_maximum_is_that_of_its_density(mu: float, s: float, nu: float, t: float) -> None:
    found, (mean, variance) = moments.maximum(gaussian(mu, s), gaussian(nu, t)), density_of_maximum(mu, s, nu, t)
    scale = s + t
    assert found.mean.item() == pytest.approx(mean, rel=1e-9, abs=1e-8 * scale)
    assert found.variance.item() == pytest.approx(variance, rel=1e-6, abs=1e-7 * scale**2)
    turned = moments.maximum(gaussian(nu, t), gaussian(mu, s))
    assert (turned.mean.item(), turned.variance.item()) == pytest.approx((found.mean.item(), found.variance.item()))


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.5, 0.95])
def test_maximum_of_correlated_gaussians(correlation: float) -> None:
    generator = private_generator("maximum", correlation)
    z = torch.randn(2, 1_000_000, generator=generator, dtype=torch.float64)
    x = 0.3 + 1.5 * z[0]
    y = -0.2 + 0.8 * (correlation * z[0] + math.sqrt(1 - correlation**2) * z[1])
    covariance = 1.5 * 0.8 * correlation
    found = moments.maximum_of_correlated(gaussian(0.3, 1.5), gaussian(-0.2, 0.8), covariance)
    sampled = torch.maximum(x, y)
    assert found.mean.item() == pytest.approx(sampled.mean().item(), abs=0.006)
    assert found.variance.item() == pytest.approx(sampled.var().item(), rel=0.01)


def test_leaky_relu_and_abs_are_maxima_of_dependent_variables() -> None:
    """max(x, slope x) has the covariance slope * var: two rules, one answer."""
    for mu, sigma, slope in ((0.2, 1.3, 0.01), (-2.0, 0.7, 0.3), (1.0, 3.0, -1.0)):
        x = gaussian(mu, sigma)
        scaled = Moments(slope * x.mean, slope**2 * x.variance)
        expected, found = moments.maximum_of_correlated(x, scaled, slope * x.variance), moments.leaky_relu(x, slope)
        assert torch.allclose(torch.stack(found), torch.stack(expected), rtol=1e-10)


def test_the_papers_logistic_variance_is_what_it_says_it_is() -> None:
    """0.5 in place of 0.3408 for slope 0 at mean 0; up to 0.24 sigma^2 away for slope 0.01, at a = 0.5."""
    origin = gaussian(0.0, 1.0)
    assert moments.leaky_relu_logistic(origin, 0.0).variance.item() == pytest.approx(0.5)
    assert moments.relu(origin).variance.item() == pytest.approx(0.3408, abs=5e-5)
    a = torch.linspace(-4, 4, 81, dtype=torch.float64)
    x = Moments(a, torch.ones_like(a))
    difference = moments.leaky_relu_logistic(x).variance - moments.leaky_relu(x).variance
    assert 0.2 < difference.abs().max() < 0.24
    assert torch.equal(moments.leaky_relu_logistic(x).mean, moments.leaky_relu(x).mean)


@given(means, sigmas, means, sigmas)
def test_product_of_independent_variables(mu: float, s: float, nu: float, t: float) -> None:
    found = moments.product(gaussian(mu, s), gaussian(nu, t))
    second = (mu**2 + s**2) * (nu**2 + t**2)
    assert found.mean.item() == pytest.approx(mu * nu)
    assert found.variance.item() == pytest.approx(second - (mu * nu) ** 2, rel=1e-9, abs=1e-9 * second)


ALL: dict[str, Rule] = {
    **{name: rule for name, (rule, _) in EXACT.items()},
    "leaky relu, logistic": moments.leaky_relu_logistic,
    "heaviside, logistic": moments.heaviside_logistic,
    "logistic bernoulli": moments.logistic_bernoulli,
    "logistic bernoulli, normal": moments.logistic_bernoulli_normal,
    "logistic transform": moments.logistic_transform,
    "probit": moments.probit,
    "maximum": lambda x: moments.maximum(x, Moments(x.mean.flip(0), x.variance)),
    "product": lambda x: moments.product(x, x),
}
extremes = [0.0, 1e-30, 1e-12, 1e-3, 1.0, 30.0, 1e6, 1e12]  # whose products float32 holds


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_is_nan_or_negative_anywhere(name: str, dtype: torch.dtype) -> None:
    grid = torch.cartesian_prod(torch.tensor([*extremes, *(-e for e in extremes)]), torch.tensor(extremes)).to(dtype)
    x = Moments(grid[:, 0].clone().requires_grad_(), grid[:, 1].clone().requires_grad_())
    found = ALL[name](x)
    assert found.mean.isfinite().all()
    assert found.variance.isfinite().all()
    assert (found.variance >= 0).all()
    gradients = torch.autograd.grad(found.mean.sum() + found.variance.sum(), x)
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize(
    ("name", "f"),
    [
        ("relu", torch.relu),
        ("leaky relu 0.01", lambda x: torch.nn.functional.leaky_relu(x, 0.01)),
        ("abs", torch.abs),
        ("heaviside", lambda x: (x > 0).to(x)),
        ("logistic transform", torch.sigmoid),
        ("logistic bernoulli", torch.sigmoid),
        ("normal cdf", torch.special.ndtr),
    ],
)
def test_without_uncertainty_a_rule_is_the_function(name: str, f: Callable[[Tensor], Tensor]) -> None:
    x = torch.tensor([-7.0, -1.0, -1e-3, 1e-3, 0.5, 20.0], dtype=torch.float64)
    found = ALL[name](moments.certain(x))
    assert torch.allclose(found.mean, f(x), atol=1e-12)
    if name != "logistic bernoulli":  # which is uncertain by itself
        assert found.variance.abs().max() < 1e-12


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    mean = torch.tensor([-2.0, -0.3, 0.4, 1.7], dtype=torch.float64, requires_grad=True)
    variance = torch.tensor([0.5, 1.5, 0.1, 3.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m, v: tuple(ALL[name](Moments(m, v))), (mean, variance))


# --- softmax ----------------------------------------------------------------------------------------------------------

SOFTMAXES = {
    "simplified": moments.log_softmax_simplified,
    "logistic": moments.log_softmax_logistic,
    "normal": moments.log_softmax_normal,
}


@pytest.mark.parametrize(("name", "share"), [("simplified", 0.9), ("logistic", 0.5)])
def test_softmax_is_nearer_to_samples_than_the_softmax_of_the_mean(name: str, share: float) -> None:
    """Total variation distance, over random logits whose standard deviations are random up to 3."""
    generator = private_generator("softmax", name)
    ours, of_the_mean = 0.0, 0.0
    for _ in range(20):
        mean = 2 * torch.randn(5, generator=generator, dtype=torch.float64)
        variance = (3 * torch.rand(5, generator=generator, dtype=torch.float64)).square()
        noise = torch.randn(50_000, 5, generator=generator, dtype=torch.float64)
        sampled = (mean + variance.sqrt() * noise).softmax(-1).mean(0)
        ours += float((SOFTMAXES[name](Moments(mean, variance)).exp() - sampled).abs().sum())
        of_the_mean += float((mean.softmax(-1) - sampled).abs().sum())
    assert ours < share * of_the_mean


@pytest.mark.parametrize("name", ["simplified", "logistic"])
def test_without_uncertainty_softmax_is_softmax(name: str) -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5], [30.0, 0.0, -30.0]], dtype=torch.float64)
    assert torch.allclose(SOFTMAXES[name](moments.certain(logits)), logits.log_softmax(-1), atol=1e-12)


@pytest.mark.parametrize("name", SOFTMAXES)
def test_softmax_is_a_distribution_without_nan(name: str) -> None:
    for dtype in (torch.float32, torch.float64):
        grid = torch.cartesian_prod(*[torch.tensor([0.0, 1e-3, 1.0, 1e4])] * 4).to(dtype)
        x = Moments(grid[:, :2].clone().requires_grad_(), grid[:, 2:].clone().requires_grad_())
        log_p = SOFTMAXES[name](x)
        assert log_p.exp().sum(-1).sub(1).abs().max() < 1e-5
        gradients = torch.autograd.grad(log_p[:, 0].exp().sum(), x)
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_of_two_classes_the_approximations_are_those_of_one_logistic_unit() -> None:
    """Softmax of two classes is S of their difference."""
    x = Moments(torch.tensor([0.7, -0.4], dtype=torch.float64), torch.tensor([1.3, 0.2], dtype=torch.float64))
    difference = Moments(x.mean[0] - x.mean[1], x.variance.sum())
    logistic = moments.logistic_bernoulli(difference).mean
    normal = moments.logistic_bernoulli_normal(difference).mean
    assert moments.log_softmax_logistic(x).exp()[0].item() == pytest.approx(logistic.item())
    assert moments.log_softmax_normal(x).exp()[0].item() == pytest.approx(normal.item())


def test_relu_has_half_a_slope_at_mean_zero() -> None:
    """Where autograd takes the derivative of |a| for 0."""
    mean = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    found = moments.relu(Moments(mean, torch.ones(1, dtype=torch.float64)))
    (of_mean,) = torch.autograd.grad(found.mean, mean, retain_graph=True)
    assert of_mean.item() == pytest.approx(0.5)
    (of_variance,) = torch.autograd.grad(found.variance, mean)
    assert of_variance.item() == pytest.approx(2 * 0.5 / math.sqrt(2 * math.pi))  # 2 (1 - Phi) E max(x, 0)
