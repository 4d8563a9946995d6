"""Write the leaderboards from a store, or check that they are fresh: `python -m benchmark.leaderboard`."""

from __future__ import annotations

import functools
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark import options
from zoo.commands import mistakes_in_one_line

if TYPE_CHECKING:
    from benchmark.reports.site import Pictures
    from benchmark.results.entries import Entry
    from benchmark.results.images import AttackedImages

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
FOLDER, OWN = Path("leaderboards"), Path("my-leaderboards")


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
    site: Annotated[
        Path | None,
        typer.Option(help="Write a static site of the records in the folder, into this one, and nothing else."),
    ] = None,
    images: Annotated[
        int,
        typer.Option(
            help="With --site: attack this many images of every network of the zoo again, by PGD in foolbox, to show "
            "them on its page, if its images are bundled or below --data-root; 0 shows those that a run kept.",
            min=0,
        ),
    ] = 0,
    data_root: options.DataRoot = None,
) -> None:
    """Write Markdown, CSV, JSON and figures into the leaderboard folder.

    Records of the store are added to the JSON records that lie there (one file an entry, per-example outcomes
    included); every page, table and figure is then generated from the JSON alone. Of a network that has changed since,
    the older records are dropped.

    The clone's own leaderboards hold the zoo's entries on at least 100 images. Other records go to a folder of their
    own, where the clone's entries are shown beside them, ranked on the same images.

    Only files that `manifest.json` in the folder names, and that are still as they were written, are replaced or
    deleted.

    `--site FOLDER` writes the same numbers as a static site: open its `index.html`, or publish the folder anywhere.
    """
    from benchmark.publications import is_project

    main = folder or (FOLDER if is_project(FOLDER) else OWN)
    if readme is None and is_project(main):
        readme = main.parent / "README.md"
    gc.disable()  # all records are kept: to look for garbage among them takes a seventh of the time
    try:
        if check and site is not None:
            raise ValueError("--check and --site exclude each other: give one of them")
        if site is not None:
            _write_site(main, site, store, _attacked(images, data_root) if images else None)
        elif check:
            _check(main, readme)
        else:
            _write(main, store, readme, OWN if folder is None else None)
    finally:
        gc.enable()


def _write(folder: Path, store: Path, readme: Path | None, elsewhere: Path | None) -> None:
    """Say what is written, deleted, left out and left alone."""
    from benchmark.publications import publications

    for publication in publications(folder, store, readme, elsewhere, typer.echo):
        for line in publication.carry_out():
            typer.echo(line)


def _write_site(folder: Path, target: Path, store: Path, pictures: Pictures | None) -> None:
    """What cannot be done is refused before the records are read."""
    from benchmark.publications import site_of
    from benchmark.reports.site import refuse_foreign, require, write_site

    require()
    refuse_foreign(target)
    files = site_of(folder, store, pictures)
    write_site(files, target)
    size = sum(map(len, files.values())) / 1e6
    typer.echo(f"wrote {len(files)} files, {size:.1f} MB: open {target / 'index.html'}")


def _attacked(count: int, data_root: Path | None) -> Pictures:
    """Entry -> its first images attacked again, norm by norm: seconds a network, and no record is touched.

    Of a data set or a network that is not here there are none, which is said.
    """
    from benchmark.api import evaluate
    from benchmark.results.selection import is_of_the_zoo
    from zoo import models
    from zoo.datasets import DataNotFoundError, load_split

    @functools.cache
    def are_here(dataset: str) -> bool:
        try:
            load_split(dataset, "test", data_root)
        except DataNotFoundError as error:
            why = error if data_root else "it is not bundled; name its folder with --data-root"
            typer.echo(f"no attacked images of {dataset} on the pages: {why}")
            return False
        return True

    def pictures(entry: Entry) -> list[AttackedImages]:
        if not is_of_the_zoo(entry.name) or not are_here(entry.dataset):
            return []
        weights = models[entry.name].weights
        if weights is not None and not weights.is_file():  # an installed package has those of bundled images alone
            typer.echo(f"no attacked images of {entry.name} on its page: its weights are not here")
            return []
        typer.echo(f"attacks {count} images of {entry.name} again")
        found = evaluate(
            entry.name,
            attacks=[f"pgd-{norm}" for norm in entry.audits],
            libraries=["foolbox"],
            examples=count,
            workers=1,
            data_root=data_root,
            keep_images=True,
            progress=False,
        )
        return found.kept_images(found.entry(entry.name))

    return pictures


def _check(folder: Path, readme: Path | None) -> None:
    """Say which files are stale; exit status 1 if one is."""
    from benchmark.publications import expected, is_project
    from benchmark.reports.publish import stale_files

    generated, count = expected(folder, readme)
    stale = stale_files(generated, folder)
    for path in stale:
        typer.secho(f"stale: {path}", fg="red", err=True)
    if stale:
        where = "" if is_project(folder) else f" --folder {folder}"
        typer.secho(f"run: python -m benchmark.leaderboard{where}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{folder} is what its {count} records give")


if __name__ == "__main__":
    app()
