"""The main job: `python -m benchmark.run --suite whitebox`. Suite -> cells -> evaluate -> store -> table."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from benchmark.evaluate import Evaluator
    from benchmark.record import Record
    from benchmark.suites import Selection, Subject, Suite
    from zoo import ZooEntry

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

Many = list[str] | None  # options that may be repeated, or hold several values with commas


@app.command()
def run(
    suite: Annotated[str, typer.Option(help="What to run: smoke, whitebox, paper, anchors. See --list.")] = "whitebox",
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
        str, typer.Option(help="What the attacker's gradient is of: expected, single-draw, mean-loss, mean-logit, ...")
    ] = "expected",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    data_root: Annotated[Path | None, typer.Option(help="Folder with data sets beside the bundled MNIST test.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch missing data through torchvision.")] = False,
    share: Annotated[bool, typer.Option(help="Compute a gradient that several libraries ask for once.")] = True,
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

    Stop it at any moment; the same command goes on where it stopped. Then `python -m benchmark.leaderboard` writes
    the pages. Exit status: 0 if every cell was evaluated, 1 if a library failed on one, 2 for a mistake in the
    command, 130 if interrupted.
    """
    from benchmark.store import StoreError
    from benchmark.suites import SUITES, Selection
    from zoo.registry import lookup, one_line

    try:
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
            target=target,  # type: ignore[arg-type]
        )
        names = _split(model)
        entries = select_entries(chosen, names, _split(dataset))
        failed = _run(
            chosen, selection, entries, names is not None, store, _Machine(device, data_root, download, share)
        )
    except KeyboardInterrupt:
        typer.secho("\ninterrupted; what was finished is stored, the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    except (ValueError, KeyError, OSError, StoreError) as error:
        typer.secho(f"error: {one_line(error)}", fg="red", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(1 if failed else 0)


class _Machine(NamedTuple):
    """Where a run takes place, as the command line says it."""

    device: str
    data_root: Path | None
    download: bool
    share: bool


def _run(
    suite: Suite, selection: Selection, entries: list[ZooEntry], explicit: bool, path: Path, machine: _Machine
) -> int:
    """Evaluate what is not stored yet and print the ranking; the number of cells with an error."""
    from benchmark.console import Progress, print_boards, print_closed_form
    from benchmark.store import Store

    with Store(path) as store:  # before torch is imported: an unwritable store should not cost that time
        evaluator = _evaluator(machine)
        cells = suite.cells(_with_data(entries, evaluator, explicit), selection)
        if not cells:
            raise ValueError("nothing to run: no cell matches the selection; see --list for what there is")
        keys = {evaluator.key(cell): cell for cell in cells}
        if suite.name == "smoke":
            print_closed_form(selection.libraries)
        waiting = {key: cell for key, cell in keys.items() if key not in store}
        with Progress(suite.name, total=len(keys), done=len(keys) - len(waiting)) as progress:
            for key, cell in waiting.items():
                progress.start(cell.label)
                if key not in store:  # another process may have finished it meanwhile
                    store.put(evaluator.evaluate(cell))
                progress.finish()
        records = list(store.records(set(keys)))
    print_boards(records)
    return _print_errors(records)


def select_entries(suite: Suite, names: tuple[str, ...] | None, datasets: tuple[str, ...] | None) -> list[ZooEntry]:
    """The zoo entries that a command is about. Raises ValueError or KeyError with the remedy if there is none."""
    from zoo import external_model, models
    from zoo.datasets import dataset_spec

    for dataset in datasets or ():
        dataset_spec(dataset)
    if names is not None:
        only = datasets[0] if datasets and len(datasets) == 1 else None
        entries = [external_model(name, only) if ":" in name else models[name] for name in names]
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


def _evaluator(machine: _Machine) -> Evaluator:
    from benchmark.evaluate import Evaluator
    from zoo.conformance import require_device

    require_device(machine.device)
    return Evaluator(machine.data_root, machine.download, machine.device, machine.share)


def _with_data(entries: list[ZooEntry], evaluator: Evaluator, explicit: bool) -> list[Subject]:
    """The entries whose data are at hand; the others are named.

    Raises DataNotFoundError for an entry that was asked for by name.
    """
    from benchmark.suites import Subject
    from zoo.datasets import DataNotFoundError

    found: list[Subject] = []
    for entry in entries:
        try:
            size = len(evaluator.split(entry.dataset))
            found.append(Subject(entry.name, entry.dataset, size, entry.is_deterministic))
        except DataNotFoundError as error:
            if explicit:
                raise
            typer.secho(f"skipping {entry.name}: {error}", fg="yellow", err=True)
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
