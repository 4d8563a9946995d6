"""The KL of every prior against numerical integration, torch.distributions and averages over draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from zoo.layers import BayesianLinear, GaussianPrior, LogUniformPrior, Prior, ScaleMixturePrior, use_generator
from zoo.seeding import private_generator


def test_gaussian_prior_has_a_mean() -> None:
    q, p = torch.distributions.Normal(0.3, 0.2), torch.distributions.Normal(-0.4, 0.5)
    kl = GaussianPrior(0.5, mu=-0.4).kl(q.loc, q.scale, None, lambda: pytest.fail("an exact KL needs no draw"))
    assert kl.item() == pytest.approx(torch.distributions.kl_divergence(q, p).item(), rel=1e-6)


@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 0.01), (0.3, 0.05), (1.5, 0.4)])
def test_mixture_is_estimated_without_bias(mu: float, sigma: float) -> None:
    prior, count = ScaleMixturePrior(pi=0.25, sigma1=0.8, sigma2=0.05), 200_000

    def integrand(w: float) -> float:
        p = 0.25 * norm.pdf(w, 0, 0.8) + 0.75 * norm.pdf(w, 0, 0.05)
        return norm.pdf(w, mu, sigma) * (norm.logpdf(w, mu, sigma) - math.log(p))

    exact = quad(integrand, mu - 9 * sigma, mu + 9 * sigma, points=[mu], limit=500)[0]
    m, s = (torch.full((count,), value, dtype=torch.float64) for value in (mu, sigma))
    noise = torch.randn(count, generator=private_generator("mixture", mu), dtype=torch.float64)
    estimates = (
        torch.stack(
            [
                prior.kl(a, b, None, lambda a=a, b=b, e=e: a + b * e)
                for a, b, e in zip(m.split(100), s.split(100), noise.split(100), strict=True)
            ]
        )
        / 100
    )
    assert abs(float(estimates.mean()) - exact) < 5 * float(estimates.std()) / math.sqrt(len(estimates))


def exact_log_uniform_kl(alpha: float) -> float:
    """Up to the constant that makes it vanish at infinity: E log |w| - log sigma, w from N(1, alpha)."""
    sigma = math.sqrt(alpha)
    expectation = quad(
        lambda w: norm.pdf(w, 1, sigma) * math.log(abs(w)), 1 - 12 * sigma, 1 + 12 * sigma, points=[0, 1], limit=1000
    )[0]
    at_infinity = -(np.euler_gamma + math.log(2)) / 2  # E log |w| of the standard normal distribution
    return expectation - math.log(sigma) - at_infinity


@pytest.mark.parametrize("alpha", [1e-4, 1e-3, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 1e4])
def test_log_uniform_is_approximated_within_a_hundredth(alpha: float) -> None:
    mu = torch.tensor([-0.7, 0.02], dtype=torch.float64)
    kl = LogUniformPrior().kl(mu, math.sqrt(alpha) * mu.abs(), None, lambda: pytest.fail("no draw is needed"))
    assert kl.item() / 2 == pytest.approx(exact_log_uniform_kl(alpha), abs=0.01)


@given(st.floats(-8, 3), st.floats(-8, 3), st.sampled_from([-1, 0, 1]))
def test_log_uniform_stays_finite_with_its_gradients(log_mu: float, log_sigma: float, sign: int) -> None:
    mu = torch.tensor([sign * 10**log_mu], requires_grad=True)
    sigma = torch.tensor([10**log_sigma], requires_grad=True)
    kl = LogUniformPrior().kl(mu, sigma, None, lambda: mu)
    kl.backward()
    assert kl.isfinite()
    assert kl.item() > -0.01
    assert mu.grad.isfinite()
    assert sigma.grad.isfinite()


def test_a_layer_gives_its_prior_draws_of_its_posterior() -> None:
    with torch.random.fork_rng():
        layer = BayesianLinear(40, 30, prior=ScaleMixturePrior(0.5, 1.0, 0.1), rho=-2.0).double()
    with pytest.raises(RuntimeError, match="use_generator"):
        layer.kl()
    use_generator(layer, private_generator("kl draws"))
    estimates = torch.stack([layer.kl().detach() for _ in range(200)])
    exact = 0.0
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    for mu, sigma in layer.posterior():
        w = mu.detach().flatten()[:, None] + sigma.detach().flatten()[:, None] * torch.from_numpy(nodes)
        p = 0.5 * torch.distributions.Normal(0, 1.0).log_prob(w).exp()
        p = p + 0.5 * torch.distributions.Normal(0, 0.1).log_prob(w).exp()
        cross = (p.log() * torch.from_numpy(weights / weights.sum())).sum(1)
        exact -= float((torch.distributions.Normal(0.0, sigma.detach().flatten()).entropy() + cross).sum())
    assert abs(float(estimates.mean()) - exact) < 5 * float(estimates.std()) / math.sqrt(200)


@pytest.mark.parametrize(
    ("prior", "options", "named"),
    [
        (GaussianPrior, {"sigma": 0.0}, "sigma"),
        (ScaleMixturePrior, {"sigma1": -1.0}, "sigma1"),
        (ScaleMixturePrior, {"sigma2": 0.0}, "sigma2"),
        (GaussianPrior, {"sigma": math.inf}, "sigma"),
        (ScaleMixturePrior, {"pi": 1.0}, "pi"),
    ],
)
def test_priors_without_meaning_are_refused(prior: type[Prior], options: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=rf"{named} .*{next(iter(options.values()))}"):
        prior(**options)
