"""The model that libraries see: gradients in range, shared exactly, recognised only for what they are."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmark.attacks.craft import craft
from benchmark.attacks.metered import GradientStore, MeteredModel, cross_entropy_sign, rescale
from benchmark.attacks.methods import Goal
from benchmark.protocol import LIBRARIES, standard_attack
from tests.benchmark.networks import EXAMPLES, X, Y, prediction_of, small_network
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import private_generator
from zoo.targets import GRADIENT_TARGETS, Gradient


@given(st.lists(st.floats(-1, 1, width=32), min_size=6, max_size=6), st.integers(-100, 100))
def test_rescaling_is_by_powers_of_two(values: list[float], exponent: int) -> None:
    gradient = torch.tensor(values).view(2, 3) * 2.0**exponent
    for before, after in zip(gradient, rescale(gradient), strict=True):
        if before.abs().max() < 2.0**-126:  # zero or subnormal: brought up as far as one factor can
            continue
        assert 1 <= after.abs().max() < 2
        ratio = after.abs().max().item() / before.abs().max().item()
        assert math.frexp(ratio)[0] == 0.5
        assert torch.equal((before.double() * ratio).float(), after)


def test_a_zero_gradient_stays_zero_and_nan_stays_nan() -> None:
    gradient = torch.tensor([[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]])
    scaled = rescale(gradient)
    assert torch.equal(scaled[0], gradient[0])
    assert scaled[1].isnan().any()
    assert scaled[2].isinf().any()


@pytest.mark.parametrize("target", GRADIENT_TARGETS)
def test_sharing_gradients_changes_no_image_and_computes_each_once(bayesian_net: nn.Module, target: str) -> None:
    prediction = ExpectedPrediction.of(bayesian_net.float(), 3, 0, Gradient(target))
    x, y = X[:, :, :4, :4].contiguous(), Y % 3
    store = GradientStore()
    for name, steps in (("fgsm", 1), ("pgd-linf", 20)):
        for eps in (0.05, 0.1):
            before, costs = store.computed, set()
            for library in LIBRARIES:
                spec = standard_attack(name, eps)
                alone = craft(library, prediction, x, y, spec, EXAMPLES, 0)
                shared = craft(library, prediction, x, y, spec, EXAMPLES, 0, store)
                assert torch.equal(alone.images, shared.images), (name, library)
                assert (alone.forwards, alone.backwards) == (shared.forwards, shared.backwards)
                costs.add(shared.backwards)
            assert costs == {steps * prediction.draws}  # as if each library were alone
            if name == "fgsm":  # the gradient at the image itself: once for all libraries and every eps
                assert store.computed == 1
            else:
                assert store.computed - before <= steps + 2  # ART rounds a step differently now and then


@given(
    eps=st.sampled_from([0.0, 0.003, 0.1, 1.0, 5.0]),
    scale=st.sampled_from([1e-3, 1.0, 100.0]),
    restarts=st.sampled_from([1, 2]),
    goal=st.sampled_from(Goal),
    seed=st.integers(0, 1000),
)
@settings(max_examples=20, deadline=None)
def test_torchattacks_and_foolbox_walk_one_path_in_l2(
    eps: float, scale: float, restarts: int, goal: Goal, seed: int
) -> None:
    """Bit for bit, from a random start, inside the ball, on its sphere and at the walls of the box."""
    prediction, store = prediction_of(small_network(scale, seed)), GradientStore()
    spec = replace(standard_attack("pgd-l2", eps), restarts=restarts, goal=goal)
    first, second = (craft(lib, prediction, X, Y, spec, EXAMPLES, seed, store) for lib in ("torchattacks", "foolbox"))
    assert torch.equal(first.images, second.images)
    assert second.timing["asked"] == restarts * spec.steps
    assert second.timing["computed"] == 0


def test_another_loss_gets_its_own_gradient() -> None:
    """A margin, a targeted loss and a weighted sum are not the labels' cross-entropy and must not be answered so."""
    prediction = prediction_of(small_network())
    model = MeteredModel(prediction, Y, GradientStore())
    losses = [
        lambda out: (out[:, 0] - out[:, 1]).sum(),
        lambda out: -nn.functional.cross_entropy(out, (Y + 1) % 5),
        lambda out: (nn.functional.cross_entropy(out, Y, reduction="none") * torch.arange(7)).sum(),
    ]
    for loss in losses:
        gradients = []
        for forward in (prediction, model):
            leaf = X.clone().requires_grad_()
            loss(forward(leaf)).backward()
            gradients.append(rescale(leaf.grad))
        assert torch.allclose(*gradients, rtol=1e-4, atol=1e-5)


def test_an_attack_towards_the_labels_is_answered_with_the_same_gradient_turned_round() -> None:
    model = MeteredModel(prediction_of(small_network()), Y, GradientStore())
    gradients = []
    for sign in (1, -1):
        leaf = X.clone().requires_grad_()
        (sign * nn.functional.cross_entropy(model(leaf), Y)).backward()
        gradients.append(leaf.grad)
    assert torch.equal(gradients[0], -gradients[1])
    assert (model.asked, model.computed) == (2, 1)


def test_the_cross_entropy_is_recognised_summed_and_averaged_and_nothing_else() -> None:
    out = torch.randn(7, 5, generator=private_generator("recognise")).log_softmax(1)
    for reduction, sign, expected in (("sum", 1, 1), ("mean", 1, 1), ("sum", -1, -1), ("mean", -1, -1), ("sum", 2, 0)):
        leaf = out.clone().requires_grad_()
        (sign * nn.functional.cross_entropy(leaf, Y, reduction=reduction)).backward()
        assert cross_entropy_sign(leaf.grad, out, Y) == expected
        assert cross_entropy_sign(leaf.grad, out, (Y + 1) % 5) == 0


def test_a_confident_networks_opposite_or_no_request_is_not_taken_for_the_cross_entropy() -> None:
    """At p = 1 - 1e-8 all of softmax - onehot is smaller than the rounding of its label's component."""
    out = torch.tensor([[0.0, -19.0, -20.0, -30.0, -40.0]] * 7).log_softmax(1)
    labels = torch.zeros(7, dtype=torch.long)
    for reduction in ("sum", "mean"):
        leaf = out.clone().requires_grad_()
        nn.functional.cross_entropy(leaf, labels, reduction=reduction).backward()
        assert cross_entropy_sign(leaf.grad, out, labels) == 1
        assert cross_entropy_sign(-leaf.grad, out, labels) == -1
        assert cross_entropy_sign(torch.zeros_like(out), out, labels) == 0


def test_what_a_library_does_to_its_gradient_reaches_no_other() -> None:
    prediction, store = prediction_of(small_network()), GradientStore()
    gradients = []
    for _ in range(2):
        leaf = X.clone().requires_grad_()
        out = MeteredModel(prediction, Y, store)(leaf)
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(out, Y), leaf)
        gradients.append(gradient.clone())
        gradient.zero_()
        out.detach().zero_()
    assert store.computed == 1
    assert torch.equal(*gradients)
    assert gradients[1].abs().max() > 0


def test_walks_longer_than_the_memory_are_shared_too() -> None:
    prediction, store = prediction_of(small_network()), GradientStore(size=2)
    spec = replace(standard_attack("pgd-linf", 0.3), steps=30, step_size=0.01)
    for library in ("torchattacks", "foolbox"):
        craft(library, prediction, X, Y, spec, EXAMPLES, 0, store)
    assert store.computed < 45


def test_a_store_that_may_keep_little_changes_no_image() -> None:
    """It computes anew what it had to forget."""
    prediction, spec = prediction_of(small_network()), standard_attack("pgd-l2", 1.0)
    ample, tight = GradientStore(), GradientStore(max_bytes=10_000)
    for library in LIBRARIES:
        first, second = (craft(library, prediction, X, Y, spec, EXAMPLES, 0, store) for store in (ample, tight))
        assert torch.equal(first.images, second.images)
    assert tight.bytes <= 10_000 < ample.bytes
    assert tight.computed > ample.computed
