"""The main job: `python -m benchmark.run --suite whitebox`. Suite -> cells -> evaluate -> store -> table."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from zoo.commands import mistakes_in_one_line

if TYPE_CHECKING:
    from benchmark.evaluate import Evaluator
    from benchmark.machine import Machine
    from benchmark.record import Record
    from benchmark.store import Store
    from benchmark.suites import Cell, Selection, Subject, Suite
    from zoo import ZooEntry

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

Many = list[str] | None  # options that may be repeated, or hold several values with commas


@app.command()
@mistakes_in_one_line()
def run(
    suite: Annotated[
        str, typer.Option(help="What to run: smoke, whitebox, paper, masking, anchors. See --list.")
    ] = "whitebox",
    model: Annotated[
        Many, typer.Option(help="Zoo entry such as mnist/lenet, or your own as package.module:factory. All by default.")
    ] = None,
    dataset: Annotated[Many, typer.Option(help="Only entries on this data set.")] = None,
    library: Annotated[Many, typer.Option(help="torchattacks, foolbox, art. All by default.")] = None,
    attack: Annotated[Many, typer.Option(help="fgsm, bim, pgd-linf, pgd-l2. All by default.")] = None,
    eps: Annotated[Many, typer.Option(help="Radius of the ball in pixels from 0 to 1, such as 0.3 or 8/255.")] = None,
    examples: Annotated[int | None, typer.Option(help="Test images; the first of a fixed random order.")] = None,
    draws: Annotated[
        int | None, typer.Option(help="Posterior draws of the attacker. The judge has its own 64.")
    ] = None,
    seed: Annotated[int, typer.Option(help="What draws and random starts are derived from.")] = 0,
    target: Annotated[
        Many,
        typer.Option(
            help="What the attacker's gradient is of: expected, single-draw, resampled, mean-loss, ... "
            "By default what the suite is about."
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="Arithmetic of the attacker's gradients: float32 or bfloat16. The judge has float32.")
    ] = "float32",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    data_root: Annotated[Path | None, typer.Option(help="Folder with data sets beside the bundled MNIST test.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch missing data through torchvision.")] = False,
    share: Annotated[bool, typer.Option(help="Compute a gradient that several libraries ask for once.")] = True,
    stack: Annotated[bool, typer.Option(help="Evaluate many draws in one pass where the network allows it.")] = True,
    executor: Annotated[str, typer.Option(help="Where cells are evaluated: local or ray.")] = "local",
    workers: Annotated[
        int | None, typer.Option(help="Cells at once: processes on this machine, or tasks on the cluster.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of each process. Results are the same to the last digit for the same.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="A running Ray cluster, such as auto or host:6379. Starts one here by default.")
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Say at the end where the time went.")] = False,
    store: Annotated[Path, typer.Option(help="Results file; what is in it is not computed again.")] = Path(
        "results.sqlite"
    ),
    list_: Annotated[
        bool, typer.Option("--list", help="Show suites, entries, attacks and libraries, and exit.")
    ] = False,
) -> None:
    """Attack zoo entries with three libraries, verify, compare, store, and print the ranking.

    **Examples**

    `python -m benchmark.run --suite smoke`: does everything work? Half a minute.

    `python -m benchmark.run --suite whitebox`: the main job on the bundled MNIST entries.

    `python -m benchmark.run --model my_package.nets:bayesian_net --dataset mnist`: your own network.

    `python -m benchmark.run --attack pgd-linf --eps 0.1,0.2 --examples 1000`: part of it, larger.

    `python -m benchmark.run --executor ray --ray-address auto`: on a cluster.

    Stop it at any moment; the same command goes on where it stopped. Then `python -m benchmark.leaderboard` writes
    the pages. Exit status: 0 if every cell was evaluated, 1 if a library failed on one, 2 for a mistake in the
    command, 130 if interrupted.
    """
    from benchmark.machine import Machine
    from benchmark.suites import SUITES, Selection
    from zoo.registry import lookup

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what schedulers send: end as on Ctrl-C
    try:
        if threads is not None and threads < 1:
            raise ValueError(f"--threads must be at least 1, not {threads}")
        if list_:
            _print_list(data_root)
            return
        chosen = lookup(SUITES, suite, "suite")
        radii = _split(eps)
        selection = Selection(
            attacks=_split(attack),
            eps=None if radii is None else tuple(_number(text) for text in radii),
            libraries=_split(library),
            examples=examples,
            draws=draws,
            seed=seed,
            targets=_split(target),  # type: ignore[arg-type]
            precision=precision,  # type: ignore[arg-type]
        )
        names, datasets = _split(model), _split(dataset)
        entries = select_entries(chosen, names, datasets)
        machine = Machine(
            device,
            None if data_root is None else data_root.resolve(),  # another process may be elsewhere
            download,
            threads,
            share,
            None if stack else False,
            external(names, datasets),
        )
        plan = _Plan(chosen, selection, entries, names is not None, machine, executor, workers, ray_address, profile)
        failed = _run(plan, store)
    except KeyboardInterrupt:
        typer.secho("\ninterrupted; what was finished is stored, the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(1 if failed else 0)


class _Plan(NamedTuple):
    """What a run is about and how it goes, as the command line says it."""

    suite: Suite
    selection: Selection
    entries: list[ZooEntry]
    explicit: bool  # whether entries were asked for by name
    machine: Machine
    executor: str
    workers: int | None
    ray_address: str | None
    profile: bool


def _run(plan: _Plan, path: Path) -> int:
    """Evaluate what is not stored yet and print the ranking; the number of cells with an error."""
    from benchmark.console import print_boards, print_closed_form
    from benchmark.store import Store

    with Store(path) as store:  # before torch is imported: an unwritable store should not cost that time
        from benchmark.executors import evaluator_on

        evaluator = evaluator_on(plan.machine)
        subjects = _with_data(plan.entries, evaluator, plan.explicit)
        cells = plan.suite.cells(subjects, plan.selection)
        if not cells:
            raise ValueError("nothing to run: no cell matches the selection; see --list for what there is")
        keys = {evaluator.key(cell): cell for cell in cells}
        if plan.suite.name == "smoke":
            print_closed_form(plan.selection.libraries)
        _evaluate(plan, keys, {subject.model: subject.cost for subject in subjects}, store)
        records = list(store.records(set(keys)))
    print_boards(records)
    return _print_errors(records)


def _evaluate(plan: _Plan, keys: dict[str, Cell], costs: dict[str, int], store: Store) -> None:
    """Store the record of every cell that has none yet; this process alone writes."""
    from benchmark.console import Progress, print_profile
    from benchmark.executors import execute
    from benchmark.timing import Timing

    waiting = {key: cell for key, cell in keys.items() if key not in store}
    timing, began = Timing(), time.monotonic()

    def work() -> Iterator[tuple[str, Cell]]:
        for key, cell in waiting.items():
            if key in store:  # another process may have finished it meanwhile
                progress.finish(cell)
            else:
                progress.start(cell)
                yield key, cell

    with Progress(plan.suite.name, list(keys.values()), list(waiting.values()), costs) as progress:
        results = execute(work(), plan.machine, plan.executor, plan.workers, plan.ray_address)
        if not waiting:  # no cluster is started for nothing
            return
        with contextlib.closing(results):
            for record, spent in results:
                with timing.measuring("store"):
                    store.put(record)
                timing.add(spent)
                progress.finish(record.cell)
    if plan.profile:
        print_profile(timing, time.monotonic() - began, None if plan.executor == "ray" else plan.workers or 1)


def select_entries(suite: Suite, names: tuple[str, ...] | None, datasets: tuple[str, ...] | None) -> list[ZooEntry]:
    """The zoo entries that a command is about. Raises ValueError or KeyError with the remedy if there is none."""
    from zoo import models
    from zoo.datasets import dataset_spec
    from zoo.registry import find_entry

    for dataset in datasets or ():
        dataset_spec(dataset)
    if names is not None:
        entries = [find_entry(name, _only(datasets)) for name in names]
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


def external(names: tuple[str, ...] | None, datasets: tuple[str, ...] | None) -> tuple[tuple[str, str | None], ...]:
    """`package.module:factory` and data set of the entries that are not in the zoo."""
    return tuple((name, _only(datasets)) for name in names or () if ":" in name)


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
            found.append(evaluator.subject(entry))
        except DataNotFoundError as error:
            if explicit:
                raise
            skipped.setdefault(str(error), []).append(entry.name)
    for reason, names in skipped.items():
        typer.secho(f"skipping {', '.join(names)}: {reason}", fg="yellow", err=True)
    return found


def _split(values: Many) -> tuple[str, ...] | None:
    """Repeated options and comma-separated ones alike."""
    return tuple(part.strip() for value in values for part in value.split(",")) if values else None


def _number(text: str) -> float:
    try:
        return float(Fraction(text)) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"--eps {text!r} is not a number such as 0.3 or 8/255") from None


def _print_errors(records: list[Record]) -> int:
    failed = 0
    for record in records:
        failed += not record.complete
        for library, outcome in record.outcomes.items():
            if outcome.error is not None:
                typer.secho(f"{library} failed on {record.cell.label}: {outcome.error}", fg="red", err=True)
    return failed


def _print_list(data_root: Path | None) -> None:
    from benchmark.console import print_entries, print_suites

    print_suites()
    print_entries(data_root)


if __name__ == "__main__":
    app()
