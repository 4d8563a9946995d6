"""Bayesian networks beside their frequentist twins."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.records.record import Record
from benchmark.results import Results
from benchmark.results.twins import Counts, Twins, counted, twins_of
from tests.benchmark.handmade import row

LINF = ThreatModel("linf", 0.1)


def of_family(family: str, name: str, survive: int, images: int = 100) -> list[Record]:
    records = row(name, [i < survive for i in range(images)])
    if family == "frequentist":
        return records
    return [
        dataclasses.replace(one, family=family, cell=dataclasses.replace(one.cell, attack_draws=8, judge_draws=64))
        for one in records
    ]


def grouped(*records: list[Record]) -> dict[str, list[Twins]]:
    results = Results([one for of in records for one in of], protocol=True)
    return twins_of(results.entries, results.boards)


@pytest.mark.parametrize(("survive", "outcome"), [(40, "less"), (78, "same"), (100, "more")])
def test_the_outcome_is_that_of_the_paired_test(survive: int, outcome: str) -> None:
    groups = grouped(
        of_family("frequentist", "mnist/lenet", 80), of_family("bayesian", "mnist/bayesian-lenet", survive)
    )
    (twins,) = groups["mnist"]
    (entry,) = twins.bayesian
    assert twins.outcome(entry, LINF) == outcome
    assert counted([twins]) == Counts(outcome == "more", outcome == "less", outcome == "same", nothing=0)
    assert [one.name for one in twins.entries] == ["mnist/lenet", "mnist/bayesian-lenet"]


def test_a_card_tells_the_twin_of_a_network_with_a_name_of_its_own() -> None:
    groups = grouped(of_family("bayesian", "mnist/hmc-mlp", 30), of_family("frequentist", "mnist/mlp-50", 80))
    (twins,) = groups["mnist"]
    assert twins.frequentist is not None
    assert (twins.frequentist.name, twins.bayesian[0].name) == ("mnist/mlp-50", "mnist/hmc-mlp")


def test_a_network_that_is_trained_to_be_certified_is_beside_the_one_that_is_trained_alike() -> None:
    """Not beside the network of its architecture that is trained otherwise: the training would be compared."""
    groups = grouped(
        of_family("frequentist", "mnist/lenet", 60),
        of_family("frequentist", "mnist/lenet-certified", 90),
        of_family("bayesian", "mnist/bayesian-lenet-certified", 70),
    )
    assert [[one.name for one in twins.entries] for twins in groups["mnist"]] == [
        ["mnist/lenet-certified", "mnist/bayesian-lenet-certified"],
        ["mnist/lenet"],
    ]


def test_an_adversarially_trained_network_is_nobodys_twin() -> None:
    """Its architecture is another's, and what it was trained for is what is compared."""
    groups = grouped(
        of_family("frequentist", "mnist/lenet-adversarial", 90),
        of_family("bayesian", "mnist/bayesian-lenet", 40),
        of_family("frequentist", "mnist/lenet", 60),
    )
    assert [[one.name for one in twins.entries] for twins in groups["mnist"]] == [
        ["mnist/lenet-adversarial"],
        ["mnist/lenet", "mnist/bayesian-lenet"],
    ]


def test_the_test_is_on_the_most_images_that_both_are_on() -> None:
    groups = grouped(
        of_family("frequentist", "mnist/lenet", 160, 200),
        of_family("bayesian", "mnist/bayesian-lenet", 80, 200),
        of_family("frequentist", "mnist/mlp", 10),
    )
    twins = groups["mnist"][0]
    assert twins.tests["mnist/bayesian-lenet", LINF].count == 200


def test_where_nothing_survives_there_is_nothing_to_tell_apart() -> None:
    groups = grouped(of_family("frequentist", "mnist/lenet", 0), of_family("bayesian", "mnist/bayesian-lenet", 0))
    assert counted(groups["mnist"]) == Counts(more=0, less=0, same=1, nothing=1)
    assert counted([]).tests == 0


def test_without_a_twin_there_is_no_outcome() -> None:
    (twins,) = grouped(of_family("bayesian", "mnist/bayesian-lenet", 40))["mnist"]
    assert twins.frequentist is None
    assert twins.outcome(twins.bayesian[0], LINF) is None
