"""Mean-field layers against closed forms, Monte Carlo and torch.distributions."""

from __future__ import annotations

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Normal
from torch.distributions import kl_divergence as reference_kl
from torch.nn import functional as F

from zoo.layers import BayesianConv2d, BayesianLinear, gaussian_kl, kl_divergence, use_generator
from zoo.seeding import private_generator

finite = st.floats(-5, 5)
scale = st.floats(1e-3, 10)


def test_kl_of_one_weight_is_that_of_q_from_p_and_not_the_reverse() -> None:
    """mu .05, rho -5, prior 0.1: KL(q || p) = 2.33 nats; the public reference code computes 135.4, KL(p || q)."""
    mu, sigma = torch.tensor([0.05]), F.softplus(torch.tensor([-5.0]))
    assert gaussian_kl(mu, sigma, 0.0, 0.1).item() == pytest.approx(2.33, abs=0.005)
    reverse = gaussian_kl(torch.tensor([0.0]), torch.tensor([0.1]), 0.05, sigma.item())
    assert reverse.item() == pytest.approx(135.4, abs=0.05)


@given(finite, scale, finite, scale)
def test_kl_agrees_with_torch_distributions(mu_q: float, sigma_q: float, mu_p: float, sigma_p: float) -> None:
    ours = gaussian_kl(
        torch.tensor([mu_q], dtype=torch.float64), torch.tensor([sigma_q], dtype=torch.float64), mu_p, sigma_p
    )
    q = Normal(torch.tensor(mu_q, dtype=torch.float64), torch.tensor(sigma_q, dtype=torch.float64))
    p = Normal(torch.tensor(mu_p, dtype=torch.float64), torch.tensor(sigma_p, dtype=torch.float64))
    assert ours.item() == pytest.approx(reference_kl(q, p).item(), rel=1e-9, abs=1e-9)
    assert ours.item() >= -1e-12


def test_kl_of_a_network_is_the_sum_over_weights_and_biases() -> None:
    net = nn.Sequential(BayesianConv2d(2, 3, 3), nn.Flatten(), BayesianLinear(12, 4, prior=0.3))
    terms = []
    for layer, prior in ((net[0], 0.1), (net[2], 0.3)):
        for mu, rho in ((layer.weight_mu, layer.weight_rho), (layer.bias_mu, layer.bias_rho)):
            q = Normal(mu.double(), F.softplus(rho.double()))
            terms.append(reference_kl(q, Normal(torch.zeros_like(mu).double(), prior)).sum())
    assert kl_divergence(net).item() == pytest.approx(sum(term.item() for term in terms), rel=1e-5)


def test_kl_is_zero_at_the_prior() -> None:
    layer = BayesianLinear(7, 5, prior=0.25, rho=math.log(math.expm1(0.25)))
    torch.nn.init.zeros_(layer.weight_mu)
    assert layer.kl().item() == pytest.approx(0.0, abs=1e-5)


def test_kl_of_a_plain_network_is_refused() -> None:
    with pytest.raises(ValueError, match="no mean-field layer"):
        kl_divergence(nn.Linear(2, 2))


@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_both_samplings_have_the_closed_form_moments(kind: str) -> None:
    """Pre-activations: mean x * mu, variance x^2 * sigma^2, for weight and activation sampling alike."""
    generator = private_generator("moments", kind)
    with torch.random.fork_rng():
        torch.random.manual_seed(1)
        layer = BayesianLinear(6, 4, rho=-1.0) if kind == "linear" else BayesianConv2d(2, 3, 3, padding=1, rho=-1.0)
    layer = layer.double()
    shape = (2, 6) if kind == "linear" else (2, 2, 4, 4)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    (mu, sigma), (mu_b, sigma_b) = ((m.detach(), s.detach()) for m, s in layer.posterior())
    mean, variance = layer.affine(x, mu, mu_b), layer.affine(x**2, sigma**2, sigma_b**2)
    use_generator(layer, generator)
    count = 4000
    for sampling in ("weights", "activations"):
        layer.sampling = sampling
        with torch.no_grad():
            samples = torch.stack([layer(x) for _ in range(count)])
        # standard errors: sqrt(v / n) of a mean, v sqrt(2 / n) of a variance; 5 of them over a few dozen numbers
        assert ((samples.mean(0) - mean).abs() < 5 * (variance / count).sqrt()).all(), sampling
        assert ((samples.var(0) - variance).abs() < 5 * variance * math.sqrt(2 / count)).all(), sampling


def test_weight_sampling_shares_one_draw_over_the_batch_and_activation_sampling_does_not() -> None:
    """Of two equal examples; a product may add up its rows in different orders, so equal is to float64 rounding."""
    x = torch.ones(2, 6, dtype=torch.float64)
    for sampling, shared in (("weights", True), ("activations", False)):
        layer = BayesianLinear(6, 4, rho=0.0, sampling=sampling).double()
        use_generator(layer, private_generator("shared"))
        first, second = layer(x)
        apart = (first - second).abs()
        assert (apart < 1e-12).all() if shared else (apart > 1e-2).all()


def test_a_draw_is_a_plain_layer_with_the_posterior_as_its_distribution(untouched_global_state: None) -> None:
    with torch.random.fork_rng():  # constructors initialise from the global state, as torch's own do
        layer = BayesianConv2d(2, 3, 3, stride=2, padding=1, rho=-2.0)
    generator = private_generator("draw")
    draws = torch.stack([layer.draw(generator).weight for _ in range(2000)])
    sigma = F.softplus(layer.weight_rho)
    assert isinstance(layer.draw(generator), nn.Conv2d)
    assert ((draws.mean(0) - layer.weight_mu).abs() < 5 * sigma / math.sqrt(2000)).all()
    assert ((draws.std(0) / sigma - 1).abs() < 5 / math.sqrt(2 * 2000)).all()
    x = torch.rand(1, 2, 7, 7, generator=generator)
    assert torch.equal(layer.mean()(x), layer.affine(x, layer.weight_mu, layer.bias_mu))


def test_sampling_leaves_the_global_state_alone(untouched_global_state: None) -> None:
    with torch.random.fork_rng():
        layer = BayesianLinear(3, 2)
    use_generator(layer, private_generator("x"))
    layer(torch.ones(1, 3))
    layer.draw(private_generator("y"))


def test_sampling_without_a_generator_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="use_generator"):
        BayesianLinear(3, 2)(torch.ones(1, 3))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("sampling", "weight"),
        ("variance", "sigma"),
        ("prior", 0.0),
        ("prior", -1.0),
        ("prior", "0.1"),
        ("rho", math.nan),
        ("rho", (-3.0, -0.1)),
        ("mu", 0.5),
        ("mu", (0.5, math.inf)),
    ],
)
def test_bad_options_are_refused(option: str, value: object) -> None:
    with pytest.raises(ValueError, match=re.escape(str(value))):
        BayesianLinear(3, 2, **{option: value})


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="prior_sigma"):
        BayesianLinear(3, 2, prior_sigma=0.1)


def test_a_layer_without_bias_has_finite_gradients_on_a_zero_patch() -> None:
    layer = BayesianLinear(3, 2, bias=False, sampling="activations")
    use_generator(layer, private_generator("zero"))
    x = torch.zeros(1, 3, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
