"""All draws in one pass against the loop over draws, for every architecture."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from zoo.layers.order import pooling_first
from zoo.networks import ARCHITECTURES, build_network
from zoo.posteriors import posterior_draws
from zoo.prediction.draws import LoopedDraws
from zoo.prediction.expected import ExpectedPrediction
from zoo.prediction.stacked import GroupedDraws, StackedDraws, is_plain_chain
from zoo.seeding import private_generator

STACKABLE = [name for name in ARCHITECTURES if name != "logistic-ap2"]  # whose forward pass is no chain


def draws_of(architecture: str, count: int = 3) -> list[nn.Module]:
    network = build_network(architecture, "cifar10").double()
    if architecture.startswith("bayesian"):
        return [draw.eval() for draw in posterior_draws(network, count, 0)]
    return [build_network(architecture, "cifar10").double().eval() for _ in range(count)]


@pytest.mark.parametrize("architecture", STACKABLE)
def test_stacked_and_looped_draws_are_the_same_function(architecture: str) -> None:
    """Outputs and input gradients to float64 rounding, so also: pooling before a monotone activation is exact."""
    draws = draws_of(architecture)
    x = torch.rand(4, 3, 32, 32, generator=private_generator("stacked"), dtype=torch.float64)
    cotangent = torch.randn(3, 4, 10, generator=private_generator("cotangent"), dtype=torch.float64)
    results: list[tuple[Tensor, Tensor]] = []
    for module in (LoopedDraws(draws), StackedDraws(draws)):
        leaf = x.clone().requires_grad_()
        logits = module(leaf)
        (gradient,) = torch.autograd.grad(logits, leaf, cotangent)
        results.append((logits, gradient))
    assert results[0][0].shape == (3, 4, 10)
    assert torch.allclose(results[0][0], results[1][0], rtol=1e-9, atol=1e-12)
    assert torch.allclose(results[0][1], results[1][1], rtol=1e-7, atol=1e-12)


def test_a_chain_that_propagates_moments_is_not_taken_for_a_plain_one() -> None:
    assert not is_plain_chain(draws_of("logistic-ap2"))
    assert all(is_plain_chain(draws_of(architecture)) for architecture in STACKABLE)


def test_linear_networks_without_bias_or_convolution_stack_too() -> None:
    draws = [nn.Sequential(nn.Flatten(), nn.Linear(12, 5, bias=False), nn.ReLU(), nn.Linear(5, 2)) for _ in range(3)]
    x = torch.rand(4, 3, 2, 2, generator=private_generator("linear"))
    assert torch.allclose(LoopedDraws(draws)(x), StackedDraws(draws)(x), atol=1e-6)


@pytest.mark.parametrize(
    "network",
    [
        nn.Linear(4, 2),
        nn.Sequential(nn.Linear(4, 2)),
        nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.Flatten(), nn.Linear(4, 2)),
        nn.Sequential(nn.Conv2d(4, 4, 3, padding_mode="circular"), nn.Flatten(), nn.Linear(4, 2)),
        nn.Sequential(nn.Conv2d(4, 4, 3, dilation=2), nn.Flatten(), nn.Linear(4, 2)),
        nn.Sequential(nn.Conv2d(4, 4, 3, padding="same"), nn.Flatten(), nn.Linear(4, 2)),
        nn.Sequential(nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2)),
        nn.Sequential(nn.Flatten(2), nn.Linear(4, 2)),
    ],
    ids=str,
)
def test_what_is_not_a_plain_chain_is_not_grouped(network: nn.Module) -> None:
    assert not is_plain_chain([network, network])
    with pytest.raises(ValueError, match="same chain"):
        StackedDraws([network, network])
    assert not isinstance(ExpectedPrediction([network, copy.deepcopy(network)]).forward_draws, GroupedDraws)


def test_different_networks_are_looped() -> None:
    assert not is_plain_chain([nn.Sequential(nn.Flatten(), nn.Linear(4, n)) for n in (2, 3)])


def test_narrow_networks_are_stacked_whole_and_wide_ones_by_fours() -> None:
    for architecture, sizes in (("bayesian-lenet", [6]), ("bayesian-3conv3fc", [4, 2]), ("bayesian-lenet", [1])):
        draws = draws_of(architecture, sum(sizes))
        prediction = ExpectedPrediction(draws)
        assert isinstance(prediction.forward_draws, GroupedDraws)
        assert [stack.draws for stack in prediction.forward_draws.stacks] == sizes
        looped = ExpectedPrediction(draws, stack=False)
        assert isinstance(looped.forward_draws, LoopedDraws)
        x = torch.rand(3, 3, 32, 32, generator=private_generator("grouped"), dtype=torch.float64)
        assert torch.allclose(prediction(x), looped(x), rtol=1e-9)


def test_pooling_moves_before_activations_and_no_further() -> None:
    conv, relu, drop, pool = (nn.Conv2d(1, 1, 1),), (nn.ReLU(),), (nn.Dropout(),), (nn.MaxPool2d(2),)
    assert pooling_first([conv, relu, drop, pool, conv, pool]) == [conv, pool, relu, drop, conv, pool]
