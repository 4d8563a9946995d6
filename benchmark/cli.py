"""What commands share: options to selections and entries, one call that runs, and what is said at the end."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from benchmark.plan.cells import Selection, large_eps
from benchmark.plan.variants import with_settings
from benchmark.plan.wanted import Wanted, wanted
from zoo.kind import Said
from zoo.numbers import number, numbers

if TYPE_CHECKING:
    from benchmark.attacks.spec import ThreatModel
    from benchmark.evaluation.loop import How
    from benchmark.plan.suite import Suite
    from benchmark.records.record import Record
    from zoo import ZooEntry


def split(values: Sequence[str] | None) -> tuple[str, ...] | None:
    """Repeated options and comma-separated ones alike."""
    return tuple(part.strip() for value in values for part in value.split(",")) if values else None


def parsed_eps(values: Sequence[str]) -> tuple[float, ...] | dict[str, tuple[float, ...]] | None:
    """`0.1,8/255` for every norm; `linf=8/255` and `l2=0.5,1` norm by norm. Raises ValueError for anything else."""
    by_norm: dict[str, tuple[float, ...]] = {}
    for value in values:
        norm, _, radii = value.rpartition("=")
        by_norm[norm] = by_norm.get(norm, ()) + numbers(map(str.strip, radii.split(",")), "--eps")
    if "" in by_norm and len(by_norm) > 1:
        raise ValueError(f"--eps {' --eps '.join(values)}: name the norm of each, as in --eps linf=8/255 --eps l2=0.5")
    return by_norm.get("", by_norm or None)


def parsed_workers(text: str) -> int | Literal["auto"]:
    """A number of processes, or `auto`. Raises ValueError for anything else."""
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"--workers must be auto or a number of processes, not {text}") from None


def wanted_attacks(
    names: tuple[str, ...] | None, steps: int | None, step_size: str | None, restarts: int | None
) -> Wanted:
    """The attacks that options name, those that have the settings with them. Raises ValueError as `wanted` does."""
    if steps is None and step_size is None and restarts is None:
        return wanted(names)
    own = [name for name in names or () if ":" in name]
    ours = None if names is None else tuple(name for name in names if name not in own)
    size = None if step_size is None else number(step_size, "--step-size")
    return wanted([*with_settings(ours, steps, size, restarts), *own])


def threat_model(norm: str, eps: str) -> ThreatModel:
    """A norm and a radius such as 0.3 or 8/255. Raises ValueError unless the radius is above 0."""
    from benchmark.attacks.spec import ThreatModel

    threat = ThreatModel(norm, number(eps, "--eps"))  # type: ignore[arg-type]
    if threat.eps == 0:
        raise ValueError("--eps 0: only the original is in that ball")
    return threat


def own_name(name: str) -> str:
    """A name in place of a library's. Raises ValueError for that of a library, and for one that is no word."""
    from benchmark.protocol import LIBRARIES

    if name in LIBRARIES or not re.fullmatch(r"[\w.-]+", name):
        raise ValueError(f"--name {name!r}: choose a word of letters, digits, '.', '-' and '_', and no library's name")
    return name


def warn_of_large_eps(selection: Selection, datasets: Sequence[str] | None) -> None:
    """See `benchmark.plan.cells.large_eps`. datasets: those that a command is about, where it names any."""
    from zoo.datasets import dataset_spec

    defaults = [dataset_spec(name).eps for name in datasets or ()] or [{}]
    for line in dict.fromkeys(line for default in defaults for line in large_eps(selection, default)):
        typer.secho(f"warning: {line}", fg="yellow", err=True)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM, which schedulers send, end a command with exit status 130 and how to go on."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        typer.secho("\ninterrupted; what was finished is stored, the same command goes on from there", err=True)
        raise typer.Exit(130) from None


def carry_out(
    suite: Suite, selection: Selection, entries: Sequence[ZooEntry], how: How, store: Path, *, profile: bool = False
) -> list[Record]:
    """Evaluate the cells that the store at that path does not hold yet; the records of all cells.

    profile: whether to print where the time went.
    """
    from benchmark.records.store import Store
    from benchmark.reports.console import print_closed_form, print_profile

    with Store(store) as opened:  # before torch is imported: an unwritable store should not cost that time
        from benchmark.evaluation.loop import run

        if suite.name == "smoke":
            print_closed_form(selection.libraries)
        done = run(suite, selection, entries, opened, how)
    if profile:
        print_profile(done.timing, done.seconds, done.workers)
    return done.records


def stored_images(store: Path, records: Sequence[Record]) -> dict[str, bytes]:
    """What is kept of the records' images in the store at that path; see `benchmark.records.images`."""
    from benchmark.records.store import Store

    with Store(store) as opened:
        return opened.images(record.key for record in records)


def select_entries(
    suite: Suite, names: tuple[str, ...] | None, datasets: tuple[str, ...] | None, said: Said = Said()
) -> list[ZooEntry]:
    """The zoo entries that a command is about. said: of networks that are not registered, if there are any.

    Raises ValueError or KeyError with the remedy if there is none.
    """
    from zoo import models
    from zoo.catalogue.registry import find_entry, require_registration
    from zoo.datasets import dataset_spec

    for dataset in datasets or ():
        dataset_spec(dataset)
    if names is not None:
        entries = [find_entry(name, _only(datasets), said) for name in names]
    else:
        entries = [entry for entry in models.values() if suite.models is None or entry.name in suite.models]
        for name in suite.models or ():
            if name not in models:
                typer.secho(f"skipping {name}: suite {suite.name} asks for it, the zoo does not have it yet", err=True)
    if not any(":" in name for name in names or ()):  # nothing to say it of
        for entry in entries:
            require_registration(entry, said)
    entries = [entry for entry in entries if datasets is None or entry.dataset in datasets]
    if not entries:
        raise ValueError(
            f"no zoo entry for suite {suite.name} on {', '.join(datasets or ('any data set',))}; see --list"
        )
    return list(dict.fromkeys(entries))


def own_data(data: str | None, size: int | None) -> tuple[str, int | None] | None:
    """The folder or function that holds a user's images, and their size. Raises ValueError for a size alone."""
    if data is None and size is not None:
        raise ValueError(f"--size {size} is for images in a folder: add --data FOLDER")
    if data is None or ":" in data:
        return None if data is None else (data, size)
    return str(Path(data).resolve()), size  # another process may be elsewhere


def select_datasets(names: Sequence[str] | None, own: tuple[str, int | None] | None) -> tuple[str, ...] | None:
    """The data sets that a command is about: a user's own alone, where there is one, which is known from then on."""
    from zoo.datasets import DATASETS

    if own is None:
        return split(names)
    if names:
        raise ValueError(f"--dataset {','.join(names)} and --data {own[0]}: give one of the two")
    return (DATASETS.named_by(*own),)


def external(
    names: tuple[str, ...] | None, datasets: tuple[str, ...] | None, said: Said = Said()
) -> tuple[tuple[str, str | None, Said], ...]:
    """`package.module:factory`, data set and what is said of the entries that are not in the zoo."""
    return tuple((name, _only(datasets), said) for name in names or () if ":" in name)


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
