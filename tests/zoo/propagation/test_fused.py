"""Derivatives in closed form: against finite differences, against autograd through textbook formulas, and at limits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.propagation import Moments, moments, quadrature
from zoo.propagation.fused import FAR
from zoo.seeding import private_generator

MEANS, SIGMAS = st.floats(-4, 4), st.floats(0.05, 3)


def tensors(*values: float) -> list[Tensor]:
    return [torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in values]


def clark(x: Tensor, x_variance: Tensor, y: Tensor, y_variance: Tensor) -> Moments:
    """Moments of the maximum as Clark (1961) writes them: they cancel, but have no kink."""
    s = (x_variance + y_variance).sqrt()
    a = (x - y) / s
    upper, lower = torch.special.ndtr(a), torch.special.ndtr(-a)
    phi = (-0.5 * a**2).exp() / math.sqrt(2 * math.pi)
    mean = x * upper + y * lower + s * phi
    return Moments(mean, (x**2 + x_variance) * upper + (y**2 + y_variance) * lower + (x + y) * s * phi - mean**2)


@given(MEANS, SIGMAS, MEANS, SIGMAS)
@settings(max_examples=100)
@example(0.0, 1.0, 0.0, 0.5)  # where a rule written with |a| has autograd's derivative of |a| at 0
def test_maxima_have_the_moments_and_derivatives_of_clark(mu: float, s: float, nu: float, t: float) -> None:
    inputs = tensors(mu, s**2, nu, t**2)
    expected = clark(*inputs)
    x, y = Moments(*inputs[:2]), Moments(*inputs[2:])
    for found in (moments.maximum(x, y), moments.maximum_of_correlated(x, y, 0.0)):
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
            gradients = (torch.autograd.grad(value, inputs, retain_graph=True) for value in (ours, theirs))
            for a, b in zip(*gradients, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


@given(MEANS, SIGMAS, MEANS, SIGMAS)
@settings(max_examples=25)
def test_maximum_has_the_derivatives_of_its_differences(mu: float, s: float, nu: float, t: float) -> None:
    inputs = tensors(mu, s**2, nu, t**2)
    assert torch.autograd.gradcheck(lambda a, b, c, d: moments.maximum(Moments(a, b), Moments(c, d)), inputs)


def textbook_kink(x: Tensor, variance: Tensor, slope: float) -> Moments:
    """Moments of slope * x + (1 - slope) max(x, 0), from the first two of ReLU: they cancel, but have no kink."""
    sigma, rest = variance.sqrt(), 1 - slope
    a = x / sigma
    upper, phi = torch.special.ndtr(a), (-0.5 * a**2).exp() / math.sqrt(2 * math.pi)
    relu = x * upper + sigma * phi
    square = (x**2 + variance) * upper + x * sigma * phi
    mean = slope * x + rest * relu
    return Moments(mean, slope**2 * (x**2 + variance) + (1 - slope**2) * square - mean**2)


@given(MEANS, SIGMAS, st.sampled_from([0.0, 0.01, 0.3, 1.0, -1.0, 1.7]))
@settings(max_examples=100)
@example(0.0, 1.0, 0.01)
@example(0.0, 0.5, -1.0)
def test_kinks_have_the_moments_and_derivatives_of_the_textbook(mu: float, s: float, slope: float) -> None:
    inputs = tensors(mu, s**2)
    found, expected = moments.leaky_relu(Moments(*inputs), slope), textbook_kink(*inputs, slope)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
        gradients = (torch.autograd.grad(value, inputs, retain_graph=True) for value in (ours, theirs))
        for a, b in zip(*gradients, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)
    assert torch.autograd.gradcheck(lambda m, v: tuple(moments.leaky_relu(Moments(m, v), slope)), inputs)


@pytest.mark.parametrize(
    "activation", [nn.Softplus(), nn.Softplus(beta=2.0), nn.Tanh(), nn.GELU(), nn.SiLU(), nn.ELU()]
)
def test_quadrature_has_the_derivatives_of_its_differences(activation: nn.Module) -> None:
    generator = private_generator("fused quadrature")
    mean = 2 * torch.randn(12, generator=generator, dtype=torch.float64)
    variance = torch.rand(12, generator=generator, dtype=torch.float64) + 0.01
    inputs = [mean.requires_grad_(), variance.requires_grad_()]
    assert torch.autograd.gradcheck(lambda m, v: tuple(quadrature(activation, Moments(m, v))), inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("apart", [0.0, 1e-3, 3.0, 1e4])
@pytest.mark.parametrize("sigma", [0.0, 1e-20, 1e-3, 1.0, 1e4])
def test_every_derivative_is_a_number_at_the_limits(dtype: torch.dtype, apart: float, sigma: float) -> None:
    values = torch.tensor([0.5 + apart, sigma**2, 0.5, sigma**2], dtype=dtype).requires_grad_()
    x, x_variance, y, y_variance = values
    for rule in (
        moments.maximum(Moments(x, x_variance), Moments(y, y_variance)),
        moments.leaky_relu(Moments(x - 0.5, x_variance)),
        moments.absolute(Moments(x - 0.5, x_variance)),
        quadrature(F.softplus, Moments(x, x_variance)),
    ):
        assert rule.variance >= 0
        for output in rule:
            (gradient,) = torch.autograd.grad(output, values, retain_graph=True)
            assert gradient.isfinite().all()


def test_no_gradient_is_denormal_because_of_a_far_smaller_rival() -> None:
    """Products with a density of 1e-40 are, and processors are a hundred times slower with them."""
    x = torch.linspace(0, 2 * FAR, 400).requires_grad_()
    uncertain = Moments(x, torch.ones(400))
    for found in (moments.maximum(uncertain, moments.certain(torch.zeros(400))), moments.relu(uncertain)):
        (gradient,) = torch.autograd.grad((found.mean + found.variance).sum(), x)
        rest = (gradient - 1).abs()
        assert not ((rest > 0) & (rest < torch.finfo(torch.float32).tiny)).any()
    of_certain = torch.zeros(400, requires_grad=True)
    found = moments.maximum(Moments(x.detach(), torch.ones(400)), Moments(torch.zeros(400), of_certain))
    (gradient,) = torch.autograd.grad(found.mean.sum(), of_certain)
    assert not ((gradient != 0) & (gradient.abs() < torch.finfo(torch.float32).tiny)).any()
    assert (gradient[x > 9] == 0).all()


def test_a_pass_without_gradients_gives_the_same_numbers() -> None:
    generator = private_generator("no gradients")
    x = Moments(torch.randn(50, generator=generator), torch.rand(50, generator=generator))
    y = Moments(x.mean.flip(0), x.variance.flip(0))
    with_graph = Moments(x.mean.clone().requires_grad_(), x.variance)
    for plain, graph in (
        (moments.maximum(x, y), moments.maximum(with_graph, y)),
        (moments.leaky_relu(x), moments.leaky_relu(with_graph)),
        (quadrature(torch.tanh, x), quadrature(torch.tanh, with_graph)),
    ):
        assert torch.equal(plain.mean, graph.mean)
        assert torch.equal(plain.variance, graph.variance)
