"""What a forecast begins with: networks that are tried here, and records of this machine and no other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from benchmark.evaluation import probe
from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.executors import threads_of
from benchmark.evaluation.forecast import Pace
from benchmark.evaluation.machine import Machine
from benchmark.evaluation.probe import forecast_for, measured_pace
from benchmark.plan.cells import Cell, Selection, draw_counts
from benchmark.plan.suites import SUITES
from benchmark.protocol import standard_attack
from benchmark.records.record import device_name
from benchmark.records.store import Store
from tests.benchmark.synthetic import measured
from zoo import ZooEntry


def cell_of(entry: ZooEntry, images: int = 20) -> Cell:
    spec = standard_attack("bim", 0.1)
    return Cell(entry.name, "mnist", spec, 0, images, ("art",), *draw_counts(1 if entry.is_deterministic else None))


@pytest.mark.parametrize("images", [1, 20])
def test_a_network_that_is_tried_has_a_pace_and_changes_nothing(small_entry: ZooEntry, images: int) -> None:
    state = torch.random.get_rng_state()
    pace = measured_pace(cell_of(small_entry, images), Evaluator())
    assert pace is not None
    assert pace.image > 0
    assert pace.call >= 0
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_network_that_fails_is_left_to_its_cells(small_entry: ZooEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(ZooEntry, "predictor", broken)
    assert measured_pace(cell_of(small_entry), Evaluator()) is None


def test_records_of_this_machine_are_evidence_and_make_a_try_needless(
    small_entry: ZooEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Cell] = []
    monkeypatch.setattr(probe, "measured_pace", lambda cell, _: calls.append(cell) or Pace(0.0, 1e-6))
    evaluator, threads = Evaluator(), torch.get_num_threads()
    subject = evaluator.subject(small_entry)
    first, second = (SUITES["whitebox"].cells([subject], Selection(examples=n)) for n in (100, 200))
    ahead = [cell for cell in second if cell not in set(first)]
    told = {}
    for place, device in {"here": device_name("cpu"), "elsewhere": "another"}.items():
        with Store(tmp_path / f"{place}.sqlite") as store:
            for cell in first:
                record = measured(cell, 50.0, 50.0)
                provenance = {**record.provenance, "device": device, "threads": threads}
                store.put(dataclasses.replace(record, key=f"{cell}", provenance=provenance))
            told[place] = sum(map(forecast_for([subject], ahead, evaluator, threads, store).seconds, ahead))
    assert [cell.model for cell in calls] == [small_entry.name]  # where no record was of this machine
    assert told["here"] == pytest.approx(100.0 * len(ahead), rel=0.5)
    assert told["elsewhere"] < 20
    assert torch.get_num_threads() == threads


def test_the_last_records_are_read_and_damaged_ones_left_out(tmp_path: Path) -> None:
    cells = [Cell("mnist/a", "mnist", standard_attack("fgsm", 0.1), start, start + 1) for start in range(5)]
    with Store(tmp_path / "r.sqlite") as store:
        for cell in cells:
            store.put(dataclasses.replace(measured(cell, 1.0, 1.0), key=f"{cell.start}"))
        store._connection.execute("UPDATE cells SET stored_at = key")
        store._connection.execute("UPDATE cells SET record = 'x' WHERE key = '3'")
        assert [record.key for record in store.recent("mnist/a", 3)] == ["4", "2"]
        assert list(store.recent("mnist/b", 3)) == []


def test_threads_are_those_that_processes_will_have() -> None:
    assert threads_of(Machine(threads=3), "local", 2) == 3
    assert threads_of(Machine(), "ray", None) == 1
    assert threads_of(Machine(), "local", None) == threads_of(Machine(), "local", 1) == torch.get_num_threads()
    assert threads_of(Machine(), "local", 10_000) == 1
