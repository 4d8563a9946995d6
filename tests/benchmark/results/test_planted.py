"""V18 and the column `detection`, on evidence made by hand."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.plan.cells import Reading
from benchmark.records.parts import Planting
from benchmark.records.record import Record
from benchmark.reports.audits import audit_page
from benchmark.reports.tables import csv_table, ranking
from benchmark.results.evidence import Evidence
from benchmark.results.planted import detection_of
from benchmark.results.results import Results
from benchmark.results.share import Share
from tests.benchmark.evidence import LINF, N, evidence, verdict


def planted(missed: int, planting: Planting | None = None) -> Evidence:
    found = evidence(planted=[i < missed for i in range(N)])
    if planting is not None:
        for place, record in enumerate(found.readings):
            if record.planting is not None:
                found.readings[place] = dataclasses.replace(record, planting=planting)
    return found


@pytest.mark.parametrize(("missed", "expected"), [(0, "PASS"), (5, "PASS"), (6, "FLAG"), (10, "FLAG"), (13, "FAIL")])
def test_at_most_one_of_twenty_is_missed(missed: int, expected: str) -> None:
    """Of 100, 6 to 12 may be chance (exact binomial test against 5 % at 1 %), 13 may not: P(13 or more) = .0015."""
    status, text = verdict("V18", planted(missed))
    assert status == expected
    assert f"{N - missed} of {N} found" in text


def test_what_chance_finds_or_was_not_planted_does_not_count() -> None:
    """The first 20 of 100 survive: 10 of them were not planted, 10 chance finds; the other 80 are found."""
    found = planted(20, Planting(list(range(10, N)), list(range(10, 25)), of_logits=True))
    status, text = verdict("V18", found)
    assert status == "PASS"
    assert text.startswith(
        "linf eps 0.1: 75 of 75 found, 15 more by random points, 10 not planted, read off the logits; linf eps 0.3: "
    )
    detection = detection_of(found, LINF)
    assert detection is not None
    assert detection.found == Share(75, 75)


def test_open_where_nothing_was_run_or_planted() -> None:
    status, text = verdict("V18", planted(0, Planting([], [], of_logits=False)))
    assert (status, "in none of 100 images" in text) == ("OPEN", True)
    full = evidence()
    without = Evidence(full.records, full.extra, [r for r in full.readings if r.cell.reading is not Reading.PLANTED])
    assert verdict("V18", without)[0] == "OPEN"
    assert detection_of(without, LINF) is None


def test_the_column_is_there_where_it_says_something() -> None:
    found = planted(10)
    every = [*found.records, *found.extra, *found.readings]
    for records, shown in ((every, True), ([r for r in every if r.planting is None], False)):
        results = Results(_keyed(records))
        boards = results.boards
        assert [line.get("detection") for line in ranking(boards[0])] == ["90.0" if shown else None]
        assert (",detection," in csv_table(boards)) is shown
        (entry,) = results.entries
        assert ("linf, eps 0.1: 90 of 100" in audit_page(entry)) is shown


def _keyed(records: list[Record]) -> list[Record]:
    """Records made by hand share keys where they differ in what no real ones share."""
    return [dataclasses.replace(record, key=f"{record.key} {number}") for number, record in enumerate(records)]
