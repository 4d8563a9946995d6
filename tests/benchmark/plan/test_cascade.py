"""What strong attacks are run on: what survives everything before, a few images first, all where one of them falls."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
from benchmark.plan.adaptive_suite import AdaptiveSuite
from benchmark.plan.cascade import PROBE, telling
from benchmark.plan.cells import Cell, Selection, Subject
from benchmark.plan.ladder import RUNGS
from benchmark.plan.suite import Suite
from benchmark.plan.suites import SUITES
from benchmark.protocol import REFEREE, SHARD
from benchmark.records.record import Record
from tests.benchmark.handmade import outcome
from tests.benchmark.planning import SUBJECT, answered, called, nothing_falls, of, run

DRAWN = Subject("mnist/b", "mnist", 10_000, deterministic=False)
STRONG = [name for name, one in ADAPTIVE_ATTACKS.items() if one.on == "strong" and one.library != REFEREE]
WAITING = [name for name in STRONG if ADAPTIVE_ATTACKS[name].on_suspicion]
SMALL, LARGE = ThreatModel("linf", 0.1), ThreatModel("linf", 0.3)

SUITE, THOROUGH = SUITES["adaptive"], AdaptiveSuite("thorough", "", 100, thorough=True)
LINF = Selection(eps={"linf": (0.1, 0.3), "l2": (1.0,)})


def test_where_nothing_falls_each_is_tried_on_the_first_images_one_phase_after_the_other() -> None:
    phases, records = run(SUITE, nothing_falls)
    by_phase = [{called(cell) for cell in phase} for phase in phases[2:]]
    tried = [name for name in STRONG if name not in WAITING]
    assert by_phase[: len(tried)] == [{name} for name in tried]  # what follows is no attack
    for name in STRONG:
        assert of(records, name) == list(range(PROBE)) * (0 if name in WAITING else 2)  # once for a norm
        assert {r.cell.attack.threat.eps for r in records if called(r.cell) == name} <= {0.3, 2.0}


def test_those_that_cost_most_are_run_where_another_has_found_something() -> None:
    """An attack by other means than the network's gradient, or a strong one, breaks more than a point of the images."""
    assert set(STRONG) - set(WAITING) == {"apgd-t"}
    for suspicious in ("square", "noise", "apgd-t"):
        for found in (1, 2):

            def falls(name: str, image: int, suspicious: str = suspicious, found: int = found) -> bool:
                return name == suspicious and image < found

            _, records = run(SUITE, falls)
            for name in WAITING:
                assert len(of(records, name)) == (2 * PROBE if found == 2 else 0)


def test_what_the_own_gradient_found_as_well_raises_no_suspicion() -> None:
    def falls(name: str, image: int) -> bool:
        return name in ("square", "apgd-ce", "pma") and image < 30

    _, records = run(SUITE, falls)
    assert of(records, "apgd-t", LARGE) == list(range(30, 30 + PROBE))
    assert not any(of(records, name) for name in WAITING)


def test_they_are_tried_where_most_can_be_seen() -> None:
    few = {SMALL: 50, LARGE: PROBE}
    assert telling(few, PROBE) == LARGE
    assert telling(few | {LARGE: PROBE - 1}, PROBE) == SMALL
    assert telling({SMALL: 3, LARGE: 2}, PROBE) == SMALL
    assert telling({}, PROBE) is None


def test_the_strong_attacks_wait_for_the_others() -> None:
    first = SUITE.cells([SUBJECT], Selection())
    records = [answered(cell, nothing_falls) for cell in first]
    second = SUITE.follow_up(records, [SUBJECT], Selection())
    assert not {called(cell) for cell in second} & set(STRONG)
    of_linf = [cell for cell in second if cell.attack.threat.norm == "linf"]
    some = records + [answered(cell, nothing_falls) for cell in of_linf[:-1]]
    assert set(SUITE.follow_up(some, [SUBJECT], Selection())) == set(second)
    third = SUITE.follow_up([*some, answered(of_linf[-1], nothing_falls)], [SUBJECT], Selection())
    assert {(called(cell), cell.attack.threat.norm) for cell in set(third) - set(second)} == {("apgd-t", "linf")}


def test_the_ladder_is_climbed_before_them() -> None:
    """Where a doubling still breaks more than it may, another rung is wanted, and only then the strong attacks."""
    done: list[Record] = []
    cells = SUITE.cells([DRAWN], Selection())
    while cells and not any(called(cell) in STRONG for cell in cells):
        done += [climbing(cell) for cell in cells]
        known = {record.cell for record in done}
        cells = [cell for cell in SUITE.follow_up(done, [DRAWN], Selection()) if cell not in known]
    assert {cell.attack_draws for cell in known if called(cell) == "fresh draws"} == set(RUNGS)
    assert {called(cell) for cell in cells} == {"apgd-t"}
    assert {cell.only for cell in cells} == {tuple(range(5 * len(RUNGS), 5 * len(RUNGS) + PROBE))}


def climbing(cell: Cell) -> Record:
    """Each rung of the ladder breaks five images more; nothing else breaks any."""
    rungs = RUNGS.index(cell.attack_draws) + 1 if called(cell) == "fresh draws" else 0
    return answered(cell, lambda name, image: image < 5 * rungs)


def test_where_one_of_the_first_falls_all_that_survive_are_attacked_and_the_next_meets_what_is_left() -> None:
    def falls(name: str, image: int) -> bool:
        return {"fgsm": image < 15, "restarts": image == 15, "apgd-t": image in (16, 50, 51)}.get(name, False)

    _, records = run(SUITE, falls, selection=LINF)
    for threat in (SMALL, LARGE):  # tried at the larger eps; one falls, so that all are attacked at either
        assert of(records, "restarts", threat) == list(range(15, SHARD))
        assert of(records, "apgd-t", threat) == [*range(16, 16 + PROBE), *range(16 + PROBE, SHARD)]
        assert of(records, "apgd-ce", threat) == list(range(15, SHARD))  # as if there were no stronger ones
    assert of(records, "fab-t", SMALL) == []
    assert of(records, "fab-t", LARGE) == list(range(17, 17 + PROBE))


def test_what_falls_behind_the_first_images_is_not_found() -> None:
    def falls(name: str, image: int) -> bool:
        return name == "apgd-t" and image == PROBE

    _, records = run(SUITE, falls)
    assert set(of(records, "apgd-t")) == set(range(PROBE))
    _, records = run(THOROUGH, falls)
    assert set(of(records, "apgd-t")) == set(range(SHARD))
    assert PROBE not in of(records, "brendel-bethge")


def test_a_nearest_image_counts_at_its_distance_and_beyond() -> None:
    """On all images at 0.2: between the eps, so that it is broken at the larger alone."""

    def falls(name: str, image: int) -> float:
        found = {"fmn": 0.2 if image < 40 else 0.0, "brendel-bethge": 0.05 if image == 3 else 0.0}
        return found.get(name, float(name == "apgd-t" and image in (45, 46)))

    _, records = run(SUITE, falls, selection=LINF)
    assert of(records, "pma", LARGE) == list(range(SHARD))  # the white-box attacks alone decide
    assert of(records, "apgd-t", SMALL) == list(range(SHARD))
    assert of(records, "apgd-t", LARGE) == list(range(40, SHARD))
    of_norm = [record for record in records if called(record.cell) == "brendel-bethge"]
    images = [
        image for record in of_norm for image in record.cell.only or () if record.cell.attack.threat.norm == "linf"
    ]
    assert images == [
        image for image in range(SHARD) if image not in (45, 46)
    ]  # of the smaller eps; one of the first fell
    assert of(records, "square, 5,000 queries", SMALL) == []
    assert 45 not in of(records, "square, 5,000 queries", LARGE)


def test_of_several_shards_the_first_images_of_all_are_tried() -> None:
    def falls(name: str, image: int) -> bool:
        return name == "fgsm" and 5 <= image < SHARD

    count, radii = 3 * SHARD, {"linf": (0.1,), "l2": (1.0,)}
    _, records = run(SUITE, falls, selection=Selection(examples=count, audited=count, eps=radii))
    assert of(records, "apgd-t", SMALL) == [*range(5), *range(SHARD, SHARD + PROBE - 5)]
    _, few = run(SUITE, nothing_falls, selection=Selection(examples=SHARD))
    _, many = run(SUITE, nothing_falls, selection=Selection(examples=2 * SHARD, audited=2 * SHARD))
    strong = [{r.cell for r in records if called(r.cell) in STRONG} for records in (few, many)]
    assert strong[0] == strong[1]


def test_a_thorough_run_takes_over_what_was_tried() -> None:
    def falls(name: str, image: int) -> bool:
        return name == "apgd-t" and image in (5, 70)

    tried, every = (run(suite, falls)[1] for suite in (SUITE, THOROUGH))
    assert {record.cell for record in tried} <= {record.cell for record in every}


def test_autoattack_is_run_on_what_its_own_parts_left() -> None:
    """What another attack broke before is attacked by them, too, in a thorough run: else its number is not known."""

    def falls(name: str, image: int) -> bool:
        return {"noise": image < 30, "apgd-ce": image in (1, 90), "fab-t": image == 2}.get(name, False)

    _, records = run(THOROUGH, falls, selection=LINF)
    without_ce = [image for image in range(SHARD) if image not in (1, 90)]
    assert set(of(records, "apgd-t", SMALL)) == set(without_ce)
    assert set(of(records, "square, 5,000 queries", SMALL)) == set(without_ce) - {2}
    assert set(of(records, "hopskipjump")) - {2} >= set(range(30, SHARD)) - {90}
    _, records = run(SUITE, falls, selection=LINF)
    assert set(of(records, "apgd-t", LARGE)) == set(range(30, 30 + PROBE))


def test_the_referee_attacks_what_every_other_attack_left_and_runs_where_it_is_alone() -> None:
    def falls(name: str, image: int) -> bool:
        return {"noise": image < 30, "fab-t": image == 40, "square, 5,000 queries": image == 41}.get(name, False)

    referees = ("apgd-ce, referee", "square, referee")
    _, records = run(THOROUGH, falls, selection=LINF)
    assert not any(of(records, name) for name in referees)
    _, refereed = run(dataclasses.replace(THOROUGH, referee=True), falls, selection=LINF)
    assert {record.cell for record in records} < {record.cell for record in refereed}
    for name in referees:
        assert of(refereed, name, SMALL) == [image for image in range(30, SHARD) if image not in (40, 41)]
    assert {r.cell.libraries for r in refereed if called(r.cell) in referees} == {(REFEREE,)}


def test_an_attack_that_failed_broke_nothing_and_the_next_goes_on() -> None:
    phases, records = run(SUITE, nothing_falls)
    failed = [
        dataclasses.replace(record, outcomes={"torchattacks": dataclasses.replace(outcome([]), error="no")})
        if called(record.cell) == "apgd-t"
        else record
        for record in records
    ]
    again = SUITE.follow_up(failed, [SUBJECT], Selection())
    assert set(again) == {cell for phase in phases[1:] for cell in phase}


def test_other_readings_break_nothing() -> None:
    def falls(name: str, image: int) -> bool:
        return name == "judge's draws"

    _, records = run(SUITE, falls, DRAWN)
    assert of(records, "apgd-t", LARGE) == list(range(PROBE))


def test_where_nothing_is_left_none_is_run() -> None:
    def falls(name: str, image: int) -> bool:
        return name == "pma"

    _, records = run(SUITE, falls)
    assert of(records, "pma")
    assert not any(of(records, name) for name in STRONG)


def test_a_selection_of_one_strong_attack_leaves_the_others_out() -> None:
    _, records = run(SUITE, nothing_falls, selection=Selection(attacks=("brendel-bethge-l2",)))
    assert {called(r.cell) for r in records if r.role.adaptive} == {"brendel-bethge"}
    assert of(records, "brendel-bethge") == list(range(PROBE))


@pytest.mark.parametrize("subject", [SUBJECT, DRAWN], ids=["one network", "drawn from"])
@pytest.mark.parametrize("suite", [SUITE, THOROUGH], ids=["adaptive", "thorough"])
def test_a_run_that_is_done_plans_nothing_new_whatever_fell(suite: Suite, subject: Subject) -> None:
    def falls(name: str, image: int) -> float:
        return 0.15 if (len(name) + image) % 7 == 0 and name not in ("fgsm", "bim") else 0.0

    phases, records = run(suite, falls, subject)
    assert set(suite.follow_up(records, [subject], Selection())) == {cell for phase in phases[1:] for cell in phase}
    backwards = suite.follow_up(reversed(records), [subject], Selection())
    assert set(backwards) == {cell for phase in phases[1:] for cell in phase}
