"""Monte-Carlo samples of one architecture's weights as one network."""

from __future__ import annotations

import copy
import re
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from tests.zoo.networks import X, entry, linear
from tests.zoo.posteriors.posterior_contract import PosteriorContract
from zoo.catalogue.entry import ZooEntry
from zoo.catalogue.state import load_weights, state_digest
from zoo.layers import BayesianLinear
from zoo.posteriors import Kind, Posterior, SampledNetwork, posterior_mean, posterior_of
from zoo.prediction.expected import ExpectedPrediction
from zoo.prediction.stacked import is_plain_chain
from zoo.seeding import forked_random_state


def network(seed: int = 0) -> nn.Sequential:
    with forked_random_state(seed):
        return nn.Sequential(
            OrderedDict(flatten=nn.Flatten(), fc1=nn.Linear(784, 6), act=nn.Softplus(), fc2=nn.Linear(6, 10))
        )


def sampled(size: int = 5, weights: list[float] | None = None) -> SampledNetwork:
    return SampledNetwork.of(network(), [network(seed).state_dict() for seed in range(size)], weights)


class TestSampledNetwork(PosteriorContract):
    @pytest.fixture
    def posterior(self) -> Posterior:
        return posterior_of(sampled())


class TestWeightedSampledNetwork(PosteriorContract):
    @pytest.fixture
    def posterior(self) -> Posterior:
        return posterior_of(sampled(3, [1, 2, 5]))


def test_its_members_are_the_networks_that_it_was_made_of() -> None:
    members = sampled().members()
    assert is_plain_chain(members)
    for seed, member in enumerate(members):
        assert torch.equal(member(X), network(seed)(X))
    assert repr(members[0]) == repr(network())
    stacks = {name: torch.stack([network(i).state_dict()[name] for i in range(5)]) for name in network().state_dict()}
    for one, other in zip(SampledNetwork.of(network(), stacks).members(), members, strict=True):
        assert torch.equal(one(X), other(X))


def test_it_is_taken_for_samples_of_a_posterior() -> None:
    net, posterior = entry(sampled).load()
    assert net.is_sample
    assert posterior.is_sample
    assert posterior.kind is Kind.FINITE
    assert posterior.what == "Monte-Carlo samples of its posterior (5)"
    assert posterior.weights(5, 0) is None
    assert posterior_of(sampled(2, [1, 3])).what == "Monte-Carlo samples of its posterior (2, weighted)"
    with pytest.raises(ValueError, match=r"family 'frequentist', but it has a method members\(\)"):
        entry(sampled, "frequentist").load()


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.0, 4.0, 0.5]])
def test_its_prediction_is_the_weighted_average_of_its_members(weights: list[float] | None) -> None:
    net = sampled(5, weights)
    share = torch.tensor(weights or [1.0] * 5) / sum(weights or [1.0] * 5)
    by_hand = sum(s * member(X).softmax(1) for s, member in zip(share, net.members(), strict=True))
    assert torch.allclose(net(X).exp(), by_hand, atol=1e-6)
    prediction = ExpectedPrediction.of(net, 64, 0)
    assert prediction.stacked
    assert torch.allclose(prediction(X), net(X), atol=1e-5)
    mean = posterior_mean(net)
    for name, value in mean.state_dict().items():
        expected = sum(s * network(i).state_dict()[name] for i, s in enumerate(share))
        assert torch.allclose(value, expected, atol=1e-7), name


def test_its_state_has_the_templates_names_also_inside_another_network(tmp_path: Path) -> None:
    net = sampled()
    assert {name: tuple(value.shape) for name, value in net.state_dict().items()} == {
        "fc1.weight": (5, 6, 784),
        "fc1.bias": (5, 6),
        "fc2.weight": (5, 10, 6),
        "fc2.bias": (5, 10),
    }
    other = SampledNetwork(network(), 5)
    assert not torch.equal(other(X), net(X))
    path = tmp_path / "net.safetensors"
    save_file(net.state_dict(), path)
    load_weights(other, path, "mnist/net", None)
    assert torch.equal(other(X), net(X))
    assert state_digest(other) == state_digest(net)
    around = nn.ModuleDict({"inner": SampledNetwork(network(), 5)})
    assert set(around.state_dict()) == {f"inner.{name}" for name in net.state_dict()}
    around.load_state_dict({f"inner.{name}": value for name, value in net.state_dict().items()})
    assert torch.equal(around["inner"](X), net(X))
    with pytest.raises(
        ValueError, match=r"4 of another shape \(fc1.weight \(5, 6, 784\) where the network has \(4, 6,"
    ):
        load_weights(SampledNetwork(network(), 4), path, "mnist/net", None)


def test_a_file_in_half_precision_is_read(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({name: value.half() for name, value in sampled().state_dict().items()}, path)
    net = ZooEntry("mnist/net", "mnist", "bayesian", lambda: SampledNetwork(network(), 5), path, Path(__file__)).build()
    assert {value.dtype for value in load_file(path).values()} == {torch.float16}
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    assert torch.allclose(net(X), sampled()(X), atol=1e-2)


def test_a_digest_sees_every_member_every_weight_and_the_architecture() -> None:
    digest = state_digest(sampled())
    assert digest == state_digest(sampled()) == state_digest(copy.deepcopy(sampled()))
    changed = sampled()
    with torch.no_grad():
        next(changed.parameters())[3].mul_(1.01)
    other = network()
    other.act = nn.ReLU()
    states = [network(seed).state_dict() for seed in range(5)]
    different = (sampled(4), changed, sampled(5, [1, 1, 1, 1, 2]), SampledNetwork.of(other, states))
    assert len({digest, *map(state_digest, different)}) == 5


def test_members_follow_it_to_another_precision_and_are_not_those_of_a_copy() -> None:
    net = sampled()
    twin = copy.deepcopy(net).double()
    assert {p.dtype for member in twin.members() for p in member.parameters()} == {torch.float64}
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert torch.equal(net.members()[1](X), network(1)(X))
    assert set(twin.state_dict()) == set(net.state_dict())
    twin.load_state_dict(net.state_dict())
    assert torch.equal(twin.members()[1].float()(X), network(1)(X))


class Tied(nn.Module):
    """A buffer that is saved, one that is not, and one parameter under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(784)
        self.first, self.second = nn.Linear(784, 784, bias=False), nn.Linear(784, 784, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("shift", torch.full((784,), 0.5), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(F.softplus(self.first(self.norm(x.flatten(1) - self.shift))))
        return out


def test_buffers_are_the_members_own_and_shared_parameters_stay_shared() -> None:
    networks = [Tied() for _ in range(2)]
    for index, one in enumerate(networks):
        one.norm.running_mean += index
        one.norm.num_batches_tracked += index
    net = SampledNetwork.of(networks[0], [one.state_dict() for one in networks])
    for member, one in zip(net.members(), networks, strict=True):
        assert torch.equal(member.eval()(X), one.eval()(X))
        assert member.first.weight is member.second.weight
    assert len(list(net.parameters())) == len(list(networks[0].parameters()))
    assert net.mean().norm.running_mean[0] == 0.5
    assert net.mean().norm.num_batches_tracked == 0


def test_normalising_keeps_its_weights_and_that_it_is_a_sample() -> None:
    net = sampled(3, [1, 2, 5])
    plain = entry(lambda: net).predictor(8, 0)
    normalized = entry(lambda: net, normalize=((0.1307,), (0.3081,)))
    assert torch.allclose(normalized.predictor(8, 0)(X), plain((X - 0.1307) / 0.3081), atol=1e-5)
    assert normalized.load()[1].what == "Monte-Carlo samples of its posterior (3, weighted)"


def test_it_is_offered_by_the_package() -> None:
    assert zoo.SampledNetwork is SampledNetwork
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'SampleNetwork'"):
        _ = zoo.SampleNetwork


STATE = network().state_dict()


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ([], "at least one: no state dict"),
        ([STATE, {}], "state 1: other names than the template's (missing: fc1.weight, fc1.bias, fc2.weight)"),
        ([{**STATE, "fc9.bias": torch.zeros(1)}], "(not in the template: fc9.bias)"),
        ([{**STATE, "fc2.bias": torch.zeros(9)}], "state 0 has fc2.bias of shape (9,) where the template has (10,)"),
        (
            {name: value[None] for name, value in STATE.items() if name != "fc1.bias"},
            "the states: other names than the template's (missing: fc1.bias)",
        ),
        ({name: value.expand(0, *value.shape) for name, value in STATE.items()}, "at least one, not 0"),
        (
            {name: value.expand(2 + (name == "fc1.bias"), *value.shape) for name, value in STATE.items()},
            "the stacks hold 2 and 3 members: give M of everything",
        ),
        (
            {name: value[None] for name, value in STATE.items()} | {"fc2.bias": torch.zeros(1, 9)},
            "stack of fc2.bias of shape (9,) where the template has (10,)",
        ),
        ([{**STATE, "fc2.bias": torch.full((10,), torch.nan)}], "fc2.bias of the states is not finite"),
    ],
)
def test_states_that_do_not_fit_are_refused(states: list[dict[str, Tensor]] | dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SampledNetwork.of(network(), states)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match=f"{len(weights)} weights for 2 members: give one number >= 0 for each"):
        sampled(2, weights)


def test_templates_that_hold_more_than_a_network_or_less_are_refused() -> None:
    with pytest.raises(ValueError, match=r"template of a network of samples has BayesianLinear; it must be one"):
        SampledNetwork(nn.Sequential(nn.Flatten(), BayesianLinear(784, 10)), 2)
    with pytest.raises(ValueError, match=r"has a method members\(\)"):
        SampledNetwork(sampled(), 2)
    with pytest.raises(ValueError, match="Flatten, has no weights that could be sampled"):
        SampledNetwork(nn.Flatten(), 2)
    with pytest.raises(ValueError, match="at least one, not 0"):
        SampledNetwork(linear(), 0)
