"""Write the leaderboards from a store, or check that they are fresh: `python -m benchmark.leaderboard`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from benchmark.boards import Board
    from benchmark.record import Record

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
BEGIN, END = "<!-- leaderboard:begin -->", "<!-- leaderboard:end -->"


@app.command()
def leaderboard(
    store: Annotated[Path, typer.Option(help="Store whose records are added to those in the folder.")] = Path(
        "results.sqlite"
    ),
    folder: Annotated[Path, typer.Option(help="Where the leaderboards are.")] = Path("leaderboards"),
    readme: Annotated[Path, typer.Option(help="File whose marked section shows the headline table.")] = Path(
        "README.md"
    ),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if a page differs from what its records give.")
    ] = False,
) -> None:
    """Write Markdown, CSV, JSON and figures into the leaderboard folder.

    Records of the store are added to the JSON records that lie there (one file an entry, per-example outcomes
    included); every page, table and figure is then generated from the JSON alone. Records of a network whose
    weights have changed since are dropped.
    """
    from benchmark.store import Store, StoreError

    try:
        records = read_records(folder / "records")
        if check:
            stale = stale_files(records, folder, readme)
            for path in stale:
                typer.secho(f"stale: {path}", fg="red", err=True)
            if stale:
                typer.secho("run: python -m benchmark.leaderboard", err=True)
                raise typer.Exit(1)
            typer.echo(f"{folder} is what its {len(records)} records give")
            return
        if store.is_file():
            with Store(store) as opened:
                for record in opened.records():
                    # the same work done again elsewhere must not rewrite the files
                    if record.key not in records or records[record.key].outcome != record.outcome:
                        records[record.key] = record
        current = [record for record in records.values() if is_current(record)]
        if not current:
            raise ValueError(f"no records in {store} or {folder / 'records'}: run python -m benchmark.run first")
        for path in write(current, folder, readme):
            typer.echo(f"wrote {path}")
    except (ValueError, KeyError, OSError, StoreError) as error:
        typer.secho(f"error: {error.args[0] if isinstance(error, KeyError) else error}", fg="red", err=True)
        raise typer.Exit(2) from None


def read_records(folder: Path) -> dict[str, Record]:
    """Key -> record of every JSON file. Raises ValueError naming a file that cannot be read."""
    from benchmark.record import Record

    records = {}
    for path in sorted(folder.glob("*.json")):
        try:
            for fields in json.loads(path.read_text())["records"]:
                record = Record.from_json(fields)
                records[record.key] = record
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no file of records ({error}); restore it or delete it") from error
    return records


def is_current(record: Record) -> bool:
    """Whether the record speaks of the network as it is; networks that are not registered here count."""
    from zoo import models

    name = record.cell.model
    return name not in models or models[name].fingerprint == record.fingerprints["model"]


def ranked_boards(records: list[Record]) -> list[Board]:
    """The boards of the protocol: its eps, and rows that met all its attacks in that norm."""
    from benchmark.boards import Board, build_boards
    from benchmark.protocol import attacks_in, eps_grid

    boards = []
    for board in build_boards(records):
        if board.eps in eps_grid(board.dataset)[board.norm]:
            rows = [row for row in board.rows if set(row.attacks) == set(attacks_in(board.norm))]
            if rows:
                boards.append(Board(board.dataset, board.norm, board.eps, rows))
    return boards


def render(records: list[Record], folder: Path, readme: Path) -> dict[Path, str]:
    """Path -> text of every generated text file but the records."""
    from benchmark import pages, tables
    from benchmark.boards import without_subsumed

    records = sorted(without_subsumed(records), key=_order)
    boards = ranked_boards(records)
    texts = {
        folder / "README.md": pages.index_page(boards),
        folder / "agreement.md": pages.agreement_page(records),
        folder / "anchors.md": pages.anchors_page(records),
    }
    for dataset in dict.fromkeys(board.dataset for board in boards):
        own = [board for board in boards if board.dataset == dataset]
        texts[folder / f"{dataset}.md"] = pages.dataset_page(dataset, own)
        texts[folder / f"{dataset}.csv"] = tables.csv_table(own)
    if readme.is_file() and BEGIN in (text := readme.read_text()):
        before, rest = text.split(BEGIN, 1)
        texts[readme] = f"{before}{BEGIN}\n{tables.headline(boards)}\n{END}{rest.split(END, 1)[1]}"
    return texts


def write(records: list[Record], folder: Path, readme: Path) -> list[Path]:
    """Write records, pages, tables and figures; the paths."""
    from benchmark.figures import write_figures

    by_model: dict[str, list[Record]] = {}
    for record in sorted(records, key=_order):
        by_model.setdefault(record.cell.model, []).append(record)
    written = []
    (folder / "records").mkdir(parents=True, exist_ok=True)
    for model, own in by_model.items():
        path = folder / "records" / f"{model.replace('/', '-').replace(':', '-')}.json"
        lines = ",\n".join(json.dumps(record.to_json(), sort_keys=True, allow_nan=False) for record in own)
        path.write_text(f'{{"entry": {json.dumps(model)}, "records": [\n{lines}\n]}}\n')
        written.append(path)
    for path, text in render(records, folder, readme).items():
        path.write_text(text)
        written.append(path)
    return written + write_figures(ranked_boards(records), records, folder / "figures")


def stale_files(records: dict[str, Record], folder: Path, readme: Path) -> list[Path]:
    """Generated text files that are missing or differ; records of networks that have changed make their file stale."""
    stale = [
        folder / "records" / f"{record.cell.model.replace('/', '-')}.json"
        for record in records.values()
        if not is_current(record)
    ]
    texts = render(list(records.values()), folder, readme)
    stale += [path for path, text in texts.items() if not path.is_file() or path.read_text() != text]
    return list(dict.fromkeys(stale))


def _order(record: Record) -> tuple[object, ...]:
    cell = record.cell
    return cell.model, cell.attack.threat.norm, cell.attack.name, cell.attack.threat.eps, cell.start, record.key


if __name__ == "__main__":
    app()
