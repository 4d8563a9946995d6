"""Audit one entry and say what may be concluded: `python -m benchmark.audit mnist/bayesian-lenet`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from benchmark import options
from benchmark.protocol import SHARD
from zoo.commands import mistakes_in_one_line

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
@mistakes_in_one_line()
def audit(
    name: options.Name,
    examples: Annotated[
        int | None, typer.Option(help="Test images; the first of a fixed random order. 100 by default.")
    ] = None,
    audited: options.Audited = SHARD,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Run the costly attacks on every image, suspicious or not.")
    ] = False,
    dataset: options.OneDataset = None,
    data: options.OwnData = None,
    size: options.Size = None,
    family: options.Family = None,
    randomness: options.Randomness = "auto",
    outputs: options.Outputs = "logits",
    data_root: options.DataRoot = None,
    device: options.Device = "cpu",
    workers: options.Workers = "auto",
    threads: Annotated[int | None, typer.Option(help="Threads of each process.")] = None,
    store: Annotated[Path, typer.Option(help="Results file; what is in it is not computed again.")] = Path(
        "results.sqlite"
    ),
    full: Annotated[bool, typer.Option("--full", help="Print the whole audit, as Markdown.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the whole audit into this file, as Markdown.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a report for the browser into this file, as HTML.", dir_okay=False)
    ] = None,
    keep_images: options.KeepImages = False,
) -> None:
    """Run every attack of the adaptive or the thorough suite on one entry and say whether its numbers can be believed.

    In short what may be quoted, and the checks that did not pass; in full a verdict of every check and what it means,
    the worst case over all attacks, and whether the network's uncertainty gives an attack away. What was stored by
    `python -m benchmark.run --suite whitebox` is used.

    Exit status: 0 if nothing speaks against the figures, 1 if a check failed, 2 for a mistake in the command or an
    entry that is refused when it is loaded, 130 if interrupted.
    """
    from benchmark.cli import (
        carry_out,
        external,
        interruptible,
        own_data,
        parsed_workers,
        select_datasets,
        select_entries,
        stored_images,
    )
    from benchmark.evaluation.loop import How
    from benchmark.evaluation.machine import Machine
    from benchmark.plan.cells import Selection
    from benchmark.plan.suites import SUITES
    from benchmark.reports.audits import audit_page, short_audit
    from benchmark.reports.progress import Progress
    from benchmark.results import Results
    from zoo.files import write_whole
    from zoo.kind import Said

    suite = SUITES["thorough" if thorough else "adaptive"]
    with interruptible():
        own = own_data(data, size)
        datasets = select_datasets(None if dataset is None else [dataset], own)
        said = Said(family, randomness, outputs)
        entries = select_entries(suite, (name,), datasets, said)
        root = None if data_root is None else data_root.resolve()
        machine = Machine(
            device,
            root,
            threads=threads,
            external=external((name,), datasets, said),
            own_data=own,
            keep_images=keep_images,
        )
        how = How(machine, workers=parsed_workers(workers), watch=Progress, say=partial(typer.secho, err=True))
        records = carry_out(suite, Selection(examples=examples, audited=audited), entries, how, store)
    results = Results(records, images=stored_images(store, records))
    entry = results.entry()
    whole = audit_page(entry, notice=None)
    typer.echo(f"\n{whole if full else short_audit(entry)}")
    if report is not None:
        results.report(report)
    if out is not None:
        write_whole(out, whole.encode())
    elif not full:
        typer.echo("\nThe whole audit: --full, or --out FILE; as a page for the browser: --report FILE")
    raise typer.Exit(1 if {"FAIL", "ERROR"} & set(entry.statuses.values()) else 0)


if __name__ == "__main__":
    app()
