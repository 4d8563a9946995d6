"""Gradients of other draws at each step: in turn, or fresh."""

from __future__ import annotations

import pytest
import torch

from zoo.networks import build_network
from zoo.posteriors import PointPosterior, posterior_draws
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import derive_seed, forked_random_state, private_generator
from zoo.targets import Gradient, Schedule

DRAWS, SEED = 6, 11

LABELS = torch.tensor([0, 1, 2, 0, 1])


@pytest.mark.parametrize("stack", [None, False])
def test_resampled_gradients_are_those_of_one_draw_after_the_other(stack: bool | None) -> None:
    """And again the same after a restart, whatever the chunks; `forward` stays with the draw of the last gradient."""
    with forked_random_state(0):
        network = build_network("bayesian-lenet", "mnist").double()
    x, y = torch.rand(5, 1, 28, 28, generator=private_generator("in turn"), dtype=torch.float64), LABELS
    draws = [draw.eval() for draw in posterior_draws(network, 3, SEED)]
    by_hand = [ExpectedPrediction([draw], stack=stack).value_and_gradient(x, y) for draw in draws]
    prediction = ExpectedPrediction.of(network, 3, SEED, Gradient("resampled"), stack=stack, largest_tensor=1 << 16)
    assert prediction.draws == 1
    for _ in range(2):
        for step, (value, gradient) in enumerate((*by_hand, by_hand[0]), 1):
            found_value, found_gradient = prediction.value_and_gradient(x, y, step)
            assert torch.allclose(found_value, value, rtol=1e-9)
            assert torch.allclose(found_gradient, gradient, rtol=1e-9, atol=1e-12)
            assert torch.allclose(prediction(x), value, rtol=1e-9)
    assert not torch.allclose(by_hand[0][1], by_hand[1][1], atol=1e-3)


@pytest.mark.parametrize("stack", [None, False])
def test_fresh_gradients_are_of_draws_derived_from_the_step(stack: bool | None) -> None:
    """Whoever asks for the k-th gradient gets the same, in whatever order; more draws begin with the same ones."""
    with forked_random_state(0):
        network = build_network("bayesian-lenet", "mnist").double()
    x, y = torch.rand(5, 1, 28, 28, generator=private_generator("in turn"), dtype=torch.float64), LABELS
    gradient = Gradient(schedule=Schedule.FRESH)
    prediction = ExpectedPrediction.of(network, 3, SEED, gradient, stack=stack)
    assert prediction.draws == 3
    by_step = {}
    for step in (1, 2, 7, 2, 1):
        draws = [draw.eval() for draw in posterior_draws(network, 5, derive_seed(SEED, "step", step))[:3]]
        value, by_hand = ExpectedPrediction(draws, stack=stack).value_and_gradient(x, y)
        found_value, found = prediction.value_and_gradient(x, y, step)
        assert torch.allclose(found_value, value, rtol=1e-9)
        assert torch.allclose(found, by_hand, rtol=1e-9, atol=1e-12)
        assert torch.allclose(prediction(x), value, rtol=1e-9)
        assert torch.equal(by_step.setdefault(step, found), found)
    assert not torch.allclose(by_step[1], by_step[2], atol=1e-3)
    point = ExpectedPrediction.of(draws[0], 1, SEED, gradient, posterior=PointPosterior(draws[0]))
    assert torch.equal(point.value_and_gradient(x, y, 1)[1], point.value_and_gradient(x, y, 2)[1])


def test_a_gradient_without_draws_has_no_fresh_ones() -> None:
    with pytest.raises(ValueError, match="gradient target 'mean-weights' takes no draws that could be fresh"):
        Gradient("mean-weights", schedule=Schedule.FRESH)
    with pytest.raises(ValueError, match="no schedule 'now'; there are: frozen, fresh"):
        Gradient(schedule="now")
