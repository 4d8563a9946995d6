"""Records made for measurements: what they say is what the records of the first shard say, so many times."""

from __future__ import annotations

import pytest

from benchmark.bench.records import record_table
from benchmark.bench.synthetic import attacked_by, copied
from benchmark.publications import PROJECT
from benchmark.records import beside
from benchmark.records.archive import read_records
from benchmark.records.packed import packed, unpacked
from benchmark.records.record import Record
from benchmark.reports.performance import Measured, performance_page
from benchmark.reports.tables import csv_table
from benchmark.results import Results
from benchmark.results.share import Share

ENTRIES, SHARDS = ("mnist/logistic", "mnist/bayesian-mlp"), 3


@pytest.fixture(scope="module")
def first() -> list[Record]:
    """Of two entries 40 records each, on their first images."""
    lying = [record for entry in ENTRIES for record in read_records(PROJECT / "records", "mnist", entry).values()]
    return attacked_by(lying, 40)


@pytest.fixture(scope="module")
def many(first: list[Record]) -> list[Record]:
    return list(copied(first, SHARDS))


def test_the_first_shard_has_so_many_attacks_of_every_kind(first: list[Record]) -> None:
    for entry in ENTRIES:
        roles = [record.role for record in first if record.cell.model == entry]
        assert len(roles) == 40
        assert sum(role.is_column for role in roles) >= 8
        assert sum(not role.budget for role in roles) == 4
        assert len({role.called for role in roles}) > 20


def test_copies_are_records_of_other_images(first: list[Record], many: list[Record]) -> None:
    assert many[: len(first)] == first
    assert len({record.key for record in many}) == len(many) == SHARDS * len(first)
    for shard in range(SHARDS):
        part = many[shard * len(first) : (shard + 1) * len(first)]
        for before, record in zip(first, part, strict=True):
            assert (record.cell.start, record.cell.stop) == (100 * shard, 100 * shard + 100)
            assert record.role == before.role
            assert len(record.examples) == len(before.examples)
            assert sorted(record.clean.log_p) == sorted(before.clean.log_p)
            assert len(record.broken) == len(before.broken)
            assert record.cell.only is None or list(record.cell.only) == record.examples
            assert Record.from_json(record.to_json()) == record
        whole = {tuple(record.examples) for record in part if record.cell.only is None and len(record.examples) == 100}
        assert len(whole) == 1  # the same of every entry, so that they are on one board
    assert len({example for record in many for example in record.examples}) == SHARDS * 100


def test_every_count_is_that_of_the_first_shard_so_many_times(first: list[Record], many: list[Record]) -> None:
    once, often = Results(first, protocol=True), Results(many, protocol=True)
    assert len(often.boards) == len(once.boards) > 2
    for few, board in zip(once.boards, often.boards, strict=True):
        of_first = {row.configuration.model: row for row in few.rows}
        for row in board.rows:
            before = of_first[row.configuration.model]
            for name in ("clean", "whitebox", "attacker", "worst"):
                share = getattr(before, name)
                assert getattr(row, name) == Share(SHARDS * share.hits, SHARDS * share.count)
            assert row.agreement == before.agreement
            assert row.uncertainty.nll == pytest.approx(before.uncertainty.nll)


def test_boards_are_the_same_from_json_and_packed(many: list[Record]) -> None:
    of_json = [Record.from_json(record.to_json()) for record in many]
    of_columns = [record for one in many if (record := unpacked(packed(one))) is not None]
    tables = [csv_table(Results(records, protocol=True).boards) for records in (many, of_json, of_columns)]
    assert tables[0] == tables[1] == tables[2]


def test_a_line_is_measured_at_every_size(first: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "WORTH_A_COPY", 0)
    lines = record_table((100, 200), first)
    assert [(line["images"], line["entries"], line["records"]) for line in lines] == [(100, 2, 80), (200, 2, 160)]
    assert "with copies [s]" in performance_page({"records": Measured("a machine", lines)})
