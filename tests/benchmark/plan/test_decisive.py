"""Of many images the first meet every attack, and the others what decided among these."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
from benchmark.plan.cells import Selection, Subject
from benchmark.plan.decisive import Tried, cover, packed
from benchmark.plan.ladder import RUNGS
from benchmark.plan.nearest import broken_under, says_of
from benchmark.plan.suites import SUITES
from benchmark.protocol import EVERYWHERE, SHARD
from benchmark.records.record import Record
from tests.benchmark.planning import SUBJECT, called, nothing_falls, of, run

SUITE = SUITES["adaptive"]
SMALL, LARGE = ThreatModel("linf", 0.1), ThreatModel("linf", 0.3)
COUNT = 4 * SHARD
MANY = Selection(examples=COUNT, eps={"linf": (0.1, 0.3), "l2": (1.0,)})
WHITE_BOX = ("fgsm", "bim", "pgd-linf", "pgd-l2")
ALWAYS = [name for name, one in ADAPTIVE_ATTACKS.items() if one.always]


def beyond(records: list[Record], name: str, threat: ThreatModel | None = None) -> list[int]:
    return [image for image in of(records, name, threat) if image >= SHARD]


def test_where_nothing_falls_further_images_meet_the_white_box_and_what_always_runs() -> None:
    _, records = run(SUITE, nothing_falls, selection=MANY)
    met = {called(record.cell) for record in records if record.cell.start >= SHARD}
    assert met == {*WHITE_BOX, *ALWAYS}
    assert sorted(beyond(records, "apgd-ce", SMALL)) == [*range(SHARD, COUNT)]
    nearest = [record.cell for record in records if called(record.cell) == "fmn" and record.cell.start]
    assert nearest
    assert all(cell.only is None for cell in nearest)  # their distances are of all images


def test_what_always_runs_does_so_too_where_the_audit_left_it_nothing() -> None:
    _, records = run(SUITE, lambda name, image: name == "pgd-linf" and image < SHARD + 50, selection=MANY)
    for name in ("apgd-ce", "apgd-t"):
        assert sorted(beyond(records, name, SMALL)) == [*range(SHARD + 50, COUNT)]


def test_of_two_classes_none_is_attacked_towards_nine_labels() -> None:
    two = SUBJECT._replace(classes=2)
    _, records = run(SUITE, nothing_falls, two, MANY)
    assert beyond(records, "apgd-t") == []
    assert len(beyond(records, "apgd-ce", SMALL)) == COUNT - SHARD


def test_the_audit_is_that_of_as_many_images_alone() -> None:
    def falls(name: str, image: int) -> float:
        return name == "restarts" and image % 7 == 0

    few = {r.cell for r in run(SUITE, falls, selection=Selection(examples=SHARD, eps=MANY.eps))[1]}
    many = {r.cell for r in run(SUITE, falls, selection=MANY)[1]}
    assert few == {cell for cell in many if cell.stop <= SHARD}


def test_what_decided_runs_on_what_is_left_strongest_first() -> None:
    """Restarts find 10 of a hundred, APGD-T 4 of which 2 are others; the doubled steps find a part of the first.

    APGD-T runs in any case, and as it costs most, last.
    """

    def falls(name: str, image: int) -> float:
        last = image % SHARD
        found = {"restarts": last < 10, "apgd-t": 8 <= last < 12, "doubled steps": last < 5}
        return found.get(name, False)

    _, records = run(SUITE, falls, selection=MANY)
    assert beyond(records, "doubled steps") == []
    for threat in (SMALL, LARGE):
        assert len(beyond(records, "restarts", threat)) == COUNT - SHARD
        left = beyond(records, "apgd-t", threat)
        assert sorted(left) == [image for image in range(SHARD, COUNT) if image % SHARD >= 10]
    assert len(beyond(records, "apgd-dlr")) == 0


def test_an_attack_decides_where_it_broke_something_and_nowhere_else() -> None:
    def falls(name: str, image: int) -> float:
        return (name in WHITE_BOX[:3] and image % 2 == 0) or (name == "square" and image < 3)

    def falls_in_large(name: str, image: int) -> float:
        return name == "logits x 0.1" and image == 50

    _, records = run(SUITE, falls, selection=MANY)
    assert beyond(records, "square", SMALL) == [image for image in range(SHARD, COUNT) if image % 2]
    _, records = run(SUITE, falls_in_large, selection=MANY)
    assert len(beyond(records, "logits x 0.1", SMALL)) == COUNT - SHARD


def test_nearest_images_are_looked_for_once_for_all_eps() -> None:
    def falls(name: str, image: int) -> float:
        return 0.2 if name == "brendel-bethge" else float(name == "square" and image < 5) and 1.0

    _, records = run(SUITE, falls, selection=MANY)
    for norm in ("linf", "l2"):
        images = beyond(records, "brendel-bethge", ThreatModel(norm, EVERYWHERE[norm]))
        assert sorted(images) == [*range(SHARD, COUNT)]


def test_few_survivors_of_many_shards_share_a_cell() -> None:
    def falls(name: str, image: int) -> float:
        return name == "pgd-linf" and image % 10 != 0

    _, records = run(SUITE, falls, selection=MANY)
    cells = [r.cell for r in records if called(r.cell) == "apgd-ce" and r.cell.attack.threat == SMALL]
    assert [(cell.start, cell.stop, len(cell.only or ())) for cell in cells] == [(0, 100, 10), (100, 400, 30)]


def test_with_every_image_audited_all_meet_every_attack() -> None:
    def falls(name: str, image: int) -> float:
        return name == "restarts" and image == 3

    every = Selection(examples=2 * SHARD, audited=2 * SHARD, eps=MANY.eps)
    _, records = run(SUITE, falls, selection=every)
    assert len(of(records, "doubled steps", SMALL)) == 2 * SHARD
    rounded_up = Selection(examples=2 * SHARD, audited=SHARD + 1, eps=MANY.eps)
    assert {r.cell for r in run(SUITE, falls, selection=rounded_up)[1]} == {r.cell for r in records}


def test_of_the_ladder_the_rung_that_decided_is_climbed() -> None:
    drawn = Subject("mnist/b", "mnist", 10_000, deterministic=False)
    _, records = run(SUITE, lambda name, image: name == "fresh draws" and image % 9 == 0, drawn, MANY)
    draws = {r.cell.attack_draws for r in records if called(r.cell) == "fresh draws" and r.cell.start >= SHARD}
    assert draws == {RUNGS[0]}  # of equally good ones the cheapest


def test_the_worst_case_by_what_decided_is_that_by_every_attack_where_attacks_break_by_a_rule() -> None:
    """What breaks an image depends on its place in a hundred alone, so that the audit tells all there is to know."""

    def falls(name: str, image: int) -> float:
        return (len(name) * 37 + image % SHARD * 11) % 23 == 0

    saved, every = (
        alive(run(SUITE, falls, selection=selection)[1])
        for selection in (MANY, Selection(examples=COUNT, audited=COUNT, eps=MANY.eps))
    )
    assert saved == every


def alive(records: list[Record]) -> Mapping[ThreatModel, set[int]]:
    return {
        threat: set(range(COUNT)).difference(
            *(broken_under(record, threat) for record in records if says_of(record.cell, threat))
        )
        for threat in (SMALL, LARGE, ThreatModel("l2", 1.0))
    }


ATTACKS = [Tried(name, None, 1) for name in list(ADAPTIVE_ATTACKS)[:8]]


@given(st.dictionaries(st.sampled_from(ATTACKS), st.sets(st.integers(0, 20)), min_size=1))
def test_what_decides_breaks_together_what_all_break_and_each_adds_something(broken: dict[Tried, set[int]]) -> None:
    chosen = cover(broken)
    assert set().union(*(broken[one] for one in chosen)) == set().union(*broken.values())
    seen = set[int]()
    gains = []
    for one in chosen:
        gains.append(len(broken[one] - seen))
        seen |= broken[one]
    assert all(gains)
    assert all(first >= second for first, second in itertools.pairwise(gains))


@given(st.sets(st.integers(0, 999), max_size=400))
def test_packed_cells_hold_each_image_once_in_full_batches(images: set[int]) -> None:
    shards = packed({image: (image // SHARD * SHARD, image // SHARD * SHARD + SHARD) for image in images})
    held = [image for batch in shards.values() for image in batch]
    assert sorted(held) == sorted(images)
    assert all(start <= image < stop for (start, stop), batch in shards.items() for image in batch)
    assert [len(batch) for batch in shards.values()][:-1] == [SHARD] * (len(shards) - 1)
