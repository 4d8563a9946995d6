"""Uncertainty under attack, from records made by hand."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
from benchmark.records.outcome import Outcome
from benchmark.records.record import Record
from benchmark.results.detection import detections
from tests.benchmark.handmade import make

THREAT = ThreatModel("linf", 0.1)


def measured(correct: list[bool], entropy: list[float], information: list[float] | None = None) -> Outcome:
    count = len(correct)
    return Outcome(
        correct=correct,
        correct_attacker=correct,
        predicted=[0] * count,
        log_p=[-1.0] * count,
        entropy=entropy,
        confidence=[1 - e for e in entropy],
        distance=[0.0] * count,
        mutual_information=information or [],
    )


def attacked(trial: str, clean: Outcome, after: Outcome) -> Record:
    base = make("mnist/a", "fgsm", 0.1, {"torchattacks": after.correct})
    cell = dataclasses.replace(base.cell, attack=ADAPTIVE_ATTACKS[trial].attack(THREAT))
    return dataclasses.replace(base, cell=cell, clean=clean, outcomes={"torchattacks": after})


def test_auroc_and_what_goes_unnoticed_by_hand() -> None:
    """20 right clean images of entropy 0.00 ... 0.19; 4 are made wrong, at 0.055, 0.5, 0.185 and 0.01."""
    clean = measured([True] * 20 + [False], [i / 100 for i in range(20)] + [0.9])
    after = measured([False] * 4 + [True] * 16 + [False], [0.055, 0.5, 0.185, 0.01, *[0.0] * 16, 0.9])
    (one,) = detections("mnist/a", "mnist", {"doubled steps": [attacked("doubled steps", clean, after)]})
    assert (one.attacker, one.images, one.succeeded) == ("unaware", 21, 4)
    # pairs in which the attacked image is the less certain one, ties half: 6 + 20 + 19 + 1.5 of 80
    assert one.auroc["entropy"] == pytest.approx((6 + 20 + 19 + 1.5) / 80)
    # the threshold with 5 % false alarms is the second largest or larger: only 0.5 is noticed at 0.19
    assert one.unnoticed["entropy"] == pytest.approx(3 / 20)
    assert "mutual information" not in one.auroc
    assert one.clean.mutual_information is None
    assert one.clean.accuracy == pytest.approx(20 / 21)
    assert one.attacked.entropy == pytest.approx((0.055 + 0.5 + 0.185 + 0.01 + 0.9) / 21)


def test_mutual_information_is_shown_where_there_are_draws_and_attackers_are_told_apart() -> None:
    clean = measured([True] * 10, [0.1] * 10, [0.01 * i for i in range(10)])
    after = measured([False] * 10, [0.1] * 10, [1.0] * 10)
    found = detections(
        "mnist/a",
        "mnist",
        {trial: [attacked(trial, clean, after)] for trial in ("confident", "doubled steps", "square")},
    )
    assert [one.attacker for one in found] == ["unaware", "aware"]
    for one in found:
        assert one.auroc["mutual information"] == 1
        assert one.auroc["entropy"] == 0.5
        assert one.unnoticed == pytest.approx({"entropy": 1.0, "1 - confidence": 1.0, "mutual information": 0.0})


def test_without_a_success_there_is_nothing_to_detect() -> None:
    clean = measured([True] * 5, [0.1] * 5)
    (one,) = detections("mnist/a", "mnist", {"confident": [attacked("confident", clean, clean)]})
    assert one.auroc == {}
    assert set(one.unnoticed.values()) == {0.0}
    assert detections("mnist/a", "mnist", {}) == []
