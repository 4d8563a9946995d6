"""`python -m benchmark.bench`: measure, print, and keep for `leaderboards/performance.md`."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmark.measure import TABLES
from benchmark.reports.performance import FILE, Measured, performance_page, read_measured, write_measured
from zoo.commands import mistakes_in_one_line

app = typer.Typer(add_completion=False)

_IN_ROUNDS = ("gradients", "resnet", "chunks", "libraries", "overhead")  # the others say themselves how often
_OTHERS = ("bayesian-torch", "blitz-bayesian-pytorch", "torch-uncertainty", "ray")
_BESIDE_OTHERS = ("gradients", "resnet", "options")  # what other packages can do is in them, where these are installed


@app.command()
@mistakes_in_one_line()
def bench(
    table: Annotated[list[str] | None, typer.Option(help=f"Only these: {', '.join(TABLES)}. All by default.")] = None,
    repeats: Annotated[int, typer.Option(min=2, help="Rounds in which every side takes its turn.")] = 7,
    out: Annotated[Path, typer.Option(help=f"Folder for {FILE}, in which other tables stay as they are.")] = Path(
        "leaderboards/studies"
    ),
) -> None:
    """Measure what the expected prediction, the harness and its options cost, beside other ways to do the same.

    An hour on two cores for everything. `python -m benchmark.leaderboard` makes the page. Other Bayesian libraries are
    measured where they are installed: `pip install 'robustness-zoo[peers]'`.
    """
    from zoo.lookup import lookup

    chosen = [name.strip() for value in table or TABLES for name in value.split(",")]
    known = _measures(repeats)
    measures = [lookup(known, name, "table") for name in chosen]
    read_measured(out / FILE)  # before any work is lost
    for name, measure in zip(chosen, measures, strict=True):
        typer.echo(f"measuring {name} ...", err=True)
        rounds = f" {repeats} rounds." if name in _IN_ROUNDS else ""
        measured = {name: Measured(_machine(name in _BESIDE_OTHERS) + rounds, measure())}
        write_measured(out / FILE, measured)
        typer.echo(performance_page(measured))
    typer.echo(f"wrote {out / FILE}\nPage: python -m benchmark.leaderboard", err=True)


def _machine(beside_others: bool) -> str:
    from importlib.metadata import PackageNotFoundError, version

    import torch

    from benchmark.bench.peers import missing_peers
    from benchmark.records.record import commit, device_name

    packages = ("torch", *(_OTHERS if beside_others else ()))
    found = []
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    missing = missing_peers() + ([] if importlib.util.find_spec("ray") else ["ray"]) if beside_others else []
    code = commit()
    return (
        f"{device_name('cpu')}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, {', '.join(found)}; commit "
        f"{str(code['commit'])[:12]}{' with changes' if code['dirty'] else ''}, {datetime.now(UTC):%Y-%m-%d}."
        + (f" Not measured, because not installed: {', '.join(missing)}." if missing else "")
    )


def _measures(repeats: int) -> dict[str, Any]:
    from benchmark.bench.audits import audit_tables
    from benchmark.bench.bounds import bounds_table
    from benchmark.bench.forecast import forecast_tables
    from benchmark.bench.gradients import chunk_tables, gradient_tables
    from benchmark.bench.growth import growth_tables
    from benchmark.bench.harness import ENTRIES, gradients_computed, library_table, overhead_table
    from benchmark.bench.options import option_table
    from benchmark.bench.records import record_table
    from benchmark.bench.resnet import resnet_tables

    return {
        "gradients": lambda: gradient_tables(repeats),
        "resnet": lambda: resnet_tables(repeats),
        "chunks": lambda: chunk_tables(repeats),
        "libraries": lambda: {
            "times": {entry: library_table(entry, repeats) for entry in ENTRIES},
            "computed": gradients_computed(ENTRIES[-1]),
        },
        "overhead": lambda: {entry: overhead_table(entry, repeats) for entry in ENTRIES},
        "growth": growth_tables,
        "options": option_table,
        "forecast": forecast_tables,
        "audits": audit_tables,
        "records": record_table,
        "bounds": bounds_table,
    }


if __name__ == "__main__":
    app()
