"""Where transfers come from: what an entry names as its own, its twin by the zoo's names, and every other network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from benchmark.attacks.spec import ThreatModel
from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.subjects import own_sources
from benchmark.plan.adaptive_attacks import planned
from benchmark.plan.cells import Subject
from zoo import Data, ZooEntry, models
from zoo.catalogue.registry import ModelRegistry, register_model
from zoo.datasets import DATASETS
from zoo.kind import Randomness
from zoo.layers import BayesianLinear


def wide() -> nn.Module:
    return nn.Sequential(nn.Flatten(), BayesianLinear(784, 10, rho=-3.0))


def entry(name: str, **sources: str) -> ZooEntry:
    return ZooEntry(name, "mnist", "bayesian", wide, None, Path(__file__), **sources)


@pytest.mark.parametrize(
    ("name", "sources", "expected"),
    [
        ("mnist/bayesian-lenet", {}, (("twin", "mnist/lenet"),)),
        ("mnist/swag-lenet", {}, (("twin", "mnist/lenet"),)),
        ("mnist/bayesian-nothing", {}, ()),
        ("mnist/mine", {}, ()),
        ("mnist/hmc-mlp", {"map": "mnist/mlp-50"}, (("map", "mnist/mlp-50"),)),
        ("mnist/mine", {"map": "mnist/mlp", "twin": "mnist/lenet"}, (("map", "mnist/mlp"), ("twin", "mnist/lenet"))),
    ],
)
def test_sources_are_those_that_are_named_or_else_the_twin_of_that_name(
    name: str, sources: dict[str, str], expected: tuple[tuple[str, str], ...]
) -> None:
    assert own_sources(entry(name, **sources)) == expected


def test_the_sampled_posterior_of_the_zoo_names_its_mode() -> None:
    assert own_sources(models["mnist/hmc-mlp"]) == (("map", "mnist/mlp-50"),)
    assert own_sources(models["mnist/lenet"]) == ()


def test_sources_that_cannot_be_are_refused_by_name() -> None:
    for wrong in ("cifar10-jpeg/lenet", "mnist/mine", "lenet"):
        with pytest.raises(ValueError, match=f"mnist/mine: map='{wrong}' must be another network for mnist"):
            entry("mnist/mine", map=wrong)
    with pytest.raises(KeyError, match="mnist/lenet"):
        own_sources(entry("mnist/mine", twin="mnist/lenett"))


def test_a_network_of_ones_own_that_is_named_is_a_source_and_one_that_is_not_is_none() -> None:
    mine = entry("mnist/mine", map="mnist/my-map")
    named, other = (
        ZooEntry(
            name, "mnist", "frequentist", lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), None, Path("x.py")
        )
        for name in ("mnist/my-map", "mnist/my-other")
    )
    with models.with_entries(mine, named, other):
        subject = Evaluator().subject(mine)
    assert ("mnist/my-map", True) in subject.others
    assert "mnist/my-other" not in dict(subject.others)
    assert subject.sources == (("map", "mnist/my-map"),)


def test_a_registered_network_keeps_its_sources() -> None:
    registry = ModelRegistry()
    register_model(
        "mnist/mine", dataset="mnist", family="bayesian", map="mnist/mlp", twin="mnist/lenet", registry=registry
    )(wide)
    assert registry._entries["mnist/mine"].sources == (("map", "mnist/mlp"), ("twin", "mnist/lenet"))


def test_half_of_the_samples_is_attacked_through_its_own_sources_alone() -> None:
    subject = Subject(
        "mnist/s",
        "mnist",
        10_000,
        deterministic=False,
        members=6,
        is_sample=True,
        others=(("mnist/map", True), ("mnist/b", False)),
        sources=(("map", "mnist/map"),),
    )
    plan = planned(subject, [ThreatModel("linf", 0.1)], "all")
    found = [attack.source for adaptive, attack in plan if adaptive.name == "half the samples, transfer"]
    assert found == ["mnist/map"]
    headline = planned(subject, [ThreatModel("linf", 0.1)], "surviving")
    assert [attack.source for adaptive, attack in headline if adaptive.name == "transfer"] == ["mnist/map", "mnist/b"]


def test_networks_that_are_evaluated_together_are_sources_of_each_other_where_the_zoo_has_none() -> None:
    """A random one is none without a posterior mean, whose gradients a transfer takes."""

    def linear(*before: nn.Module) -> nn.Module:
        return nn.Sequential(nn.Flatten(), *before, nn.Linear(64, 3))

    dataset = DATASETS.hold(Data.from_arrays(torch.full((6, 1, 8, 8), 0.5), torch.arange(6) % 3, name="grey"))
    mean_field = nn.Sequential(nn.Flatten(), BayesianLinear(64, 3, rho=-3.0))
    point, dropping, mean = (
        ZooEntry(f"{dataset}/{name}", dataset, None, factory, None, Path(__file__), randomness=randomness)
        for name, factory, randomness in (
            ("point", linear, Randomness.AUTO),
            ("dropping", lambda: linear(nn.Dropout(0.5)), Randomness.DROPOUT),
            ("mean", lambda: mean_field, Randomness.AUTO),
        )
    )
    together = Evaluator(entries={one.name: one for one in (point, dropping, mean)})
    assert together.subject(point).others == (("grey/mean", False),)
    assert together.subject(dropping).others == (("grey/point", True), ("grey/mean", False))
    assert Evaluator(entries={point.name: point}).subject(point).others == ()
    mine = entry("mnist/mine")
    assert (
        Evaluator(entries={mine.name: mine}).subject(models["mnist/lenet"]).others
        == Evaluator().subject(models["mnist/lenet"]).others
    )
