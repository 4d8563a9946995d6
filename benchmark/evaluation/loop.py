"""The only run loop: cells that are not stored yet are evaluated and stored, and a watcher is told of each.

It prints nothing and reads no command line: the watcher is handed in.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol

from benchmark.evaluation.machine import Machine
from benchmark.plan.roles import role_of
from benchmark.timing import Timing

if TYPE_CHECKING:
    from benchmark.attacks.craft import Adapter
    from benchmark.evaluation.evaluator import Evaluator
    from benchmark.evaluation.executors import Execute
    from benchmark.evaluation.outlook import Outlook
    from benchmark.plan.cells import Cell, Selection, Subject
    from benchmark.plan.suite import Suite
    from benchmark.records.record import Record
    from benchmark.records.store import Store
    from zoo import ZooEntry


class Watcher(Protocol):
    """What is told of a run while it goes on, and may show it; `Silent` shows nothing."""

    def __enter__(self) -> Watcher: ...

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None: ...

    def begin(self, cells: Sequence[Cell], waiting: Sequence[Cell]) -> None:
        """A phase begins: all its cells, and those among them that are not stored yet."""

    def settle(self) -> None:
        """No cells follow those that are known."""

    def start(self, cell: Cell) -> None:
        """A cell begins."""

    def finish(self, cell: Cell, record: Record | None = None) -> None:
        """A cell is done, here with its record, or by another process."""


class Silent:
    """A watcher that shows nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, cells: Sequence[Cell], waiting: Sequence[Cell]) -> None:
        pass

    def settle(self) -> None:
        pass

    def start(self, cell: Cell) -> None:
        pass

    def finish(self, cell: Cell, record: Record | None = None) -> None:
        pass


@dataclass(frozen=True)
class How:
    """Where and how cells are evaluated; nothing of it is part of a key.

    executor, workers, address: as for `executors.executing`; `auto` workers are as many as finish first, measured.
    adapters: by library, what runs its attacks in place of its own adapter, in this process alone.
    watch: makes the watcher, from the suite's name and the outlook.
    say: takes a line on what is random in a network from outside, or on an entry that is skipped. explicit: whether
    entries were asked for by name, so that missing data is a mistake and no reason to skip one.
    """

    machine: Machine = field(default_factory=Machine)
    executor: str = "local"
    workers: int | Literal["auto"] | None = None
    address: str | None = None
    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    watch: Callable[[str, Outlook], Watcher] = Silent
    say: Callable[[str], object] = lambda line: None
    explicit: bool = True

    @property
    def asked_workers(self) -> int | None:
        """None where it does not say how many."""
        return None if self.workers == "auto" else self.workers


@dataclass
class Run:
    """The records of a run, and where its time went. seconds: by the clock, while cells were evaluated.

    workers: how many processes evaluated them; None for a cluster.
    """

    records: list[Record]
    timing: Timing
    seconds: float
    workers: int | None


def run(suite: Suite, selection: Selection, entries: Sequence[ZooEntry], store: Store, how: How) -> Run:
    """Evaluate a suite on some entries; what the store holds already is not computed again.

    Raises ValueError for a selection that matches nothing, and what `Evaluator.subject` and `executing` raise.
    """
    from benchmark.evaluation.evaluator import Evaluator
    from benchmark.evaluation.executors import check_executor, executing

    check_executor(how.executor, how.asked_workers, how.address)
    by_name = {entry.name: entry for entry in entries}
    subjects = _with_data(entries, Evaluator(how.machine, how.adapters, by_name), how, selection.draws)
    machine = replace(how.machine, behaviours=behaviours(entries, subjects, store))
    evaluator = Evaluator(machine, how.adapters, by_name)
    fewest = min((subject.size for subject in subjects), default=suite.examples)
    if selection.examples is None and fewest < suite.examples:  # of a user's own images
        selection = replace(selection, examples=fewest)
    cells = suite.cells(subjects, selection)
    if not cells:
        raise ValueError("nothing to run: no cell matches the selection; see --list for what there is")
    keys = {evaluator.key(cell): cell for cell in cells}
    loop = _Loop(evaluator, store, how)
    outlook, workers = loop.outlook(suite, selection, subjects, keys)
    with (
        executing(evaluator, how.executor, workers, how.address) as execute,
        how.watch(suite.name, outlook) as watcher,
    ):
        loop.execute = execute
        loop.evaluate(keys, watcher)
        while more := _new(suite.follow_up(store.records(set(keys)), subjects, selection), evaluator, keys):
            loop.evaluate(more, watcher)
            keys |= more
        watcher.settle()
    found = [*store.records(set(keys)), *_outside(subjects, evaluator, store)]
    return Run(found, loop.timing, loop.seconds, None if how.executor == "ray" else workers or 1)


class _Loop:
    execute: Execute

    def __init__(self, evaluator: Evaluator, store: Store, how: How) -> None:
        self.evaluator, self.store, self.how = evaluator, store, how
        self.timing, self.seconds = Timing(), 0.0

    def evaluate(self, keys: Mapping[str, Cell], watcher: Watcher) -> None:
        """Store the record of every cell that has none yet; this process alone writes."""
        waiting = {key: cell for key, cell in keys.items() if not self._is_done(key, cell)}
        if again := sum(key in self.store for key in waiting):
            self.how.say(f"{again} stored cells without images are run again, to keep them")
        watcher.begin(list(keys.values()), list(waiting.values()))
        began = time.monotonic()
        with contextlib.closing(self.execute(self._work(waiting, watcher))) as results:
            for record, spent, images in results:
                with self.timing.measuring("store"):
                    self.store.put(record, images)
                self.timing.add(spent)
                watcher.finish(record.cell, record)
        self.seconds += time.monotonic() - began

    def _is_done(self, key: str, cell: Cell) -> bool:
        """Whether its record is stored, and its images where they are to be kept."""
        keeps = self.how.machine.keep_images and role_of(cell).counts_in_worst_case
        return key in self.store and (not keeps or self.store.has_images(key))

    def _work(self, waiting: Mapping[str, Cell], watcher: Watcher) -> Iterator[tuple[str, Cell]]:
        for key, cell in waiting.items():
            if self._is_done(key, cell):  # another process may have finished it meanwhile
                watcher.finish(cell)
            else:
                watcher.start(cell)
                yield key, cell

    def outlook(
        self, suite: Suite, selection: Selection, subjects: Sequence[Subject], keys: Mapping[str, Cell]
    ) -> tuple[Outlook, int | None]:
        """What estimates the time left, from what was measured on this machine before; and how many processes work."""
        from benchmark.evaluation.executors import threads_of
        from benchmark.evaluation.outlook import Outlook
        from benchmark.evaluation.placing import chosen_workers
        from benchmark.evaluation.probe import forecast_for
        from benchmark.plan.survival import Survival

        store, how = self.store, self.how
        waiting = [cell for key, cell in keys.items() if not self._is_done(key, cell)]
        survival, follow_up = Survival(), partial(suite.expected_follow_up, subjects, selection)
        if follow_up(survival):
            stored = list(store.records({key for key in keys if key in store}))
            for record in stored:
                survival.learn(record)
            if not waiting:  # a run that was stopped in the second phase
                more = suite.follow_up(stored, subjects, selection)
                waiting = [cell for cell in more if not self._is_done(self.evaluator.key(cell), cell)]
        workers: int | None
        if how.workers == "auto" and how.executor == "local" and how.machine.threads is None:
            expected = follow_up(survival)
            workers, forecast = chosen_workers(
                subjects,
                waiting,
                self.evaluator,
                store,
                lambda forecast: sum(times * forecast.seconds(cell) for cell, times in expected),
            )
        else:
            workers = how.asked_workers
            threads = threads_of(how.machine, how.executor, workers)
            forecast = forecast_for(subjects, waiting, self.evaluator, threads, store)
        at_once = workers if how.executor == "ray" else workers or 1  # a cluster shows how many it runs
        return Outlook(forecast, at_once, follow_up, survival), workers


def _new(cells: Sequence[Cell], evaluator: Evaluator, known: Mapping[str, Cell]) -> dict[str, Cell]:
    keys = {evaluator.key(cell): cell for cell in cells}
    return {key: cell for key, cell in keys.items() if key not in known}


def _with_data(entries: Sequence[ZooEntry], evaluator: Evaluator, how: How, attack_draws: int | None) -> list[Subject]:
    """The entries whose data are at hand; `how.say` is told of the others, and what was found in networks from outside.

    Raises DataNotFoundError for an entry that was asked for by name.
    """
    from zoo.datasets import DataNotFoundError

    found: list[Subject] = []
    skipped: dict[str, list[str]] = {}
    for entry in entries:
        try:
            subject = evaluator.subject(entry)
        except DataNotFoundError as error:
            if how.explicit:
                raise
            skipped.setdefault(str(error), []).append(entry.name)
            continue
        found.append(subject)
        if entry.is_external:
            how.say(f"{entry.name}: {subject.found}{_used(subject, attack_draws)}")
    for reason, names in skipped.items():
        how.say(f"skipping {', '.join(names)}: {reason}")
    return found


def _used(subject: Subject, attack_draws: int | None) -> str:
    """How many networks attack and judge, in words."""
    attacker, judge = subject.draws(attack_draws)
    if subject.members in (attacker, None):
        drawn = f"{attacker} draws, judged by {judge}"
        return (
            "" if subject.deterministic else f"; attacked through {drawn if subject.members is None else 'all of them'}"
        )
    return f"; attacked through {attacker} of them, judged by all"


def _outside(subjects: Sequence[Subject], evaluator: Evaluator, store: Store) -> Iterator[Record]:
    """What is stored of images that were made elsewhere against these very networks, on these very data."""
    for record in store.records({key for subject in subjects for key in store.outside(subject.model)}):
        if evaluator.identity(record.cell).items() <= record.fingerprints.items():
            yield record


def behaviours(
    entries: Sequence[ZooEntry], subjects: Sequence[Subject], store: Store
) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """Name and first stored behaviour of every evaluated entry from outside the zoo."""
    names = {subject.model for subject in subjects}
    return tuple(
        (entry.name, store.recognised(entry.name, entry.fingerprint, entry.behaviour()))
        for entry in entries
        if entry.is_external and entry.name in names
    )
