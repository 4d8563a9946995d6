"""The store: transactions, kill -9, two processes, damage, a full disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.evaluation.evaluator import Evaluator
from benchmark.plan.cells import Cell
from benchmark.protocol import standard_attack
from benchmark.records.outcome import Outcome
from benchmark.records.record import Record
from benchmark.records.store import Store, StoreError
from zoo import ZooEntry

RUN = [
    sys.executable, "-m", "benchmark.run", "--model", "mnist/lenet", "--attack", "fgsm,bim",
    "--eps", "0.05,0.1,0.15,0.2", "--examples", "120",
]  # fmt: skip
CELLS = 16
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def record(small_entry: ZooEntry) -> Record:
    cell = Cell("mnist/small", "mnist", standard_attack("fgsm", 0.1), 0, 4, attack_draws=2, judge_draws=2)
    return Evaluator().evaluate(cell)


def contents(path: Path) -> list[dict[str, object]]:
    """What a store says, without times and places."""
    with Store(path) as store:
        return [record.outcome for record in store.records()]


def test_what_is_put_comes_back(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "r.sqlite"
    with Store(path) as store:
        assert record.key not in store
        store.put(record)
        assert record.key in store
    with Store(path) as store:
        assert list(store.records()) == [record]
        assert list(store.records({"other"})) == []


def test_an_incomplete_record_is_tried_again_and_replaced(record: Record, tmp_path: Path) -> None:
    broken = dataclasses.replace(record, outcomes={**record.outcomes, "art": Outcome(error="RuntimeError: no")})
    with Store(tmp_path / "r.sqlite") as store:
        store.put(broken)
        assert record.key not in store
        assert [r.complete for r in store.records()] == [False]
        store.put(record)
        assert list(store.records()) == [record]


def test_a_failure_never_replaces_a_result(record: Record, tmp_path: Path) -> None:
    """Another process may have run out of memory on the cell that this one finished."""
    broken = dataclasses.replace(record, outcomes={**record.outcomes, "art": Outcome(error="RuntimeError: memory")})
    with Store(tmp_path / "r.sqlite") as store:
        store.put(record)
        store.put(broken)
        assert record.key in store
        assert list(store.records()) == [record]


def test_records_of_another_schema_are_passed_over(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_entry: ZooEntry
) -> None:
    with Store(tmp_path / "r.sqlite") as store:
        store.put(record)
        monkeypatch.setattr("benchmark.records.packed.SCHEMA_VERSION", 99)
        assert list(store.records()) == []
        monkeypatch.setattr("benchmark.records.record.SCHEMA_VERSION", 99)
        assert Evaluator().key(record.cell) not in store


def test_many_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    imports = "import sys; from pathlib import Path; from benchmark.records.store import Store"
    code = f"{imports}; Store(Path(sys.argv[1])).close()"
    for attempt in range(3):
        command = [sys.executable, "-c", code, str(tmp_path / f"{attempt}.sqlite")]
        processes = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(4)]
        for process in processes:
            _, errors = process.communicate()
            assert process.returncode == 0, errors


def test_a_file_that_is_no_store_or_a_newer_one_is_refused(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look like something" * 20)
    with pytest.raises(StoreError, match=r"notes\.txt"):
        Store(path)
    newer = tmp_path / "newer.sqlite"
    with Store(newer) as store:
        store.put(record)
    with sqlite3.connect(newer) as connection:
        connection.execute("UPDATE meta SET value = '3'")
    with pytest.raises(StoreError, match="version 3"):
        Store(newer)


def test_a_damaged_record_is_detected_and_never_half_read(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Store(path) as store:
        store.put(record)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE cells SET record = replace(record, 'log_p', 'log_q')")
    with Store(path) as store:
        with pytest.raises(StoreError, match="damaged"):
            list(store.records())
        assert record.key not in store  # so that the next run makes it again
        store.put(record)
        assert list(store.records()) == [record]


def test_a_full_disk_is_an_error_and_loses_nothing(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Store(path) as store:
        store.put(record)
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        copies = (dataclasses.replace(record, key=f"{number:064}") for number in range(50))
        with pytest.raises(StoreError, match="full"):
            list(map(store.put, copies))
        kept = [r.key for r in store.records()]
    with Store(path) as store:
        assert [r.key for r in store.records()] == kept
        assert record in list(store.records())


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def stored(path: Path) -> int:
    """Cells in the store of a process that is still running."""
    if not path.is_file():
        return 0
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM cells").fetchone()[0])
    except sqlite3.Error:
        return 0


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """What one process stores that nobody disturbs."""
    path = tmp_path_factory.mktemp("whole") / "whole.sqlite"
    done = subprocess.run([*RUN, "--store", str(path)], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return contents(path)


def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(
    uninterrupted: list[dict[str, object]], tmp_path: Path
) -> None:
    killed = tmp_path / "killed.sqlite"
    process = subprocess.Popen(
        [*RUN, "--store", str(killed)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while stored(killed) < 3 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    before = {record["key"]: record for record in contents(killed)}
    stamps = provenance_of(killed)
    assert 3 <= len(before) < CELLS
    done = subprocess.run([*RUN, "--store", str(killed)], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert contents(killed) == uninterrupted
    assert len(contents(killed)) == CELLS
    after = provenance_of(killed)
    assert {key: after[key] for key in before} == stamps, "a finished cell was computed again"


def provenance_of(path: Path) -> dict[str, object]:
    with Store(path) as store:
        return {record.key: (record.provenance, record.outcomes["art"].seconds) for record in store.records()}


def test_two_processes_on_one_store_do_not_corrupt_it(uninterrupted: list[dict[str, object]], tmp_path: Path) -> None:
    shared = tmp_path / "shared.sqlite"
    processes = [
        subprocess.Popen(
            [*RUN, "--store", str(path)], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for path in (shared, shared)
    ]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert contents(shared) == uninterrupted
    with sqlite3.connect(shared) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_numbers_that_json_does_not_know_are_refused(record: Record, tmp_path: Path) -> None:
    with Store(tmp_path / "r.sqlite") as store:
        with pytest.raises(ValueError, match="log_p has a number that is not finite"):
            store.put(dataclasses.replace(record, clean=dataclasses.replace(record.clean, log_p=[math.nan] * 4)))
        assert list(store.records()) == []


def test_a_store_of_before_opens_and_takes_new_records(record: Record, tmp_path: Path) -> None:
    """Version 1 held the JSON of a record as text, and the checksum of that."""
    path, other = tmp_path / "r.sqlite", dataclasses.replace(record, key="f" * 64)
    with Store(path) as store:
        store.put(record)
        store.put(other)
        text = json.dumps(record.to_json(), allow_nan=False)
        old = text, hashlib.sha256(text.encode()).hexdigest(), record.key
        store._connection.execute("UPDATE cells SET record = ?, sha256 = ? WHERE key = ?", old)
        store._connection.execute("UPDATE meta SET value = '1'")
        store._connection.commit()
    with Store(path) as store:
        assert record.key in store
        assert sorted(store.records(), key=lambda one: one.key) == sorted([record, other], key=lambda one: one.key)
        assert len(list(store.recent(record.cell.model, 9))) == 2
        store._connection.execute("UPDATE cells SET record = replace(record, 'log_p', 'log_q') WHERE key = ?", old[2:])
        assert record.key not in store


def test_more_records_than_are_read_at_once_come_in_their_order(record: Record, tmp_path: Path) -> None:
    copies = [dataclasses.replace(record, key=f"{number:064}") for number in range(250)]
    with Store(tmp_path / "r.sqlite") as store:
        for one in reversed(copies):
            store.put(one)
        assert list(store.records()) == copies
        assert list(store.records({one.key for one in copies[90:210]})) == copies[90:210]
