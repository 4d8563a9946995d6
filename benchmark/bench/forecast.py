"""(f) Time left as runs tell it beside the time that was left, and beside what passes x cost would have told."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmark.evaluation.outlook import Outlook
from benchmark.measure import Line
from benchmark.plan.cells import Cell, Selection
from benchmark.records.record import Record
from benchmark.reports.progress import Progress
from zoo.targets import TARGETS

AT = (0.1, 0.25, 0.5, 0.75)  # of a run's duration


class Run(NamedTuple):
    """stored: share of the records that are stored before; if `stored_of` > 0, of the records of so many images."""

    suite: str
    entries: tuple[str, ...]
    examples: int
    workers: int = 1
    stored: float = 0.0
    stored_of: int = 0


_THREE = ("mnist/lenet", "mnist/bayesian-lenet", "mnist/mlp")
RUNS = {
    "whitebox, three entries": Run("whitebox", _THREE, 100),
    "whitebox, three entries, --workers 2": Run("whitebox", _THREE, 100, workers=2),
    "whitebox, three entries, half of it stored": Run("whitebox", _THREE, 100, stored=0.5),
    "whitebox, 200 images, 100 of them stored": Run("whitebox", _THREE, 200, stored=1.0, stored_of=100),
    "adaptive, mlp": Run("adaptive", ("mnist/mlp",), 100),
    "adaptive, bayesian-lenet, 40 images": Run("adaptive", ("mnist/bayesian-lenet",), 40),
    "adaptive, two entries, 40 images, --workers 2": Run("adaptive", ("mnist/mlp", "mnist/lenet"), 40, workers=2),
}


class Told(NamedTuple):
    """The time left as told at a moment: seconds by the forecast, and by passes x cost; None where none was told."""

    now: float
    forecast: float
    by_passes: float | None


def forecast_tables(runs: Mapping[str, Run] | None = None) -> dict[str, list[Line]]:
    """A table for each run, a row for each moment; every run in a process of its own."""
    tables = {}
    for title, run in (RUNS if runs is None else runs).items():
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            tables[title] = rows(pool.submit(watched, run).result())
    return tables


def rows(told: Sequence[Told]) -> list[Line]:
    """True and told time left at shares of a run's duration."""
    began, end = told[0].now, told[-1].now
    table: list[Line] = []
    for share in AT:
        now = began + share * (end - began)
        true, found = end - now, at(told, now)
        table.append({"of the run": f"{100 * share:.0f} %", "left [s]": f"{true:.1f}"} | _beside(found, true))
    return table


def _beside(found: Told, true: float) -> Line:
    told = {"told": found.forecast, "passes x cost": found.by_passes}
    return {
        column: text
        for name, left in told.items()
        for column, text in (
            (f"{name} [s]", "–" if left is None else f"{left:.1f}"),
            (f"{name} / true", "–" if left is None else f"{left / true:.2f}"),
        )
    }


def at(told: Sequence[Told], now: float) -> Told:
    """The time left as told at `now`: between two moments it falls evenly."""
    place = bisect_right([each.now for each in told], now) - 1
    before, after = told[place], told[min(place + 1, len(told) - 1)]
    way = (now - before.now) / (after.now - before.now) if after.now > before.now else 0.0
    left = before.forecast + way * (after.forecast - before.forecast)
    old = None if before.by_passes is None else max(0.0, before.by_passes - (now - before.now))
    return Told(now, left, old)


def watched(run: Run) -> list[Told]:
    """Carry out a run, with nothing printed, and note what it tells whenever a cell begins or ends."""
    from rich.console import Console

    from benchmark.reports import console

    console.console = Console(quiet=True)
    log: list[Told] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.sqlite"
        if run.stored:
            _store_part(run, path)
        _carry_out(run, path, log)
    return log


def _store_part(run: Run, path: Path) -> None:
    from benchmark.records.store import Store

    whole = path.with_name("whole.sqlite")
    _carry_out(run._replace(examples=run.stored_of or run.examples, workers=1), whole, [])
    with Store(whole) as source, Store(path) as target:
        records = list(source.records())
        for record in records[: round(run.stored * len(records))]:
            target.put(record)


def _carry_out(run: Run, path: Path, log: list[Told]) -> None:
    from benchmark.evaluation.evaluator import Evaluator
    from benchmark.evaluation.loop import How
    from benchmark.evaluation.loop import run as evaluate_all
    from benchmark.evaluation.machine import Machine
    from benchmark.plan.suites import SUITES
    from benchmark.records.store import Store
    from zoo import models

    entries, evaluator = [models[name] for name in run.entries], Evaluator()
    costs = {entry.name: evaluator.subject(entry).cost for entry in entries}
    how = How(Machine(threads=1), workers=run.workers, watch=partial(_Watched, log=log, costs=costs))
    with Store(path) as store:
        evaluate_all(SUITES[run.suite], Selection(examples=run.examples), entries, store, how)


class _Watched(Progress):
    """A watcher that notes the time left as it would be shown, and as passes x cost would have shown it."""

    def __init__(self, suite: str, outlook: Outlook, log: list[Told], costs: Mapping[str, int]) -> None:
        super().__init__(suite, outlook)
        self._log, self._by_passes = log, ByPasses(costs)

    def begin(self, cells: Sequence[Cell], waiting: Collection[Cell]) -> None:
        super().begin(cells, waiting)
        self._by_passes = ByPasses(self._by_passes.costs, waiting, time.monotonic())
        self._note()

    def start(self, cell: Cell) -> None:
        self._note()
        super().start(cell)
        self._note()

    def finish(self, cell: Cell, record: Record | None = None) -> None:
        self._note()
        super().finish(cell, record)
        self._by_passes.finish(cell)
        self._note()

    def _note(self) -> None:
        now = time.monotonic()
        self._log.append(Told(now, self.outlook.left(), self._by_passes.left(now)))


class ByPasses:
    """Time left as it was told before: passes x multiplications of the cells of one phase, at the speed so far."""

    def __init__(self, costs: Mapping[str, int], waiting: Collection[Cell] = (), began: float = 0.0) -> None:
        self.costs, self._began = costs, began
        self._ahead, self._done = float(sum(map(self._work, waiting))), 0.0

    def finish(self, cell: Cell) -> None:
        """Count a cell that is done."""
        self._done += self._work(cell)
        self._ahead -= self._work(cell)

    def left(self, now: float) -> float | None:
        """Seconds left; None before a cell is done."""
        return (now - self._began) / self._done * self._ahead if self._done else None

    def _work(self, cell: Cell) -> int:
        return passes(cell) * self.costs[cell.model]


def passes(cell: Cell) -> int:
    """Passes of one network as they were counted: at eps = 0 as elsewhere, in l2 for each library."""
    draws = 1 if TARGETS[cell.attack.target].of_one_network else cell.attack_draws
    walks = len(cell.libraries) if cell.attack.threat.norm == "l2" else 1
    each = 3 if cell.attack.method.gradients else 1
    steps = each * walks * cell.attack.steps * cell.attack.restarts * draws
    judging = (1 + len(cell.libraries)) * (cell.judge_draws + cell.attack_draws)
    return (cell.stop - cell.start if cell.only is None else len(cell.only)) * (steps + judging)
