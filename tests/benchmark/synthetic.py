"""Runs that never happened: cells whose seconds are made up, on a clock that jumps."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from benchmark.evaluation.outlook import Outlook
from benchmark.plan.cells import Cell
from benchmark.records.record import Record
from tests.benchmark.handmade import make


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def measured(cell: Cell, attack: float, rest: float, stands: Callable[[int], bool] = lambda _: True) -> Record:
    """A cell's record with so many seconds; an image stands where `stands` says so of its position."""
    positions = list(range(cell.start, cell.stop)) if cell.only is None else list(cell.only)
    survivors = [stands(position) for position in positions]
    record = make(cell.model, "fgsm", 0.1, dict.fromkeys(cell.libraries, survivors))
    outcomes = {
        library: dataclasses.replace(outcome, seconds=attack / len(cell.libraries))
        for library, outcome in record.outcomes.items()
    }
    provenance = {**record.provenance, "seconds": attack + rest}
    return dataclasses.replace(record, cell=cell, examples=positions, outcomes=outcomes, provenance=provenance)


def simulated(
    outlook: Outlook,
    clock: Clock,
    first: Iterable[Cell],
    follow_up: Callable[[list[Record]], Iterable[Cell]],
    record_of: Callable[[Cell], Record],
    workers: int = 1,
) -> list[tuple[float, float]]:
    """Run phase after phase, each from the records of those before, until no new cells come.

    Returns (now, seconds left as told) at every finished cell.
    """
    told: list[tuple[float, float]] = []
    records: list[Record] = []
    known = dict.fromkeys(first)
    cells = list(known)
    while cells:
        outlook.add(cells, cells)
        waiting, running = deque(cells), dict[Cell, float]()
        while waiting or running:
            while waiting and len(running) < workers:
                cell = waiting.popleft()
                running[cell] = clock.now + float(record_of(cell).provenance["seconds"])
                outlook.start(cell)
            cell = min(running, key=running.__getitem__)
            clock.now = running.pop(cell)
            records.append(record_of(cell))
            outlook.finish(cell, records[-1])
            told.append((clock.now, outlook.left()))
        cells = [cell for cell in follow_up(records) if cell not in known]
        known |= dict.fromkeys(cells)
    outlook.settle()
    return told


def ratio_at(told: Sequence[tuple[float, float]], began: float, share: float) -> float:
    """Told over true time left, when the first cell was finished after that share of a run's duration."""
    end = told[-1][0]
    now, left = next(pair for pair in told if pair[0] - began >= share * (end - began))
    return left / (end - now)
