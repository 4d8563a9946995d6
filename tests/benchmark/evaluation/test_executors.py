"""Wherever cells are evaluated, the records are the same, and a worker that dies costs its cell another try."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.executors import ATTEMPTS, Result, Work, evaluator_on, executing
from benchmark.evaluation.machine import Machine
from benchmark.plan.cells import Cell
from benchmark.protocol import standard_attack
from benchmark.records.record import Record
from benchmark.records.store import Store
from zoo.kind import Said

CELLS = [
    Cell(model, "mnist", standard_attack(attack, 0.1), 0, 10, judge_draws=draws, attack_draws=draws)
    for model, draws in (("mnist/lenet", 1), ("mnist/bayesian-lenet", 4))
    for attack in ("fgsm", "bim")
]
QUICK = [dataclasses.replace(cell, libraries=("foolbox",)) for cell in CELLS]  # a worker imports one library for them

# A network whose process dies while the file `marker` holds a number above zero, which it counts down.
MORTAL = """
import os, signal
from pathlib import Path
from zoo import models, register_model

marker = Path({marker!r})

@register_model("mnist/mortal", dataset="mnist", family="frequentist")
def mortal():
    left = int(marker.read_text())
    if left > 0:
        marker.write_text(str(left - 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return models["mnist/lenet"].build()
"""


def execute(work: Work, evaluator: Evaluator, executor: str = "local", **how: Any) -> list[Result]:
    with executing(evaluator, executor, **how) as run:
        return list(run(work))


def records(machine: Machine, cells: list[Cell], **how: Any) -> dict[str, Record]:
    work = ((evaluator_on(machine).key(cell), cell) for cell in cells)
    return {done.record.key: done.record for done in execute(work, evaluator_on(machine), **how)}


def outcomes(found: dict[str, Record]) -> dict[str, Any]:
    return {key: record.outcome for key, record in found.items()}


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    """An evaluator on a machine with a number of threads sets it for the process."""
    before = torch.get_num_threads()
    yield
    evaluator_on.cache_clear()  # it would not set it again
    torch.set_num_threads(before)


@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Machine, Cell, Path]]:
    """A machine that knows the mortal network, its cell, and the file with its deaths to come."""
    name, marker = f"mortal_{tmp_path.name}", tmp_path / "marker"
    (tmp_path / f"{name}.py").write_text(MORTAL.format(marker=str(marker)))
    marker.write_text("0")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.getcwd()]))
    monkeypatch.syspath_prepend(str(tmp_path))
    evaluator_on.cache_clear()
    yield (
        Machine(threads=1, external=((f"{name}:mortal", None, Said()),)),
        dataclasses.replace(QUICK[0], model="mnist/mortal"),
        marker,
    )
    evaluator_on.cache_clear()


def test_processes_give_the_records_of_one_process() -> None:
    machine = Machine(threads=1)
    here, there = records(machine, CELLS), records(machine, CELLS, workers=2)
    assert outcomes(there) == outcomes(here)
    assert list(here) == [evaluator_on(machine).key(cell) for cell in CELLS]
    assert {record.provenance["threads"] for record in (*here.values(), *there.values())} == {1}


def test_processes_live_as_long_as_the_run_and_end_with_it() -> None:
    evaluator = evaluator_on(Machine(threads=1))
    before = set(multiprocessing.active_children())
    seen = []
    with executing(evaluator, workers=2) as run:
        for cells in (QUICK[:2], QUICK[2:]):  # two phases
            assert len(list(run((evaluator.key(cell), cell) for cell in cells))) == 2
            seen.append({process.pid for process in set(multiprocessing.active_children()) - before})
        assert list(run([])) == []
    assert seen[0] == seen[1]
    assert not set(multiprocessing.active_children()) - before


def test_a_worker_that_is_killed_costs_its_cell_another_try(mortal: tuple[Machine, Cell, Path]) -> None:
    machine, cell, marker = mortal
    cells = [*QUICK[:1], cell]
    here = records(machine, cells)
    marker.write_text("1")  # after the fingerprint is known: a worker computes it too, and dies of it
    keys = list(here)
    there = {r.key: r for r, *_ in execute(zip(keys, cells, strict=True), evaluator_on(machine), workers=2)}
    assert marker.read_text() == "0"
    assert outcomes(there) == outcomes(here)


def test_a_cell_that_always_kills_its_worker_ends_the_run_and_no_other_is_blamed(
    mortal: tuple[Machine, Cell, Path],
) -> None:
    machine, cell, marker = mortal
    cells = [QUICK[3], cell, QUICK[2]]
    work = [(evaluator_on(machine).key(cell), cell) for cell in cells]
    marker.write_text("99")
    with pytest.raises(ValueError, match=rf"worker of mnist/mortal fgsm .* died {ATTEMPTS} times"):
        execute(work, evaluator_on(machine), workers=2)
    assert int(marker.read_text()) >= 99 - 1 - ATTEMPTS  # once beside another cell, then alone


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_with_other_weights_or_versions_is_refused(workers: int) -> None:
    with pytest.raises(ValueError, match="install the same versions, weights and data"):
        execute([("0" * 64, CELLS[0])], evaluator_on(Machine()), workers=workers)


def test_what_cannot_be_executed_is_refused_before_it_starts() -> None:
    for how, message in (
        ({"executor": "slurm"}, "no executor 'slurm'; there are: local, ray"),
        ({"workers": 0}, "--workers must be at least 1, not 0"),
        ({"address": "auto"}, "--ray-address needs --executor ray"),
    ):
        with pytest.raises(ValueError, match=message):
            execute(CELLS, evaluator_on(Machine()), **how)  # type: ignore[arg-type]


def test_without_ray_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match="pip install"):
        execute([], evaluator_on(Machine()), executor="ray")


def test_a_run_says_where_its_time_went_and_stores_what_one_process_would(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmark.run", "--suite", "smoke", "--model", "mnist/lenet", "--profile"]
    command += ["--threads", "1"]  # by which torch divides its sums: workers share the cores, one process has them all
    stores = {}
    for name, options in {"one": [], "two": ["--workers", "2"]}.items():
        path = tmp_path / f"{name}.sqlite"
        done = subprocess.run([*command, *options, "--store", str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        for kind in ("loading", "gradients", "libraries", "judge", "store"):
            assert kind in done.stdout
        # smoke asks for 3 x (1 + 10 + 20 + 20) gradients; FGSM and BIM, for one, start at the same images
        assert "153 asked for" in done.stdout
        with Store(path) as store:
            stores[name] = {record.key: record.outcome for record in store.records()}
    assert stores["one"] == stores["two"]


@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_the_run_however_it_ends(tmp_path: Path, signal_: signal.Signals) -> None:
    """Their command lines name the pipe from the run, so they are found by their parent, which is gone afterwards."""
    command = [sys.executable, "-m", "benchmark.run", "--workers", "2", "--store", str(tmp_path / "r.sqlite")]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(workers := children(run.pid)) < 3 and time.monotonic() < deadline:  # two and the resource tracker
        time.sleep(0.2)
    assert len(workers) >= 3
    time.sleep(2)  # at work, or importing torch
    run.send_signal(signal_)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == (-signal.SIGKILL if signal_ == signal.SIGKILL else 130), errors
    assert "Traceback" not in errors
    deadline = time.monotonic() + 120  # its own: on a busy machine the first was spent on starting them
    while (left := [pid for pid in workers if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left


def children(parent: int) -> list[int]:
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
def test_two_ray_nodes_with_a_killed_worker_give_the_records_of_one_process(mortal: tuple[Machine, Cell, Path]) -> None:
    """Both nodes on this machine; the worker that first meets the mortal network is killed in the middle of the run."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    machine, cell, marker = mortal
    cells = [*CELLS[:2], cell, *CELLS[2:]]
    here = records(machine, cells)
    keys = list(here)
    marker.write_text("1")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        work = zip(keys, cells, strict=True)
        there = {r.key: r for r, *_ in execute(work, evaluator_on(machine), "ray", address=cluster.address)}
        assert marker.read_text() == "0"  # it died, and was tried again
        assert outcomes(there) == outcomes(here)
        marker.write_text("99")
        with pytest.raises(ValueError, match=rf"died {ATTEMPTS} times"):
            execute([(keys[2], cell)], evaluator_on(machine), "ray", address=cluster.address)
        greedy = dataclasses.replace(machine, threads=64)
        with pytest.raises(ValueError, match="has what a cell needs"):
            execute(zip(keys, cells, strict=True), evaluator_on(greedy), "ray", address=cluster.address)
    finally:
        cluster.shutdown()
