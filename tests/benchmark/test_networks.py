"""What `evaluate` takes for a network: one, an ensemble, samples, a posterior, or several; what it says it found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark import evaluate
from benchmark.networks import Settings, entries_of
from tests.zoo.networks import After, Noisy, Wrapper, X, linear
from zoo import ZooEntry, models
from zoo.kind import Said
from zoo.layers import make_bayesian
from zoo.posteriors import (
    DrawnPosterior,
    ForwardPosterior,
    Kind,
    MeanFieldPosterior,
    MemberPosterior,
    MixturePosterior,
    PointPosterior,
    Posterior,
    SampledNetwork,
)
from zoo.seeding import forked_random_state

NETS = [linear(seed) for seed in range(3)]


def entries(model: Any, randomness: str = "auto", **settings: Any) -> list[ZooEntry]:
    return entries_of(model, Settings("mnist", said=Said(randomness=randomness), **settings))


def probabilities(entry: ZooEntry, draws: int = 8) -> Tensor:
    return entry.predictor(draws, 0).probabilities(X)


def test_a_list_of_networks_is_one_ensemble_all_of_whose_members_are_averaged() -> None:
    (entry,) = entries(NETS)
    assert (entry.name, entry.label) == ("mnist/Sequential-ensemble", "ensemble")
    by_hand = sum(net(X).softmax(1) for net in NETS) / 3
    assert torch.allclose(probabilities(entry, 2), probabilities(entries(tuple(NETS))[0], 2))
    assert torch.allclose(probabilities(entry), by_hand, atol=1e-6)
    assert torch.allclose(entry.build().eval()(X).exp(), by_hand, atol=1e-6)
    assert entries(NETS[:1])[0].load()[1].kind is Kind.POINT


def test_several_networks_are_named_or_not_all_modules() -> None:
    named = entries({"first": NETS[0], "all": NETS})
    assert [entry.name for entry in named] == ["mnist/first", "mnist/all"]
    mixed = entries([NETS[0], NETS[1:], lambda: NETS[2], "mnist/lenet", models["mnist/mlp"]])
    assert [entry.label for entry in mixed] == ["frequentist", "ensemble", "frequentist", "frequentist", "frequentist"]
    assert [entry.name for entry in entries([NETS, NETS])] == [
        "mnist/Sequential-ensemble",
        "mnist/Sequential-ensemble-2",
    ]


@pytest.mark.parametrize("stacked", [False, True])
def test_samples_of_the_weights_are_averaged_and_what_they_leave_out_is_the_templates(stacked: bool) -> None:
    states = [{name: value for name, value in net.state_dict().items() if name.endswith("weight")} for net in NETS]
    given = {name: torch.stack([state[name] for state in states]) for name in states[0]} if stacked else states
    (entry,) = entries(given, template=NETS[0])
    assert entry.label == "bayesian"
    flat = X.flatten(1)
    by_hand = sum((flat @ state["1.weight"].T + NETS[0][1].bias).softmax(1) for state in states) / 3
    assert torch.allclose(probabilities(entry), by_hand, atol=1e-6)


def dropped() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), *linear()[1:])


def drawn(generator: torch.Generator) -> nn.Module:
    return linear(int(torch.randint(1000, (), generator=generator)))


@pytest.mark.parametrize(
    ("posterior", "family"),
    [
        (lambda: PointPosterior(linear()), "frequentist"),
        (lambda: MemberPosterior(lambda: NETS, given_weights=lambda: [1, 2, 1]), "ensemble"),
        (lambda: MemberPosterior(lambda: NETS, is_sample=True), "bayesian"),
        (lambda: MeanFieldPosterior(make_bayesian(linear(), rho=-3.0)), "bayesian"),
        (lambda: DrawnPosterior(drawn, mean=linear), "bayesian"),
        (lambda: ForwardPosterior(dropped(), dropout=True), "bayesian"),
        (lambda: MixturePosterior(Wrapper(NETS), 3), "ensemble"),
    ],
)
def test_a_posterior_is_taken_as_it_is(posterior: Callable[[], Posterior], family: str) -> None:
    """Its kind, size and mean are kept, and of a finite one the prediction is that of all members."""
    given = posterior()
    (entry,) = entries(given)
    found = entry.load()[1]
    assert entry.label == family
    assert (found.kind, found.is_sample, found.mean is None) == (given.kind, given.is_sample, given.mean is None)
    if isinstance(given, MemberPosterior):
        weights = given.weights(3, 0) or [1, 1, 1]
        by_hand = sum(w * net(X).softmax(1) for w, net in zip(weights, NETS, strict=True)) / sum(weights)
        assert torch.allclose(probabilities(entry), by_hand, atol=1e-6)


@pytest.mark.parametrize(
    "given",
    [
        lambda: [dropped(), linear(7)],
        lambda: MeanFieldPosterior(make_bayesian(linear(), rho=-3.0)),
        lambda: SampledNetwork.of(linear(), [net.state_dict() for net in NETS]),
        lambda: {"one": linear(), "two": [linear(1), linear(2)]},
    ],
)
def test_what_is_given_is_copied_and_left_as_it_is(given: Callable[[], Any]) -> None:
    model = given()
    modules = networks_in(model)
    for module in modules:
        module.train()
    before = [copy.deepcopy(module.state_dict()) for module in modules]
    for entry in entries(model):
        for parameter in entry.predictor(4, 0).parameters():
            parameter.data.zero_()
    for module, state in zip(modules, before, strict=True):
        assert all(part.training for part in module.modules())
        assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
        assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


def networks_in(model: Any) -> list[nn.Module]:
    if isinstance(model, list | dict):
        return [net for one in (model.values() if isinstance(model, dict) else model) for net in networks_in(one)]
    return [model.module if isinstance(model, MeanFieldPosterior) else model]


def test_what_a_network_keeps_from_its_last_pass_does_not_hinder_copying() -> None:
    class Keeping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear()
            self.last: Tensor | None = None
            self.features: dict[str, Tensor] = {}

        def forward(self, x: Tensor) -> Tensor:
            self.last = self.features["last"] = self.inner(x)
            return self.last

    net = Keeping()
    net(X)
    assert torch.allclose(probabilities(entries(net)[0]), net(X).softmax(1), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ([], {}, "an ensemble has at least one network"),
        ([make_bayesian(linear()), linear()], {}, r"but network 0 has MeanFieldLayer.*evaluate\(\{'a': ...,"),
        ([linear(), 3], {}, "3 is no network"),
        (lambda x: x, {}, r"'<lambda>' asks for x; a network is an nn.Module, or a function without arguments"),
        (linear(), {"randomness": "members"}, r"no method members\(\)"),
        (linear(), {"randomness": "drop"}, "no randomness 'drop'; there are: auto, none, dropout"),
        ("mnist/lenet", {"randomness": "dropout"}, "mnist/lenet is registered with randomness 'auto': leave out"),
        (
            [net.state_dict() for net in NETS],
            {},
            "OrderedDict .* is no network.* of state dicts name the network: template=",
        ),
        ([1, 2], {"template": linear()}, "with template= give state dicts.*not list of int"),
        ([{"1.weight": torch.zeros(3)}], {"template": linear()}, r"1.weight of shape \(3,\) where the template has"),
        ({"2.weight": torch.zeros(3, 10, 784)}, {"template": linear()}, "not in the template: 2.weight"),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 7)), {}, r"\(6, 7\).*mnist needs \(6, 10\), one logit a class"),
        (After(lambda z: z.softmax(-1)), {}, "returns probabilities.*outputs='probabilities'"),
        (linear(), {"outputs": "probabilities"}, "outputs='probabilities', but they add up to"),
        (After(lambda z: 1 / 0), {}, "fails on images of shape .*ZeroDivisionError"),
    ],
)
def test_what_is_no_network_is_refused_in_a_line(model: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        evaluate(model, "mnist", **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        (linear(), {}, "mnist/Sequential: one network, none random"),
        (dropped(), {}, "one network, none random; Dropout off, as in evaluation mode: randomness='dropout' averages"),
        (dropped(), {"randomness": "dropout", "draws": 2}, "averaged over dropout (Dropout); attacked through 2 draws"),
        (After(lambda z: z, Noisy()), {}, "its forward pass (randn_like in inner.1 (Noisy)); attacked through 8 draws"),
        (NETS, {}, "averaged over the members of an ensemble (3); attacked through all of them"),
        (NETS, {"draws": 2}, "attacked through 2 of them, judged by all"),
    ],
)
def test_what_was_found_is_said(
    model: Any, options: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fast = {"suite": "smoke", "examples": 2, "attacks": ["fgsm"], "libraries": ["foolbox"]}
    evaluate(model, "mnist", **fast, **options)
    shown = capsys.readouterr()
    assert (said in shown.err, shown.out) == (True, "")
    evaluate(model, "mnist", **fast, **options, progress=False)
    assert capsys.readouterr() == ("", "")


def test_the_global_random_state_is_left_alone(untouched_global_state: None) -> None:
    with forked_random_state(3):
        model = dropped()
    evaluate(model, "mnist", randomness="dropout", suite="smoke", examples=2, attacks=["fgsm"], libraries=["art"])
