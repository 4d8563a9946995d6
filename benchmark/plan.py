"""A run: from a suite and a selection to records, by way of the store."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

if TYPE_CHECKING:
    from benchmark.cells import Selection
    from benchmark.loop import Watcher
    from benchmark.machine import Machine
    from benchmark.outlook import Outlook
    from benchmark.record import Record
    from benchmark.suites import Suite
    from zoo import ZooEntry


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

    def carry_out(self, path: Path, shown: Callable[[str, Outlook], Watcher] | None = None) -> list[Record]:
        """Evaluate what is not stored at `path` yet; the records of all that was asked for.

        shown: what a person sees meanwhile, from the suite's name and the outlook; `Progress` by default.
        """
        from benchmark.console import print_closed_form, print_profile
        from benchmark.progress import Progress
        from benchmark.store import Store

        with Store(path) as store:  # before torch is imported: an unwritable store should not cost that time
            from benchmark.loop import How, run

            if self.suite.name == "smoke":
                print_closed_form(self.selection.libraries)
            how = How(
                machine=self.machine,
                executor=self.executor,
                workers=self.workers,
                address=self.ray_address,
                watch=shown or Progress,
                say=partial(typer.secho, err=True),
                explicit=self.explicit,
            )
            done = run(self.suite, self.selection, self.entries, store, how)
        if self.profile:
            print_profile(done.timing, done.seconds, None if self.executor == "ray" else self.workers or 1)
        return done.records


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


def print_errors(records: list[Record]) -> int:
    """Say which libraries failed where; the number of cells with an error."""
    failed = 0
    for record in records:
        failed += not record.complete
        for library, outcome in record.outcomes.items():
            if outcome.error is not None:
                typer.secho(f"{library} failed on {record.cell.label}: {outcome.error}", fg="red", err=True)
    return failed
