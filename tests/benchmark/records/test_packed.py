"""Packed records: they come back as they were, column by column when asked for, or not at all."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.records.archive import read_records
from benchmark.records.outcome import COLUMNS, Outcome, joined
from benchmark.records.packed import FORMAT, packed, unpacked
from benchmark.records.record import Record
from tests.benchmark.handmade import make

ROOT = Path(__file__).resolve().parents[3]
VALUES = {
    "f": st.floats(allow_nan=False, allow_infinity=False),
    "i": st.integers(-(2**63), 2**63 - 1),
    "b": st.booleans(),
}


@st.composite
def outcomes(draw: st.DrawFn, count: int) -> Outcome:
    """With or without votes, or of a library that failed."""
    if draw(st.booleans()) and (error := draw(st.text(min_size=1))):
        return Outcome(error=error)
    optional = draw(st.sets(st.sampled_from(["mutual_information", "right_draws", "majority"])))
    names = COLUMNS.keys() - {"mutual_information", "right_draws", "majority"} | optional
    columns = {name: draw(st.lists(VALUES[COLUMNS[name].kind], min_size=count, max_size=count)) for name in names}
    return Outcome(**columns, forwards=draw(st.integers(0)), seconds=draw(VALUES["f"]))


@st.composite
def records(draw: st.DrawFn) -> Record:
    count = draw(st.integers(1, 4))
    record = make("mnist/a", "bim", 0.1, dict.fromkeys(("art", "foolbox"), [True] * count))
    examples = draw(st.lists(st.integers(0, 10_000), min_size=count, max_size=count, unique=True))
    of_libraries = {library: draw(outcomes(count)) for library in record.outcomes}
    return dataclasses.replace(record, examples=examples, clean=draw(outcomes(count)), outcomes=of_libraries)


def text(record: Record) -> str:
    return json.dumps(record.to_json(), sort_keys=True)


@given(records(), st.binary(max_size=9))
def test_a_record_comes_back_as_it_was(record: Record, before: bytes) -> None:
    found = unpacked(before + packed(record), len(before))
    assert found is not None
    for name in COLUMNS:
        column = found.clean.array(name)
        assert (column.dtype, column.tolist()) == (COLUMNS[name], getattr(record.clean, name))
        assert joined([found.clean, record.clean], name).tolist() == 2 * getattr(record.clean, name)
    assert found == record
    assert text(found) == text(record)  # 1 is not 1.0, and 0.0 not -0.0
    assert found.broken == record.broken
    assert packed(found) == packed(record)
    again = pickle.loads(pickle.dumps(found))
    assert again == record
    assert "_column" not in vars(again.clean)  # and not the file that it was read from


@given(records())
def test_json_of_older_stores_is_read(record: Record) -> None:
    assert unpacked(json.dumps(record.to_json()).encode()) == record


def test_what_was_committed_comes_back_as_the_same_json() -> None:
    for record in read_records(ROOT / "leaderboards" / "records", "mnist", "mnist/logistic").values():
        found = unpacked(packed(record))
        assert found == record
        assert text(found) == text(record)


def test_a_column_is_read_when_it_is_asked_for() -> None:
    found = unpacked(packed(make("mnist/a", "bim", 0.1, {"art": [True, False]})))
    assert found is not None
    outcome = found.outcomes["art"]
    assert not vars(outcome).keys() & COLUMNS.keys()
    assert outcome.correct == [True, False]
    assert outcome.correct is outcome.correct
    assert vars(outcome).keys() & COLUMNS.keys() == {"correct"}
    with pytest.raises(AttributeError, match="no attribute 'corect'"):
        outcome.corect  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_number_that_json_does_not_know_is_refused(number: float) -> None:
    record = make("mnist/a", "bim", 0.1, {"art": [True]})
    for wrong in (
        dataclasses.replace(record.clean, log_p=[number]),
        dataclasses.replace(record.clean, seconds=number),
    ):
        with pytest.raises(ValueError, match=r"finite|JSON"):
            packed(dataclasses.replace(record, clean=wrong))


def test_what_is_no_record_is_refused_and_another_schema_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    record = make("mnist/a", "bim", 0.1, {"art": [True]})
    content = packed(record)
    for wrong in (b"", b"records?", content[1:], FORMAT[:-1] + b"2" + content[len(FORMAT) :]):
        with pytest.raises(ValueError, match="packed record"):
            unpacked(wrong)
    monkeypatch.setattr("benchmark.records.packed.SCHEMA_VERSION", 99)
    assert unpacked(content) is None
    assert unpacked(json.dumps(record.to_json()).encode()) is None
