"""The suite of bounds, on networks that exist in words alone: what is certified and what falls is given."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.attacks.spec import format_eps
from benchmark.plan.cells import Cell, Reading, Selection, Subject
from benchmark.plan.roles import role_of
from benchmark.plan.suites import SUITES
from benchmark.protocol import certified_grid
from benchmark.records.parts import Certificate
from benchmark.records.record import Record
from tests.benchmark.planning import answered

CERTIFY = SUITES["certify"]
SUBJECT = Subject("mnist/f", "mnist", 10_000, deterministic=True)
BAYESIAN = Subject("mnist/b", "mnist", 10_000, deterministic=False)
TWO = Selection(examples=4, eps={"linf": (0.1, 0.05, 0.3), "l2": (1.0,)})


def run(subject: Subject, selection: Selection, radius: dict[int, float], falls: dict[int, float]) -> list[Record]:
    """radius: image -> up to which eps it is certified. falls: image -> from which eps PGD breaks it."""
    records: list[Record] = []
    more = CERTIFY.cells([subject], selection)
    while more:
        for cell in more:
            eps = cell.attack.threat.eps
            record = answered(cell, lambda _, image, eps=eps: eps >= falls.get(image, 9.0))
            if cell.attack.name.startswith("crown"):
                leads = [radius.get(image, 0.0) - eps + 1e-9 for image in record.examples]
                record = dataclasses.replace(record, outcomes={}, certificate=Certificate(leads))
            records.append(record)
        known = {record.cell for record in records}
        more = [cell for cell in CERTIFY.follow_up(records, [subject], selection) if cell not in known]
    return records


def told(records: list[Record], norm: str) -> list[tuple[str, float, list[int]]]:
    return [
        (record.cell.attack.name.split("-")[0], record.cell.attack.threat.eps, record.examples)
        for record in records
        if record.cell.attack.threat.norm == norm
    ]


def test_bounds_go_on_with_what_is_certified_and_attacks_with_what_is_neither_certified_nor_broken() -> None:
    records = run(SUBJECT, TWO, {0: 0.3, 1: 0.1, 2: 0.05}, {1: 0.3, 3: 0.1})
    assert told(records, "linf") == [
        ("crown", 0.05, [0, 1, 2, 3]),
        ("pgd", 0.05, [3]),
        ("crown", 0.1, [0, 1, 2]),
        ("pgd", 0.1, [2, 3]),
        ("crown", 0.3, [0, 1]),
        ("pgd", 0.3, [1, 2]),
    ]
    assert told(records, "l2") == [("crown", 1.0, [0, 1, 2, 3]), ("pgd", 1.0, [0, 1, 2, 3])]


def test_nothing_is_bounded_where_nothing_was_certified_before() -> None:
    records = run(SUBJECT, TWO, {}, {0: 0.05, 1: 0.05, 2: 0.05, 3: 0.05})
    assert told(records, "linf") == [("crown", 0.05, [0, 1, 2, 3]), ("pgd", 0.05, [0, 1, 2, 3])]


@pytest.mark.parametrize(
    ("subject", "draws"), [(SUBJECT, 1), (BAYESIAN, 64), (SUBJECT._replace(deterministic=False, members=100), 100)]
)
def test_bounds_and_attacks_are_of_the_draws_that_judge(subject: Subject, draws: int) -> None:
    cells = [record.cell for record in run(subject, TWO, {0: 0.1}, {})]
    assert {(cell.attack_draws, cell.judge_draws, cell.reading) for cell in cells} == {
        (draws, draws, Reading.CERTIFIED)
    }


def test_they_decide_nothing_on_boards() -> None:
    for record in run(SUBJECT, TWO, {0: 0.1}, {}):
        role = role_of(record.cell)
        counts = [role.is_column, role.is_white_box, role.counts_in_worst_case, role.may_stand_alone]
        assert not any(counts)
        assert role.adaptive is None
        assert Cell.from_json(record.cell.to_json()) == record.cell


def test_the_eps_are_parts_of_the_smallest_and_those_of_the_boards() -> None:
    assert certified_grid("mnist")["linf"] == (0.005, 0.01, 0.02, 0.05, 0.1, 0.3)
    assert certified_grid("mnist")["l2"] == (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
    assert [format_eps(eps) for eps in certified_grid("cifar10-jpeg")["linf"]] == [
        "0.25/255",
        "0.5/255",
        "1/255",
        "2/255",
        "8/255",
    ]


def test_what_it_has_none_of_is_refused_by_name() -> None:
    for selection, option in (
        (Selection(attacks=("fgsm",)), "--attack"),
        (Selection(libraries=("art",)), "--library"),
        (Selection(targets=("expected",)), "--target"),
        (Selection(draws=4), "--draws"),
    ):
        with pytest.raises(ValueError, match=f"leave out {option}"):
            CERTIFY.cells([SUBJECT], selection)
    with pytest.raises(ValueError, match="asks for more"):
        CERTIFY.cells([SUBJECT], Selection(examples=10_001))


def test_networks_without_rules_are_left_out_and_named_where_none_is_left() -> None:
    without = SUBJECT._replace(model="mnist/odd", bounded=False)
    assert {cell.model for cell in CERTIFY.cells([SUBJECT, without], TWO)} == {"mnist/f"}
    assert not CERTIFY.follow_up([], [without], TWO)
    with pytest.raises(ValueError, match="mnist/odd"):
        CERTIFY.cells([without], TWO)


def test_what_is_to_follow_is_expected() -> None:
    expected = CERTIFY.expected_follow_up([SUBJECT], TWO, None)  # type: ignore[arg-type]
    assert len(expected) == 4
    assert {one.cell.attack.threat.eps for one in expected} == {0.1, 0.3}
