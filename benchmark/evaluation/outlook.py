"""What a run has done and has still to do, and how long that takes. Pure but for the clock that it is given."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from benchmark.evaluation.forecast import Forecast, alike, seconds_of
from benchmark.plan.cells import Cell
from benchmark.plan.survival import Expected, Survival

if TYPE_CHECKING:
    from benchmark.records.record import Record

_OVERDUE = 0.1  # share of a late cell's time so far that it is expected to take longer
_IMPORTS, _PROCESS = 2.0, 4.0  # seconds until a process has the libraries, and until there is one with torch in it
_LOOKING = 0.05  # share of a run's time that may be spent on estimating which cells follow


class Outlook:
    """Counts cells and estimates the seconds left, over all phases of a run. May be read while another thread writes.

    forecast: of single cells. workers: how many run at once; None where it shows when they run.
    follow_up: the cells that are likely to follow, given how many images survived so far.
    survival: of the images in the records that are stored already.
    """

    def __init__(
        self,
        forecast: Forecast,
        workers: int | None = 1,
        follow_up: Callable[[Survival], Sequence[Expected]] | None = None,
        survival: Survival | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._forecast, self._workers, self._clock, self._lock = forecast, workers, clock, threading.RLock()
        self.total = self.done = 0
        self._waiting: dict[object, dict[Cell, None]] = defaultdict(dict)  # by `alike`
        self._running: dict[Cell, float] = {}
        self._at_once = 0
        self._first: set[Cell] = set()  # cells that a process begins with: it imports the libraries in them
        self._loading: set[Cell] = set()  # cells that an entry begins with: its weights are loaded in them
        self._started = Counter[str]()  # cells by entry
        self._fresh, self._began = True, clock()
        self._start_up = _IMPORTS if workers == 1 else _IMPORTS + _PROCESS  # until it is measured
        self._follow_up, self._survival = follow_up, survival or Survival()
        self._expected: Sequence[Expected] = () if follow_up is None else follow_up(self._survival)
        self._next_look = 0.0
        self._met: set[object] = set()  # of the attacks that were expected, those whose cells are known

    def add(self, cells: Sequence[Cell], waiting: Iterable[Cell]) -> None:
        """Take in a phase: all its cells, and those among them that are not stored yet."""
        with self._lock:
            to_do = list(waiting)
            self.total += len(cells)
            self.done += len(cells) - len(to_do)
            for cell in to_do:
                self._waiting[alike(cell)][cell] = None
            self._met |= {_attack(cell) for cell in cells}
            self._expected = self._still_to_come(self._expected)
            if self._fresh:
                self._began = self._clock()

    def settle(self) -> None:
        """Expect no further cells: all that will come are known, or are added now."""
        with self._lock:
            self._expected, self._follow_up = (), None

    def start(self, cell: Cell) -> None:
        """Note that a cell runs now."""
        with self._lock:
            self._waiting[alike(cell)].pop(cell, None)
            self._running[cell] = self._clock()
            self._at_once = max(self._at_once, len(self._running))
            self._started[cell.model] += 1
            if self._started[cell.model] <= self._at_once:
                self._loading.add(cell)
            if self._fresh:
                self._first.add(cell)

    def finish(self, cell: Cell, record: Record | None = None) -> float | None:
        """Count a cell that is done. Returns the seconds since it was started; None if another process did it."""
        with self._lock:
            self._waiting[alike(cell)].pop(cell, None)
            began = self._running.pop(cell, None)
            self.done += 1
            if record is not None:
                self._learn(cell, record)
                self._look_ahead(record)
            return None if began is None else self._clock() - began

    def left(self) -> float:
        """Seconds until all is done, the cells that are expected to follow included."""
        with self._lock:
            at_once = max(1, self._at_once, self._workers or 1)
            known = [
                (self._forecast.seconds(next(iter(cells))), len(cells)) for cells in self._waiting.values() if cells
            ]
            known += [(self._remaining(cell, began), 1) for cell, began in self._running.items()]
            left = _span(known, at_once)
            if known and self._fresh:
                left += max(0.0, self._start_up - (self._clock() - self._began))
            if self._expected:
                later = [(self._forecast.seconds(cell), times) for cell, times in self._expected]
                left += _span(later, at_once)
            return left

    @property
    def ahead(self) -> int:
        """How many cells are expected to follow those that are known."""
        with self._lock:
            return round(sum(times for _, times in self._expected))

    @property
    def running(self) -> list[Cell]:
        """The cells that are evaluated now, longest first."""
        with self._lock:
            return list(self._running)

    def by_entry(self) -> dict[str, float]:
        """Entry -> seconds of work left, the cells that are expected to follow included."""
        found: dict[str, float] = defaultdict(float)
        with self._lock:
            for cells in self._waiting.values():
                for cell in list(cells)[:1]:
                    found[cell.model] += len(cells) * self._forecast.seconds(cell)
            for cell, times in self._expected:
                found[cell.model] += times * self._forecast.seconds(cell)
        return dict(found)

    def _learn(self, cell: Cell, record: Record) -> None:
        spent = seconds_of(record)
        if spent is None:
            return
        if self._fresh:
            since = self._clock() - self._began
            self._fresh, self._start_up = False, max(0.0, since - self._forecast.seconds(cell))
        attack, rest = spent
        self._forecast.learn(cell, attack, None if cell in self._first | self._loading else rest)

    def _look_ahead(self, record: Record) -> None:
        """Estimate again which cells follow; the longer an estimate takes, the less often."""
        if self._follow_up is None:
            return
        self._survival.learn(record)
        if (began := self._clock()) >= self._next_look:
            self._expected = self._still_to_come(self._follow_up(self._survival))
            self._next_look = self._clock() + (self._clock() - began) / _LOOKING

    def _still_to_come(self, expected: Sequence[Expected]) -> list[Expected]:
        return [each for each in expected if _attack(each.cell) not in self._met]

    def _remaining(self, cell: Cell, began: float) -> float:
        spent = self._clock() - began
        if cell in self._first:
            spent = max(0.0, spent - self._start_up)
        return max(self._forecast.seconds(cell) - spent, _OVERDUE * spent)


def _attack(cell: Cell) -> object:
    """What cells of one attack on one entry have in common: of the first images, and of those after, known together."""
    return cell.model, cell.attack, cell.libraries, cell.attack_draws, cell.reading, cell.start > 0


def _span(works: Sequence[tuple[float, float]], at_once: int) -> float:
    """Seconds that works take, each (seconds, how many such), with `at_once` of them side by side; none is divided."""
    total = sum(seconds * times for seconds, times in works)
    return max(total / at_once, max((seconds * min(1.0, times) for seconds, times in works), default=0.0))
