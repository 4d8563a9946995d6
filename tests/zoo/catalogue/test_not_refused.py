"""Honest networks that look odd to a check when they are loaded: none of them is refused, whatever its name is."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.zoo.networks import After, Drawing, Factory, X, entry, linear
from zoo.catalogue.behaviour import same_behaviour
from zoo.kind import Kind, Randomness
from zoo.layers import BayesianLinear, bayesian_layers, make_bayesian
from zoo.prediction.target_networks import undefined_targets
from zoo.targets import Gradient

NAMES = [f"mnist/{number}" for number in range(12)]  # the seeds of the draws that are compared derive from them


class Members(nn.Module):
    """A draw is one of its members, as they are or copied."""

    def __init__(self, size: int, copied: bool = False) -> None:
        super().__init__()
        self.networks, self.copied = nn.ModuleList(map(linear, range(size))), copied

    def draw(self, generator: torch.Generator) -> nn.Module:
        member = self.networks[int(torch.randint(len(self.networks), (), generator=generator))]
        return copy.deepcopy(member) if self.copied else member


class Overwriting(Members):
    """The same, but each draw is written into one and the same network."""

    def draw(self, generator: torch.Generator) -> nn.Module:
        self.networks[0].load_state_dict(super().draw(generator).state_dict())
        return self.networks[0]


class Coin(nn.Module):
    """A forward pass that has two outcomes: the image as it is, or mirrored."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = linear()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.flip(-1) if torch.rand(()) < 0.5 else x)


class Tempered(nn.Module):
    """Its own draw around mean-field layers, which reads their distributions in `forward`; it has no mean."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten, self.last = nn.Flatten(), make_bayesian(linear())[1]

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.flatten(x), self.last.weight_mu, self.last.bias_mu)

    def draw(self, generator: torch.Generator) -> nn.Module:
        return nn.Sequential(self.flatten, self.last.draw(generator))


class Reading(nn.Module):
    """A network of mean-field layers whose forward pass reads their means: of plain layers it can make nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.last = BayesianLinear(784, 10)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.flatten(1), self.last.weight_mu)


def tempered_without_a_network_of_the_mean() -> nn.Module:
    network = Tempered()
    network.mean = lambda: nn.Linear(3, 3)  # for something else than images
    return network


def with_offset(offset: float) -> nn.Module:
    return nn.Sequential(make_bayesian(linear()), _Plus(offset))


class _Plus(nn.Module):
    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, x: Tensor) -> Tensor:
        return x + self.offset


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("size", [2, 3])
def test_an_ensemble_that_draws_its_members_is_taken_whatever_its_name_is(name: str, copied: bool, size: int) -> None:
    of = entry(lambda: Members(size, copied), name=name)
    prediction = of.predictor(8, 0)
    assert of.load()[1].kind is Kind.CONTINUOUS
    assert len(torch.unique(prediction.logits(X).flatten(1), dim=0)) > 1
    assert torch.equal(prediction(X), of.predictor(8, 0)(X))


@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_overwrites_its_draws_is_refused_whatever_its_name_is(name: str) -> None:
    with pytest.raises(ValueError, match=r"goes on using|do not differ"):
        entry(lambda: Overwriting(2), name=name).load()


@pytest.mark.parametrize("name", NAMES)
def test_members_that_are_picked_without_the_generator_are_refused_whatever_the_name_is(name: str) -> None:
    members = [linear(0), linear(1)]

    def draw(generator: torch.Generator) -> nn.Module:
        return random.choice(members)

    with pytest.raises(ValueError, match="another network for the same generator"):
        entry(lambda: Drawing(draw), name=name).load()


@pytest.mark.parametrize("name", NAMES)
def test_a_forward_pass_with_two_outcomes_is_found_to_be_random_whatever_its_name_is(name: str) -> None:
    assert entry(Coin, family=None, name=name).load()[1].kind is Kind.CONTINUOUS


@pytest.mark.parametrize("factory", [Tempered, tempered_without_a_network_of_the_mean])
def test_without_a_network_of_the_mean_that_target_alone_is_undefined(factory: Factory) -> None:
    of = entry(factory)
    network, posterior = of.load()
    assert undefined_targets(network, posterior, X[:1]) == ("mean-weights", "propagation")
    for target in ("expected", "mean-loss", "mean-logit"):
        _, gradient = of.predictor(4, 0, Gradient(target)).value_and_gradient(X, torch.zeros(len(X), dtype=torch.long))
        assert gradient.abs().amax() > 0


def test_mean_field_layers_that_a_network_reads_itself_have_no_network_of_the_mean() -> None:
    network = Reading()
    (layer,) = bayesian_layers(network)
    assert layer is network.last
    of = entry(Reading, randomness=Randomness.DRAW)
    with pytest.raises(ValueError, match="fails on images"):  # neither has it draws
        of.load()


@pytest.mark.parametrize("offset", [100.0, 1e5, -1e5])
def test_an_offset_of_all_logits_hides_no_posterior(offset: float) -> None:
    plain, shifted = entry(lambda: make_bayesian(linear())), entry(lambda: with_offset(offset))
    rounding = 2 * abs(offset) * torch.finfo(torch.float32).eps
    assert (shifted.predictor(8, 0)(X) - plain.predictor(8, 0)(X)).abs().max() <= 2 * rounding + 1e-5
    assert len(torch.unique(shifted.predictor(8, 0).logits(X).flatten(1), dim=0)) == 8


def test_rounding_of_great_logits_is_no_other_behaviour() -> None:
    """Half of a unit in the last place of 1e5, by which threads and processors make them differ."""

    def behaviour(offset: float, scale: float) -> tuple[float, ...]:
        return entry(lambda: After(lambda z: scale * z + offset), family="frequentist").behaviour()

    assert not same_behaviour(behaviour(0, 1), behaviour(0, 1.01))
    assert same_behaviour(behaviour(1e5, 1), behaviour(1e5, 1.01))
    assert not same_behaviour(behaviour(1e5, 1), behaviour(1e5, 2))


@pytest.mark.parametrize("scale", [1e-2, 1e3, 1e6])
def test_logits_of_any_scale_are_taken(scale: float) -> None:
    assert entry(lambda: After(lambda z: scale * z), family=None).load()[1].kind is Kind.POINT
    drawn = entry(lambda: nn.Sequential(make_bayesian(linear()), _Times(scale)))
    assert (drawn.load()[1].kind, len(drawn.predictor(3, 0).logits(X))) == (Kind.CONTINUOUS, 3)


class _Times(_Plus):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.offset


def test_a_constant_and_a_linear_network_are_taken() -> None:
    for scale in (0.0, 1.0):
        prediction = entry(lambda scale=scale: After(lambda z: scale * z), family=None).predictor(1, 0)
        logits = prediction(X)
        assert (logits[0] == logits[1]).all() == (scale == 0)
