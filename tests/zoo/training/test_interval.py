"""Interval-bound training: its intervals beside those of `zoo.bounds`, and what it is for."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from zoo.bounds import certified, margins
from zoo.catalogue.recipes import Adversarial, Certified, Recipe
from zoo.datasets import load_split
from zoo.layers import MeanFieldLayer, use_generator
from zoo.networks import build_network
from zoo.seeding import forked_random_state, private_generator
from zoo.training.interval import Schedule, interval_loss, scheduled, worst_logits
from zoo.training.loop import Training


def built(architecture: str) -> nn.Module:
    with forked_random_state(1):
        return build_network(architecture, "mnist")


def images(count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    split = load_split("mnist", "test")
    return split.pixels(list(range(count))), torch.from_numpy(split.labels[:count]).long()


@pytest.mark.parametrize("architecture", ["lenet", "3conv3fc", "logistic", "mlp"])
def test_the_worst_logits_are_those_of_the_bounds(architecture: str) -> None:
    network, (x, y) = built(architecture), images()
    clean, worst = worst_logits(network, x, y, 0.02)
    assert torch.allclose(clean, network(x), atol=1e-4)
    known = -margins(network, x, y, 0.02, "linf", method="interval").lower[0]
    assert torch.allclose(worst.double(), known, rtol=1e-3, atol=1e-3)
    assert bool((worst.gather(1, y[:, None]) == 0).all())


def test_those_of_a_mean_field_network_are_of_one_draw() -> None:
    network, (x, y) = built("bayesian-lenet"), images()
    use_generator(network, private_generator("a draw"))
    clean, worst = worst_logits(network, x, y, 0.02)
    generator = private_generator("a draw")
    layers = [layer.draw(generator) if isinstance(layer, MeanFieldLayer) else layer for layer in network]
    drawn = nn.Sequential(*layers)
    assert torch.allclose(clean, drawn(x), atol=1e-4)
    known = -margins(drawn, x, y, 0.02, "linf", method="interval").lower[0]
    assert torch.allclose(worst.double(), known, rtol=1e-3, atol=1e-3)
    interval_loss(network, x, y, Schedule(0.02, 0.5))[1].backward()
    assert all(bool(one.grad.any()) for one in network.parameters() if one.grad is not None)
    assert all(one.grad is not None for one in network.parameters())


def test_no_image_of_the_ball_is_worse_than_the_worst_logits() -> None:
    network, (x, y) = built("lenet"), images(20)
    _, worst = worst_logits(network, x, y, 0.1)
    generator = private_generator("ball")
    for _ in range(20):
        logits = network((x + 0.1 * (2 * torch.rand(x.shape, generator=generator) - 1)).clamp(0, 1))
        assert bool((logits - logits.gather(1, y[:, None]) <= worst + 1e-4).all())


def test_eps_and_share_grow_over_the_ramp() -> None:
    settings = Certified(eps=0.3, warm_up=2, ramp=10)
    assert [scheduled(settings, epochs) for epochs in (0.5, 2, 7, 12, 30)] == [
        Schedule(0.0, 0.0),
        Schedule(0.0, 0.0),
        Schedule(0.15, 0.25),
        Schedule(0.3, 0.5),
        Schedule(0.3, 0.5),
    ]


def test_without_a_share_the_loss_is_the_usual_one() -> None:
    network, (x, y) = built("lenet"), images()
    _, loss = interval_loss(network, x, y, Schedule(0.1, 0.0))
    assert loss.item() == pytest.approx(nn.functional.cross_entropy(network(x), y).item(), rel=1e-5)


def test_it_certifies_what_ordinary_training_does_not() -> None:
    test = load_split("mnist", "test")
    few = dataclasses.replace(test, name="train", images=test.images[:600], labels=test.labels[:600])
    x, y = test.pixels(list(range(200))), torch.from_numpy(test.labels[:200]).long()
    shares = []
    for settings in (None, Certified(eps=0.05, warm_up=2, ramp=8)):
        recipe = Recipe("mlp-50", epochs=15, max_lr=5e-3, batch_size=64, certified=settings)
        network, _ = Training("mnist/test", recipe, few, None).run()
        shares.append((certified(network.eval(), x, y, 0.05, "linf", method="interval") > 0).double().mean().item())
    assert shares[1] > shares[0] + 0.3


def test_what_it_does_not_go_with_is_refused() -> None:
    for changes in ({"adversarial": Adversarial(0.1)}, {"flips": True}, {"draws": 2, "architecture": "bayesian-lenet"}):
        fields = {"architecture": "lenet", "epochs": 1, "max_lr": 1e-3, "certified": Certified(0.1), **changes}
        with pytest.raises(ValueError, match="is not for interval-bound training"):
            Recipe(**fields)
    with pytest.raises(ValueError, match="no interval of the layer Dropout"):
        worst_logits(nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(784, 10)), *images(2), 0.1)
    with pytest.raises(ValueError, match="end in a linear one"):
        worst_logits(nn.Sequential(nn.Flatten()), *images(2), 0.1)
