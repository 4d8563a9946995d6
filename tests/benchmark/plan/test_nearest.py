"""Attacks that look for the nearest adversarial image: what one run says of every eps, and what it is not."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS, planned
from benchmark.plan.cells import Cell, Subject
from benchmark.plan.nearest import broken_under, is_of_every_eps, is_within, rounded_up, says_of
from benchmark.plan.roles import role_of, surviving_examples
from benchmark.protocol import EVERYWHERE, usual_attack
from benchmark.records.record import Record
from tests.benchmark.handmade import make, outcome

LINF = ThreatModel("linf", 0.1)


def found_at(far: list[float], stands: list[bool] | None = None, name: str = "fmn") -> Record:
    """A record whose images were found so far away, and are wrong unless they stand."""
    stands = stands or [False] * len(far)
    attack = ADAPTIVE_ATTACKS[name].attack(LINF)
    base = make("mnist/a", "fgsm", 0.1, {"foolbox": stands})
    cell = dataclasses.replace(base.cell, attack=attack, attack_draws=1, judge_draws=1)
    outcomes = {"foolbox": dataclasses.replace(base.outcomes["foolbox"], distance=far)}
    return dataclasses.replace(base, cell=cell, outcomes=outcomes)


@given(st.floats(1e-6, 1000, allow_nan=False))
def test_rounding_lets_no_image_in(distance: float) -> None:
    stored = float(f"{distance:.4g}")
    assert distance <= rounded_up(stored) * (1 + 1e-15)
    assert rounded_up(stored) <= stored * (1 + 5.001e-4)


@pytest.mark.parametrize("eps", [0.1, 0.3, 8 / 255, 2 / 255, 1.0, 0.25])
def test_an_image_just_outside_stays_outside(eps: float) -> None:
    """Of the same four digits as the eps itself, so that only the rounding could let it in."""
    outside = math.nextafter(eps, 2 * eps)
    stored = float(f"{outside:.4g}")
    assert not broken_under(found_at([stored]), ThreatModel("linf", eps))
    assert broken_under(found_at([float(f"{0.999 * eps:.4g}")]), ThreatModel("linf", eps)) == {0}


def test_an_image_is_broken_at_its_distance_and_beyond_and_nowhere_before() -> None:
    record = found_at([0.05, 0.2, 0.0, 0.01], [False, False, True, False])
    record = dataclasses.replace(record, clean=outcome([True, True, True, False]))
    assert record.distances == {0: 0.050005, 1: 0.20005, 2: math.inf, 3: 0.0}
    assert broken_under(record, LINF) == {0, 3}
    assert broken_under(record, ThreatModel("linf", 0.3)) == {0, 1, 3}
    assert broken_under(record, ThreatModel("linf", 0.001)) == {3}  # it is wrong as it is
    within = [is_within(record, record.outcomes["foolbox"], place, LINF) for place in range(4)]
    assert within == [True, False, True, True]
    assert says_of(record.cell, LINF)
    assert not says_of(record.cell, ThreatModel("l2", 1.0))


def test_a_library_that_failed_found_nothing() -> None:
    record = found_at([0.05])
    failed = dataclasses.replace(record, outcomes={"foolbox": dataclasses.replace(outcome([]), error="no")})
    assert failed.distances == {0: math.inf}


def test_it_is_evidence_at_every_eps_and_no_row_column_or_unbounded_attack() -> None:
    for name in ("ddn", "fmn", "brendel-bethge", "hopskipjump"):
        adaptive = ADAPTIVE_ATTACKS[name]
        for norm in adaptive.norms:
            attack = adaptive.attack(ThreatModel(norm, 0.1))
            assert attack == adaptive.attack(ThreatModel(norm, 0.7))
            for draws in (8, 16):  # of the protocol, or a user's
                role = role_of(Cell("mnist/a", "mnist", attack, 0, 100, ("foolbox",), draws))
                assert role.every_eps
                assert not role.unbounded
                assert not role.is_of_every_norm
                assert not role.is_column
                assert not role.is_white_box
                assert not role.may_stand_alone
                assert role.counts_in_worst_case
            assert role_of(Cell("mnist/a", "mnist", attack, 0, 100, ("foolbox",))).adaptive is adaptive


def test_with_an_eps_of_ones_own_it_is_an_attack_like_any_other() -> None:
    attack = usual_attack("fmn-linf", 0.1)
    assert not is_of_every_eps(attack)
    assert role_of(Cell("mnist/a", "mnist", attack, 0, 100, ("foolbox",))).adaptive is None


def test_what_it_breaks_decides_nothing_about_survivors() -> None:
    plain = make("mnist/a", "fgsm", 1.0, {"foolbox": [True] * 4})
    record = found_at([0.01] * 4)
    assert record.cell.attack.threat.eps == EVERYWHERE["linf"]
    assert surviving_examples([record]) == {}
    (left,) = surviving_examples([plain, record]).values()
    assert left == {(0, 4): (0, 1, 2, 3)}


def test_it_is_planned_once_for_a_norm() -> None:
    subject = Subject("mnist/a", "mnist", 10_000, deterministic=True)
    threats = [ThreatModel(norm, eps) for norm in ("linf", "l2") for eps in (0.1, 0.3)]  # type: ignore[arg-type]
    on_all = [adaptive.name for adaptive, _ in planned(subject, threats, "all") if adaptive.is_nearest]
    assert sorted(on_all) == ["ddn", "fmn", "fmn"]
    strong = [adaptive.name for adaptive, _ in planned(subject, threats, "strong")]
    assert {name: strong.count(name) for name in strong} == {
        "apgd-t": 4,
        "fab-t": 4,
        "brendel-bethge": 2,
        "hopskipjump": 2,
        "square, 5,000 queries": 4,
        "apgd-ce, referee": 4,
        "square, referee": 4,
    }
