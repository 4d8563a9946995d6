"""The ladder of draws: when it has converged, which rungs it wants next, and that a suite climbs it."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
from benchmark.plan.cells import Cell, Selection, Subject
from benchmark.plan.ladder import RUNGS, Ladder, ladder
from benchmark.plan.roles import role_of
from benchmark.plan.suites import SUITES
from benchmark.protocol import JUDGE_DRAWS, LIBRARIES, NORMS, standard_attack
from benchmark.records.record import Record
from tests.benchmark.handmade import make

LINF = ThreatModel("linf", 0.1)
SUBJECT = Subject("mnist/b", "mnist", 10_000, deterministic=False)


def test_draws_are_doubled_up_to_those_of_the_judge() -> None:
    assert RUNGS == (8, 16, 32, 64)
    assert RUNGS[-1] == JUDGE_DRAWS


@pytest.mark.parametrize(
    ("survivors", "converged", "wanted"),
    [
        ({}, False, 3),
        ({8: 50}, False, 3),
        ({8: 50, 16: 50}, False, 3),  # one doubling shows nothing
        ({8: 50, 16: 49, 32: 48}, True, 3),
        ({8: 50, 16: 40, 32: 40}, False, 4),
        ({8: 50, 16: 49, 32: 40}, False, 4),
        ({8: 50, 16: 40, 32: 39, 64: 38}, True, 4),
        ({8: 50, 16: 40, 32: 39, 64: 30}, False, 4),  # the budget is spent
        ({8: 5, 16: 0}, True, 3),
    ],
)
def test_two_doublings_in_a_row_must_gain_little(survivors: dict[int, int], converged: bool, wanted: int) -> None:
    found = Ladder(survivors, 100)
    assert found.converged is converged
    assert found.wanted == RUNGS[:wanted]


def test_a_rung_counts_all_that_lower_ones_broke_and_none_above_a_missing_one() -> None:
    found = ladder({1, 2, 3, 4}, {8: {1}, 16: {1, 2}, 64: {1, 2, 3, 4}}, 10)
    assert found.survivors == {8: 3, 16: 2}
    assert found.gains == [1]


def of_cell(cell: Cell, broken: set[int]) -> Record:
    examples = list(range(cell.start, cell.stop)) if cell.only is None else list(cell.only)
    record = make(cell.model, "fgsm", 0.1, {library: [e not in broken for e in examples] for library in cell.libraries})
    return dataclasses.replace(record, cell=cell, examples=examples, labels=[0] * len(examples))


@pytest.mark.parametrize(
    ("broken", "climbed"),
    [
        ({8: 10, 16: 10, 32: 10}, (8, 16, 32)),
        ({8: 10, 16: 20, 32: 20}, (8, 16, 32, 64)),
        ({8: 100, 16: 100, 32: 100}, (8, 16, 32)),
    ],
)
def test_the_adaptive_suite_climbs_until_nothing_new_is_wanted(
    broken: dict[int, int], climbed: tuple[int, ...]
) -> None:
    """Every image survives the white-box attacks; each rung breaks the first so many."""
    suite, selection = SUITES["adaptive"], Selection(attacks=("mifgsm-linf",), eps={"linf": (0.1,), "l2": ()})
    white_box = [
        of_cell(Cell("mnist/b", "mnist", standard_attack(name, 0.1), 0, 100, LIBRARIES), set())
        for name, norm in NORMS.items()
        if norm == "linf" and name in ("fgsm", "bim", "pgd-linf")
    ]
    records, found = list(white_box), list[Cell]()
    while new := [cell for cell in suite.follow_up(records, [SUBJECT], selection) if cell not in found]:
        found += new
        records += [of_cell(cell, set(range(broken.get(cell.attack_draws, 0)))) for cell in new]
    assert tuple(cell.attack_draws for cell in found) == climbed
    assert {role_of(cell).adaptive for cell in found} == {ADAPTIVE_ATTACKS["fresh draws"]}
    assert {cell.attack.threat for cell in found} == {LINF}
