"""What is expected of the second phase, from nothing known to everything known."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.adaptive_attacks import planned
from benchmark.plan.cascade import PROBE
from benchmark.plan.cells import Cell, Reading, Selection, Subject
from benchmark.plan.suites import SUITES
from benchmark.plan.survival import Survival
from benchmark.protocol import SHARD
from benchmark.records.record import Record
from tests.benchmark.handmade import make, outcome
from tests.benchmark.synthetic import measured

SUITE = SUITES["adaptive"]
SUBJECT = Subject("mnist/b", "mnist", 10_000, deterministic=False, others=(("mnist/f", True),))
SMALL, LARGE = ThreatModel("linf", 0.1), ThreatModel("linf", 0.3)
BALLS = [SMALL, LARGE, ThreatModel("l2", 1.0), ThreatModel("l2", 2.0)]
LINF = ("fgsm", "bim", "pgd-linf")


def attacked(attack: str, eps: float, stands: int, model: str = "mnist/b", start: int = 0) -> Record:
    return make(model, attack, eps, {"art": [i < stands for i in range(SHARD)]}, start)


def knowing(*records: Record) -> Survival:
    met = Survival()
    for record in records:
        met.learn(record)
    return met


def test_before_anything_is_known_more_is_expected_of_a_small_radius() -> None:
    small, large = (Survival().survivors("mnist/b", "mnist", threat, 0, SHARD) for threat in (SMALL, LARGE))
    assert small.images * small.chance > 2 * large.images * large.chance > 0
    assert small.chance > large.chance > 0


@given(st.integers(0, SHARD))
def test_once_all_attacks_are_met_it_is_what_stands(stands: int) -> None:
    met = knowing(*(attacked(attack, 0.1, stands) for attack in LINF))
    assert met.survivors("mnist/b", "mnist", SMALL, 0, SHARD) == (stands, float(stands > 0))


@given(st.integers(0, SHARD))
def test_fgsm_alone_leaves_more_than_will_stand(stands: int) -> None:
    found = knowing(attacked("fgsm", 0.1, stands)).survivors("mnist/b", "mnist", SMALL, 0, SHARD)
    assert found.images * found.chance <= stands
    assert 0 <= found.chance <= 1


def test_other_shards_and_other_entries_tell_of_one_that_was_not_met() -> None:
    unknown = Survival().survivors("mnist/b", "mnist", SMALL, SHARD, 2 * SHARD)
    own = knowing(*(attacked("bim", 0.1, 95, start=start) for start in range(2 * SHARD, 6 * SHARD, SHARD)))
    other = knowing(attacked("bim", 0.1, 95, model="mnist/other"))
    by_own, by_other = (met.survivors("mnist/b", "mnist", SMALL, SHARD, 2 * SHARD) for met in (own, other))
    assert unknown.images < by_other.images < by_own.images
    assert by_own.images == pytest.approx(90, abs=10)
    elsewhere = other.survivors("mnist/b", "mnist", ThreatModel("l2", 1.0), SHARD, 2 * SHARD)
    assert elsewhere == Survival().survivors("mnist/b", "mnist", ThreatModel("l2", 1.0), SHARD, 2 * SHARD)


def test_a_shard_with_an_error_is_not_followed_up_and_not_expected() -> None:
    failed = dataclasses.replace(
        attacked("bim", 0.1, 90), outcomes={"art": dataclasses.replace(outcome([]), error="no")}
    )
    assert knowing(attacked("fgsm", 0.1, 90), failed).survivors("mnist/b", "mnist", SMALL, 0, SHARD) == (0, 0)


def test_trials_and_attacks_at_radius_zero_say_nothing() -> None:
    trial = attacked("pgd-linf", 0.1, 3)
    spec = dataclasses.replace(trial.cell.attack, restarts=5)
    some = dataclasses.replace(trial.cell, only=(1, 2))
    met = knowing(
        attacked("fgsm", 0.0, 3),
        dataclasses.replace(trial, cell=dataclasses.replace(trial.cell, attack=spec, libraries=("torchattacks",))),
        dataclasses.replace(trial, cell=some),
    )
    assert met.survivors("mnist/b", "mnist", SMALL, 0, SHARD) == Survival().survivors(
        "mnist/b", "mnist", SMALL, 0, SHARD
    )


@given(st.integers(0, SHARD))
def test_what_is_expected_is_what_comes_once_all_is_met(stands: int) -> None:
    records = [attacked(attack, eps, stands) for attack in LINF for eps in (0.1, 0.3)]
    records += [attacked("pgd-l2", eps, stands) for eps in (1.0, 2.0)]
    while more := set(SUITE.follow_up(records, [SUBJECT], Selection())) - {record.cell for record in records}:
        records += [measured(cell, 1.0, 0.0) for cell in more]  # nothing else breaks an image
    come = Counter(each(record.cell) for record in records if record.cell.only is not None and attacks(record.cell))
    expected = [one for one in SUITE.expected_follow_up([SUBJECT], Selection(), knowing(*records)) if attacks(one.cell)]
    assert Counter(each(one.cell) for one in expected) == come
    assert {one.times for one in expected} <= {1.0}


def attacks(cell: Cell) -> bool:
    """Whether it looks for adversarial images, and does not judge those that there are again."""
    return cell.reading is not Reading.REBUILT


def each(cell: Cell) -> object:
    return cell.attack, cell.libraries, cell.attack_draws, len(cell.only or ())


def test_a_thorough_run_is_expected_to_attack_every_image() -> None:
    records = [attacked(attack, eps, 60) for attack in LINF for eps in (0.1, 0.3)]
    of_linf = Selection(eps={"linf": (0.1, 0.3), "l2": (0.0,)})
    adaptive, thorough = (
        [one for one in SUITES[name].expected_follow_up([SUBJECT], of_linf, knowing(*records)) if attacks(one.cell)]
        for name in ("adaptive", "thorough")
    )
    assert {one.cell.attack for one in adaptive} < {one.cell.attack for one in thorough}
    assert {len(one.cell.only or ()) for one in adaptive} == {PROBE, 60}
    assert {len(one.cell.only or ()) for one in thorough} == {60}


def test_shards_are_expected_as_so_many_times_one_cell() -> None:
    expected = SUITE.expected_follow_up([SUBJECT], Selection(examples=1000, audited=1000), Survival())
    others = planned(SUBJECT, [SMALL, LARGE, SMALL, LARGE], "surviving")
    others += planned(SUBJECT, [SMALL, LARGE, SMALL, LARGE], "last")
    strong = planned(SUBJECT, BALLS, "strong")
    rungs = sum(min(3, len(adaptive.draws(8))) for adaptive, _ in others)  # of the ladder three
    tried = [attack for adaptive, attack in strong if not adaptive.on_suspicion and attack.threat in (LARGE, BALLS[-1])]
    assert len(expected) == rungs + len(tried)
    assert {round(one.times) for one in expected} <= {10, 9, 8, 5, 1}
    assert sum(one.times == 1 for one in expected) == len(tried)  # once for all shards
    assert SUITES["whitebox"].expected_follow_up([SUBJECT], Selection(), Survival()) == []
