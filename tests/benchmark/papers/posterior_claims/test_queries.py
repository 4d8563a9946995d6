"""Square on every image: who is asked, and the table of what it broke."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.papers.posterior_claims.queries import (
    FILE,
    ITS_MAXIMUM,
    QUERY_SUITE,
    SAMPLED,
    Queried,
    read_queries,
    write_queries,
)
from benchmark.plan.cells import Reading, Selection, Subject
from benchmark.records.record import Record
from tests.benchmark.handmade import make, outcome

SAMPLES = Subject(SAMPLED, "mnist", 10_000, deterministic=False, members=100, is_sample=True)
MAXIMUM = Subject(ITS_MAXIMUM, "mnist", 10_000, deterministic=True)


def test_samples_are_asked_by_halves_and_all_at_once() -> None:
    cells = QUERY_SUITE.cells([SAMPLES, MAXIMUM], Selection(examples=200))
    assert {(c.model, c.reading, c.attack_draws, c.judge_draws) for c in cells} == {
        (SAMPLED, Reading.SAMPLE, 50, 50),
        (SAMPLED, Reading.HEADLINE, 100, 100),
        (ITS_MAXIMUM, Reading.HEADLINE, 1, 1),
    }
    assert {c.attack.threat for c in cells} == {ThreatModel("linf", 0.1), ThreatModel("l2", 1.0)}
    assert not any(c.attack.method.gradients for c in cells)
    assert all(c.only is None for c in cells)  # every image, not what another attack left
    assert {(c.start, c.stop) for c in cells} == {(0, 100), (100, 200)}


def _record(survive: list[bool], right: list[bool], start: int = 0) -> Record:
    record = make(SAMPLED, "pgd-linf", 0.1, {"torchattacks": survive}, start)
    attack = QUERY_SUITE.cells([SAMPLES], Selection(eps=(0.1,)))[0].attack
    cell = dataclasses.replace(record.cell, attack=attack, reading=Reading.SAMPLE)
    return dataclasses.replace(record, cell=cell, clean=outcome(right))


def test_the_table_says_what_records_say(tmp_path: Path) -> None:
    """An image that is wrong as it is does not survive, and is not broken either."""
    last = _record([False, True], [True, True], start=3)
    write_queries([last, _record([True, False, True], [True, True, False])], tmp_path)
    threat = last.cell.attack.threat
    assert read_queries(tmp_path) == {(SAMPLED, threat, Reading.SAMPLE): Queried(last.cell.attack.steps, 5, 4, 2)}
    assert "11011,10001" in (tmp_path / FILE).read_text()


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    assert read_queries(tmp_path) == {}
    (tmp_path / FILE).write_text("model,norm,eps,reading,queries,right,survive\nm,linf,0.1,sample,10,01,11\n")
    with pytest.raises(ValueError, match="not among what is right; restore it"):
        read_queries(tmp_path)
