"""Write the leaderboards from a store, or check that they are fresh: `python -m benchmark.leaderboard`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import zoo
from zoo.commands import mistakes_in_one_line

if TYPE_CHECKING:
    from benchmark.records.record import Record
    from benchmark.reports.publish import Generated, Publication
    from benchmark.results.selection import Split

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
PROJECT = Path(zoo.__file__).resolve().parents[1] / "leaderboards"  # of a clone; an installed package has none
FOLDER, OWN = Path("leaderboards"), Path("my-leaderboards")
COMMAND = "python -m benchmark.leaderboard"


@app.command()
@mistakes_in_one_line()
def leaderboard(
    store: Annotated[Path, typer.Option(help="Store whose records are added to those in the folder.")] = Path(
        "results.sqlite"
    ),
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where the pages are. By default the clone's own `leaderboards` for full runs of the zoo's entries, "
            "and `my-leaderboards` for all others."
        ),
    ] = None,
    readme: Annotated[
        Path | None,
        typer.Option(help="File whose marked sections show the headline tables; README.md for the clone's own."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if a page differs from what its records give.")
    ] = False,
) -> None:
    """Write Markdown, CSV, JSON and figures into the leaderboard folder.

    Records of the store are added to the JSON records that lie there (one file an entry, per-example outcomes
    included); every page, table and figure is then generated from the JSON alone. Of a network that has changed since,
    the older records are dropped.

    The clone's own leaderboards hold the zoo's entries on at least 100 images. Other records go to a folder of their
    own, where the clone's entries stand beside them, ranked on the same images.

    Only files that `manifest.json` in the folder names, and that are still as they were written, are replaced or
    deleted.
    """
    main = folder or (FOLDER if _is_project(FOLDER) else OWN)
    if readme is None and _is_project(main):
        readme = main.parent / "README.md"
    if check:
        _check(main, readme)
        return
    plans = _project(main, readme, store, folder is None) if _is_project(main) else [_own(main, readme, store)]
    for plan in plans:
        for line in plan.carry_out():
            typer.echo(line)


def _is_project(folder: Path) -> bool:
    return folder.resolve() == PROJECT.resolve()


def _project(folder: Path, readme: Path | None, store: Path, elsewhere: bool) -> list[Publication]:
    """What is to be written into the project's own leaderboards, and, if `elsewhere`, of other records into `OWN`."""
    from benchmark.render import project_pages
    from benchmark.reports.publish import planned
    from benchmark.results.selection import split

    stored = _stored(store)
    found = split(_known(folder, stored), {record.key for record in stored})
    if not (found.project or found.others):
        raise ValueError(_nothing(store, folder))
    if found.others:
        remedy = f"they go to {OWN}" if elsewhere else f"for pages of them: {COMMAND} --folder {OWN}"
        typer.echo(f"{_stay_out(found, folder)}; {remedy}")
    plans = []
    if found.project:
        plans.append(planned(project_pages(found.project, folder, readme), folder))
    if found.others and elsewhere:
        plans.append(planned(_own_pages(_known(OWN, found.others), OWN, None, found.project), OWN))
    return plans


def _own(folder: Path, readme: Path | None, store: Path) -> Publication:
    """What is to be written into a user's folder."""
    from benchmark.reports.publish import planned

    records = _known(folder, _stored(store))
    if not records:
        raise ValueError(_nothing(store, folder))
    return planned(_own_pages(records, folder, readme), folder)


def _own_pages(
    records: list[Record], folder: Path, readme: Path | None, reference: list[Record] | None = None
) -> Generated:
    """reference: the project's records, where they are at hand already."""
    from benchmark.records.archive import read_records
    from benchmark.render import own_pages
    from benchmark.results.selection import sifted

    datasets = {record.cell.dataset for record in records}
    if reference is None:
        lying = [read_records(PROJECT / "records", dataset) for dataset in sorted(datasets)]
        reference = sifted(record for part in lying for record in part.values()).records
    return own_pages(records, [record for record in reference if record.cell.dataset in datasets], folder, readme)


def _known(folder: Path, found: list[Record]) -> list[Record]:
    """The records that lie in a folder, and those found beside them, as far as they count; what is dropped is said."""
    from benchmark.records.archive import merged, read_records
    from benchmark.results.selection import sifted

    lying = read_records(folder / "records")
    records, dropped = sifted(merged(lying, found).values())
    for line in dropped:
        typer.echo(line)
    earlier = len(lying.keys() - {record.key for record in found})
    if earlier and not _is_project(folder):
        typer.echo(f"{earlier} records of earlier runs lie in {folder}/records and count; delete it to forget them")
    return records


def _stored(store: Path) -> list[Record]:
    from benchmark.records.store import Store

    if not store.is_file():
        typer.echo(f"no store {store}: the pages are made from the records in the folder alone")
        return []
    with Store(store) as opened:
        return list(opened.records())


def _nothing(store: Path, folder: Path) -> str:
    return f"no records in {store} or {folder / 'records'}: run python -m benchmark.run first"


def _stay_out(found: Split, folder: Path) -> str:
    """Which records do not belong into the project's leaderboards, and why."""
    entries = "; ".join(f"{name} ({reason})" for name, reason in found.reasons.items())
    return f"{len(found.others)} records stay out of {folder}: {entries}"


def _check(folder: Path, readme: Path | None) -> None:
    """Say which files are stale; exit status 1 if one is."""
    from benchmark.records.archive import read_records
    from benchmark.render import project_pages
    from benchmark.reports.publish import stale_files
    from benchmark.results.selection import sifted, split

    lying = read_records(folder / "records")
    records = sifted(lying.values()).records
    if _is_project(folder):
        generated = project_pages(split(records, ()).project, folder, readme)
    else:
        generated = _own_pages(records, folder, readme)
    stale = stale_files(generated, folder)
    for path in stale:
        typer.secho(f"stale: {path}", fg="red", err=True)
    if stale:
        where = "" if _is_project(folder) else f" --folder {folder}"
        typer.secho(f"run: {COMMAND}{where}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{folder} is what its {len(lying)} records give")


if __name__ == "__main__":
    app()
