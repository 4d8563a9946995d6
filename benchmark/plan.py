"""A run: from a suite and a selection to records, by way of the store."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

if TYPE_CHECKING:
    from benchmark.cells import Cell, Selection, Subject
    from benchmark.evaluate import Evaluator
    from benchmark.machine import Machine
    from benchmark.progress import Progress
    from benchmark.record import Record
    from benchmark.store import Store
    from benchmark.suites import Suite
    from zoo import ZooEntry
    from zoo.behaviour import Behaviour


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C, and SIGTERM, which schedulers send, end a command with a line of comfort and exit status 130."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        typer.secho("\ninterrupted; what was finished is stored, the same command goes on from there", err=True)
        raise typer.Exit(130) from None


class Plan(NamedTuple):
    """What a run is about and how it goes, as a command line says it. explicit: entries were asked for by name."""

    suite: Suite
    selection: Selection
    entries: list[ZooEntry]
    machine: Machine
    explicit: bool = True
    executor: str = "local"
    workers: int | None = None
    ray_address: str | None = None
    profile: bool = False

    def carry_out(self, path: Path) -> list[Record]:
        """Evaluate what is not stored at `path` yet; the records of all that was asked for."""
        from benchmark.console import print_closed_form
        from benchmark.store import Store

        with Store(path) as store:  # before torch is imported: an unwritable store should not cost that time
            from benchmark.executors import evaluator_on

            evaluator_on.cache_clear()  # an own network may have been trained on since the last run
            subjects = _with_data(self.entries, evaluator_on(self.machine), self.explicit)
            machine = replace(self.machine, behaviours=_behaviours(self.entries, subjects, store))
            self, evaluator = self._replace(machine=machine), evaluator_on(machine)  # noqa: PLW0642
            cells = self.suite.cells(subjects, self.selection)
            if not cells:
                raise ValueError("nothing to run: no cell matches the selection; see --list for what there is")
            if self.suite.name == "smoke":
                print_closed_form(self.selection.libraries)
            keys = {evaluator.key(cell): cell for cell in cells}
            with self._progress(keys, subjects, store) as progress:
                self._evaluate(keys, store, progress)
                more = self.suite.follow_up(store.records(set(keys)), subjects, self.selection)
                progress.settle()
                if more:
                    following = {evaluator.key(cell): cell for cell in more}
                    self._evaluate(following, store, progress)
                    keys |= following
            return list(store.records(set(keys)))

    def _progress(self, keys: dict[str, Cell], subjects: list[Subject], store: Store) -> Progress:
        """What tells the time left, from what was measured on this machine before."""
        from benchmark.executors import evaluator_on
        from benchmark.outlook import Outlook
        from benchmark.probe import forecast_for, threads_of
        from benchmark.progress import Progress
        from benchmark.survival import Survival

        waiting = [cell for key, cell in keys.items() if key not in store]
        met, follow_up = Survival(), partial(self.suite.expected_follow_up, subjects, self.selection)
        if follow_up(met):
            stored = list(store.records({key for key in keys if key in store}))
            for record in stored:
                met.learn(record)
            if not waiting:  # a run that was stopped in the second phase
                more, key_of = self.suite.follow_up(stored, subjects, self.selection), evaluator_on(self.machine).key
                waiting = [cell for cell in more if key_of(cell) not in store]
        threads = threads_of(self.machine, self.executor, self.workers)
        forecast = forecast_for(subjects, waiting, self.machine, threads, store)
        return Progress(self.suite.name, Outlook(forecast, self._at_once, follow_up, met))

    @property
    def _at_once(self) -> int | None:
        """How many cells are evaluated at once; None where that is the cluster's to say."""
        return self.workers if self.executor == "ray" else self.workers or 1

    def _evaluate(self, keys: dict[str, Cell], store: Store, progress: Progress) -> None:
        """Store the record of every cell that has none yet; this process alone writes."""
        from benchmark.console import print_profile
        from benchmark.executors import execute
        from benchmark.timing import Timing

        waiting = {key: cell for key, cell in keys.items() if key not in store}
        progress.begin(list(keys.values()), list(waiting.values()))
        if not waiting:  # no cluster is started for nothing
            return
        timing, began = Timing(), time.monotonic()

        def work() -> Iterator[tuple[str, Cell]]:
            for key, cell in waiting.items():
                if key in store:  # another process may have finished it meanwhile
                    progress.finish(cell)
                else:
                    progress.start(cell)
                    yield key, cell

        results = execute(work(), self.machine, self.executor, self.workers, self.ray_address)
        with contextlib.closing(results):
            for record, spent in results:
                with timing.measuring("store"):
                    store.put(record)
                timing.add(spent)
                progress.finish(record.cell, record)
        if self.profile:
            print_profile(timing, time.monotonic() - began, None if self.executor == "ray" else self.workers or 1)


def select_entries(
    suite: Suite, names: tuple[str, ...] | None, datasets: tuple[str, ...] | None, family: str | None = None
) -> list[ZooEntry]:
    """The zoo entries that a command is about. family: of a network that does not say its own.

    Raises ValueError or KeyError with the remedy if there is none.
    """
    from zoo import models
    from zoo.datasets import dataset_spec
    from zoo.registry import find_entry

    for dataset in datasets or ():
        dataset_spec(dataset)
    if names is not None:
        entries = [find_entry(name, _only(datasets), family) for name in names]
    else:
        entries = [entry for entry in models.values() if suite.models is None or entry.name in suite.models]
        for name in suite.models or ():
            if name not in models:
                typer.secho(f"skipping {name}: suite {suite.name} asks for it, the zoo does not have it yet", err=True)
    entries = [entry for entry in entries if datasets is None or entry.dataset in datasets]
    if not entries:
        raise ValueError(
            f"no zoo entry for suite {suite.name} on {', '.join(datasets or ('any data set',))}; see --list"
        )
    return list(dict.fromkeys(entries))


def external(
    names: tuple[str, ...] | None, datasets: tuple[str, ...] | None, family: str | None = None
) -> tuple[tuple[str, str | None, str | None], ...]:
    """`package.module:factory`, data set and family of the entries that are not in the zoo."""
    return tuple((name, _only(datasets), family) for name in names or () if ":" in name)


def _only(datasets: tuple[str, ...] | None) -> str | None:
    """The data set of a network that does not say its own."""
    return datasets[0] if datasets and len(datasets) == 1 else None


def _with_data(entries: list[ZooEntry], evaluator: Evaluator, explicit: bool) -> list[Subject]:
    """The entries whose data are at hand; the others are named.

    Raises DataNotFoundError for an entry that was asked for by name.
    """
    from zoo.datasets import DataNotFoundError

    found: list[Subject] = []
    skipped: dict[str, list[str]] = {}
    for entry in entries:
        try:
            subject = evaluator.subject(entry)
            found.append(subject)
            if entry.is_external:
                what = f"averaged over {subject.averaged_over}" if subject.averaged_over else "one network, none random"
                typer.echo(f"{entry.name}: {what}")
        except DataNotFoundError as error:
            if explicit:
                raise
            skipped.setdefault(str(error), []).append(entry.name)
    for reason, names in skipped.items():
        typer.secho(f"skipping {', '.join(names)}: {reason}", fg="yellow", err=True)
    return found


def _behaviours(entries: list[ZooEntry], subjects: list[Subject], store: Store) -> tuple[tuple[str, Behaviour], ...]:
    """Of the entries from outside the zoo that are evaluated, as the store met them first."""
    names = {subject.model for subject in subjects}
    return tuple(
        (entry.name, store.recognised(entry.name, entry.fingerprint, entry.behaviour()))
        for entry in entries
        if entry.is_external and entry.name in names
    )


def print_errors(records: list[Record]) -> int:
    """Say which libraries failed where; the number of cells with an error."""
    failed = 0
    for record in records:
        failed += not record.complete
        for library, outcome in record.outcomes.items():
            if outcome.error is not None:
                typer.secho(f"{library} failed on {record.cell.label}: {outcome.error}", fg="red", err=True)
    return failed
