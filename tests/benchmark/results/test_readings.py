"""Readings and draws from records made by hand."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS, doubled, with_fresh_draws
from benchmark.plan.cells import Cell, Reading
from benchmark.protocol import LIBRARIES, standard_attack
from benchmark.records.outcome import Outcome
from benchmark.records.record import Record
from benchmark.results import Results
from benchmark.results.draws import Way, by_draws
from benchmark.results.rows import Row
from benchmark.results.share import Share
from tests.benchmark.handmade import make, outcome
from zoo.targets import Gradient, Schedule

N = 10
LINF = ThreatModel("linf", 0.1)


def record(
    attack: AttackSpec,
    alive: int,
    reading: Reading = Reading.HEADLINE,
    libraries: tuple[str, ...] = ("torchattacks",),
    draws: int = 8,
    judges: int = 64,
    finite: bool = False,
    votes: int | None = None,
) -> Record:
    """Of ten images the first `alive` survive. votes: of the judge's draws, how many are right on each of them."""
    base = make("mnist/b", "fgsm", 0.1, {name: [i < alive for i in range(N)] for name in libraries})
    cell = Cell(
        "mnist/b", "mnist", attack, 0, N, libraries, draws, judges, finite=finite, reading=reading
    )  # fmt: skip

    def with_votes(one: Outcome) -> Outcome:
        right = [votes if correct else 0 for correct in one.correct] if votes is not None else []
        return dataclasses.replace(one, right_draws=right, majority=[0 if r else 1 for r in right])

    return dataclasses.replace(
        base,
        key=repr(cell),
        cell=cell,
        family="bayesian",
        clean=with_votes(outcome([True] * N)),
        outcomes={library: with_votes(one) for library, one in base.outcomes.items()},
    )


def white_box(alive: int = 6, **changes: object) -> list[Record]:
    names = ("fgsm", "bim", "pgd-linf")
    return [record(standard_attack(name, 0.1), alive, libraries=LIBRARIES, **changes) for name in names]


def adaptive(name: str, alive: int, **changes: object) -> Record:
    one = ADAPTIVE_ATTACKS[name]
    return record(one.attack(LINF), alive, one.reading, (one.library,), **changes)


def row(records: list[Record]) -> Row:
    ((one,),) = [board.rows for board in Results(records).boards]
    return one


def test_the_headline_takes_no_part_in_other_readings_and_they_none_in_it() -> None:
    found = row([*white_box(6), adaptive("judge's draws", 1, draws=64), adaptive("other judge", 5)])
    assert (found.whitebox, found.worst) == (Share(6, N), Share(6, N))
    assert found.readings.headline == Share(6, N)
    assert found.readings.deterministic == Share(1, N)
    assert found.readings.reversals == Share(1, N)
    assert found.attack_count == 3
    assert found.adaptive == {}


def test_what_the_worst_case_breaks_no_other_reading_keeps() -> None:
    found = row([*white_box(6), adaptive("fresh draws", 3), adaptive("judge's draws", 5, draws=64)])
    assert (found.readings.headline, found.readings.deterministic) == (Share(3, N), Share(3, N))


def test_a_reading_that_was_not_measured_is_none() -> None:
    found = row(white_box(6)).readings
    assert (found.deterministic, found.sample, found.one_draw, found.reversals) == (None, None, None, None)
    known = adaptive("judge's draws", 1, draws=64)
    few = dataclasses.replace(known, examples=[0, 1], labels=[0, 0], clean=outcome([True] * 2), outcomes={
        "torchattacks": outcome([True, False])
    })  # fmt: skip
    assert row([*white_box(6), few]).readings.deterministic is None


def test_where_nothing_is_drawn_the_headline_is_deterministic() -> None:
    found = row(white_box(6, draws=5, judges=5, finite=True)).readings
    assert found.deterministic == found.headline == Share(6, N)


def test_one_draw_takes_the_worst_images_of_every_record() -> None:
    """Nine images with half of the draws right under one attack, six with a quarter under another."""
    records = [*white_box(9, votes=32), adaptive("fresh draws", 6, votes=16)]
    found = row(records).readings.one_draw
    assert found is not None
    assert found.of == pytest.approx({1: 0.6 / 4, 10: 0.6 / 4**10, 100: 0.6 / 4**100})
    assert found.majority == Share(6, N)


def test_half_the_samples_are_the_worst_case_of_their_own_attacks() -> None:
    halves = {"draws": 2, "judges": 3, "finite": True}
    transfer = dataclasses.replace(doubled(LINF), gradient=Gradient(source="mnist/map"))
    samples = [
        adaptive("half the samples", 5, **halves),
        record(transfer, 4, Reading.SAMPLE, **halves),
    ]  # fmt: skip
    found = row([*white_box(2, draws=5, judges=5, finite=True), *samples]).readings
    assert (found.headline, found.sample) == (Share(2, N), Share(4, N))


def test_draws_are_compared_way_by_way() -> None:
    fresh = dataclasses.replace(doubled(LINF), gradient=Gradient(schedule=Schedule.FRESH))
    records = [
        *(record(doubled(LINF), alive, draws=draws) for draws, alive in ((1, 9), (8, 6), (32, 4))),
        *(record(fresh, alive, draws=draws) for draws, alive in ((8, 4), (32, 3))),
        record(with_fresh_draws(LINF), 3, libraries=("foolbox",)),  # one number of draws is no comparison
        record(standard_attack("pgd-linf", 0.1), 7, draws=32),  # another number of steps
        record(doubled(LINF), 1, Reading.DETERMINISTIC, draws=64),
    ]
    found = {one.way: {draws: share.hits for draws, share in one.surviving.items()} for one in by_draws(records)}
    assert found == {
        Way("PGD", "expected", Schedule.FRESH): {8: 4, 32: 3},
        Way("PGD", "expected", Schedule.FROZEN): {1: 9, 8: 6, 32: 4},
    }
