"""Layers' moments against Jacobians, sampling, and the networks themselves where nothing is uncertain."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import models
from zoo.datasets import load_split
from zoo.layers import BayesianLinear, make_bayesian
from zoo.networks import Preprocess, build_network
from zoo.prediction.expected import ExpectedPrediction
from zoo.propagation import Moments, certain, propagate, quadrature
from zoo.propagation.moments import log_softmax_logistic
from zoo.propagation.units import (
    Abs,
    BernoulliDropout,
    GaussianNoise,
    Heaviside,
    LogisticBernoulli,
    NormalCdf,
    Probit,
    Unit,
)
from zoo.seeding import forked_random_state, private_generator


def seeded(build: Callable[..., nn.Module], *arguments: object, **options: object) -> nn.Module:
    with torch.random.fork_rng():
        torch.random.manual_seed(5)
        return build(*arguments, **options).double()


def uncertain(*shape: int, scale: float = 1.0) -> Moments:
    generator = private_generator("uncertain", *shape)
    mean = torch.randn(shape, generator=generator, dtype=torch.float64)
    return Moments(mean, scale * torch.rand(shape, generator=generator, dtype=torch.float64))


def trained_batch_norm() -> nn.Module:
    layer = seeded(nn.BatchNorm2d, 3)
    generator = private_generator("norm")
    for value in (layer.weight, layer.bias, layer.running_mean):
        value.data.copy_(torch.randn(3, generator=generator))
    layer.running_var.copy_(torch.rand(3, generator=generator) + 0.1)
    return layer.eval()


AFFINE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: seeded(nn.Linear, 6, 4), (2, 6)),
    "linear without bias": (lambda: seeded(nn.Linear, 6, 4, bias=False), (2, 6)),
    "conv1": (lambda: seeded(nn.Conv1d, 3, 4, 3, padding=1), (2, 3, 6)),
    "conv2": (lambda: seeded(nn.Conv2d, 3, 4, 3, stride=2, padding=1), (1, 3, 5, 5)),
    "conv2 in groups": (lambda: seeded(nn.Conv2d, 4, 4, 3, groups=2, dilation=2, bias=False), (1, 4, 6, 6)),
    "conv3": (lambda: seeded(nn.Conv3d, 1, 2, 2), (1, 1, 3, 3, 3)),
    "batch norm": (trained_batch_norm, (1, 3, 3, 3)),
    "average pooling": (lambda: nn.AvgPool2d(2), (1, 2, 4, 4)),
    "preprocess": (lambda: Preprocess((0.1, 0.2, 0.3), (0.5, 0.6, 0.7), pad=1).double(), (1, 3, 2, 2)),
    "flatten": (nn.Flatten, (2, 2, 3)),
}


@pytest.mark.parametrize("name", AFFINE)
def test_affine_layers_square_their_jacobian(name: str) -> None:
    build, shape = AFFINE[name]
    layer, x = build(), uncertain(*shape)
    found = propagate(layer, x)
    jacobian = torch.autograd.functional.jacobian(layer, x.mean)
    expected = torch.tensordot(jacobian.square(), x.variance, dims=x.mean.ndim)
    assert torch.allclose(found.mean, layer(x.mean))
    assert torch.allclose(found.variance, expected)


@pytest.mark.parametrize("bias", [True, False])
def test_random_weights_and_inputs_have_the_variance_of_their_products(bias: bool) -> None:
    layer = make_bayesian(seeded(nn.Linear, 5, 3, bias=bias), rho=-0.5)
    x = uncertain(5)
    found = propagate(layer, x)
    generator = private_generator("weights and inputs", bias)
    inputs = x.mean + x.variance.sqrt() * torch.randn(20_000, 5, generator=generator, dtype=torch.float64)
    draws = [layer.draw(generator) for _ in range(200)]
    with torch.no_grad():
        samples = torch.cat([draw(part) for draw, part in zip(draws, inputs.split(100), strict=True)])
    within = torch.stack([part.var(0) for part in samples.split(100)]).mean(0)  # of inputs, given weights
    (mu, sigma), *of_bias = layer.posterior()
    assert torch.allclose(within, (mu.square() + sigma.square()) @ x.variance, rtol=0.1)
    of_weights = sigma.square() @ x.mean.square() + sum(var.square() for _, var in of_bias)
    assert torch.allclose(found.variance, (mu.square() + sigma.square()) @ x.variance + of_weights)
    assert torch.allclose(found.mean, layer.mean()(x.mean))


@pytest.mark.parametrize(
    "unit", [LogisticBernoulli(), LogisticBernoulli(normal=True), Probit(), GaussianNoise(0.7), BernoulliDropout(0.3)]
)
def test_units_propagate_what_they_sample(unit: Unit) -> None:
    x = uncertain(6, scale=2.0)
    generator = private_generator("unit", repr(unit))
    count = 40_000
    inputs = x.mean + x.variance.sqrt() * torch.randn(count, 6, generator=generator, dtype=torch.float64)
    unit.generator = generator
    samples = unit(inputs)
    unit.generator = None
    found = propagate(unit, x)
    close = 0.025 if isinstance(unit, LogisticBernoulli) else 5 * float(samples.std(0).max()) / math.sqrt(count)
    assert (samples.mean(0) - found.mean).abs().max() < close
    assert (samples.var(0) / found.variance - 1).abs().max() < 0.1
    assert torch.equal(unit(x.mean), unit.mean(x.mean))


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2)])
def test_max_pooling_is_near_that_of_samples(size: int, stride: int) -> None:
    layer, x = nn.MaxPool2d(size, stride), uncertain(1, 2, 7, 7)
    generator = private_generator("pool", size)
    noise = torch.randn(20_000, 2, 7, 7, generator=generator, dtype=torch.float64)
    samples = layer(x.mean + x.variance.sqrt() * noise)
    found = propagate(layer, x)
    assert found.mean.shape == layer(x.mean).shape
    assert (samples.mean(0) - found.mean[0]).abs().max() < 0.05
    # a maximum is skewed, and taken for Gaussian in the next pair
    ratio = (found.variance[0].sqrt() / samples.std(0)).log()
    assert -0.15 < ratio.mean() < 0.02
    assert ratio.min() > -0.3


def test_quadrature_of_a_smooth_activation() -> None:
    """On a grid: the mean to 2e-3 of its own size, the standard deviation to 0.6 %, both worst far out and wide."""
    mu, sigma = torch.linspace(-5, 5, 201, dtype=torch.float64), torch.linspace(0.001, 2, 60, dtype=torch.float64)
    x = Moments(*(part.flatten() for part in torch.meshgrid(mu, sigma.square(), indexing="ij")))
    found, exact = quadrature(F.softplus, x), quadrature(F.softplus, x, count=100)
    assert (found.mean / exact.mean - 1).abs().max() < 2e-3
    assert ((found.variance / exact.variance).sqrt() - 1).abs().max() < 6e-3


EVERY_ACTIVATION = nn.Sequential(
    nn.Conv2d(1, 4, 3),
    nn.ReLU(),
    nn.Conv2d(4, 4, 3),
    nn.LeakyReLU(0.1),
    nn.MaxPool2d(3, 2),
    nn.Flatten(),
    nn.Linear(4 * 25, 9),
    Abs(),
    nn.Linear(9, 9),
    nn.Sigmoid(),
    nn.Linear(9, 9),
    NormalCdf(),
    nn.Linear(9, 9),
    nn.Softplus(),
    nn.Linear(9, 9),
    nn.Tanh(),
    nn.Dropout(0.5),
    nn.Linear(9, 9),
    Heaviside(),
).eval()


@pytest.mark.parametrize(
    "network", [build_network("lenet", "mnist"), build_network("3conv3fc", "mnist").eval(), EVERY_ACTIVATION]
)
def test_without_uncertainty_it_is_the_network(network: nn.Module) -> None:
    x = torch.rand(3, 1, 28, 28, generator=private_generator("certain"))
    x = x[..., :15, :15] if network is EVERY_ACTIVATION else x
    found = propagate(network, certain(x))
    assert torch.allclose(found.mean, network(x), atol=1e-5)
    assert found.variance.abs().max() < 1e-8


def test_a_step_has_a_gradient_once_its_input_is_uncertain() -> None:
    x = torch.zeros(1, requires_grad=True)
    propagate(Heaviside(), Moments(x, torch.ones(1))).mean.backward()
    assert x.grad.item() == pytest.approx(1 / math.sqrt(2 * math.pi))


def test_a_mean_field_layer_is_trained_through_its_moments() -> None:
    with forked_random_state(0):
        layer = BayesianLinear(4, 3)
    found = propagate(layer, Moments(torch.ones(2, 4), torch.ones(2, 4)))
    (found.mean.sum() + found.variance.sum()).backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().min() > 0, name


def test_a_layer_without_a_rule_is_named() -> None:
    with pytest.raises(ValueError, match=r"no rule .* LSTM: give it one"):
        propagate(nn.LSTM(2, 2), uncertain(2, 2))
    with pytest.raises(ValueError, match="without padding"):
        propagate(nn.MaxPool2d(2, padding=1), uncertain(1, 1, 4, 4))


def test_one_pass_is_nearer_to_a_bayesian_networks_prediction_than_eight_draws(untouched_global_state: None) -> None:
    """KL from the average of 1,024 draws, on 40 test images of MNIST."""
    network = models["mnist/bayesian-lenet"].build()
    x = torch.from_numpy(load_split("mnist", "test").images[:40].copy()).float() / 255
    with torch.no_grad():
        log_p = ExpectedPrediction.of(network, 1024, 0).logits(x).double().log_softmax(-1)
        of_draws = log_p.logsumexp(0) - math.log(1024)
        propagated = log_softmax_logistic(propagate(network, certain(x))).double()
        of_eight = ExpectedPrediction.of(network, 8, 1)(x).double()

    def kl(log_q: Tensor) -> float:
        return float((of_draws.exp() * (of_draws - log_q)).sum())

    assert kl(propagated) < kl(of_eight)
    assert torch.equal(propagated.argmax(1), of_draws.argmax(1))
