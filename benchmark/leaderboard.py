"""Write the leaderboards from a store, or check that they are fresh: `python -m benchmark.leaderboard`."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.commands import mistakes_in_one_line
from zoo.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from benchmark.boards import Board
    from benchmark.cells import Cell
    from benchmark.record import Record

    Generated = tuple[dict[Path, str], dict[Path, Callable[[], Figure]]]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
FOLDER = Path("leaderboards")
MEASURED = "performance.md"  # written by `python -m benchmark.bench`, not from records
STUDIES = "studies"  # folder of what `examples` and `zoo.uncertainty` wrote, a page's source
BEGIN, END = "<!-- {}:begin -->", "<!-- {}:end -->"  # around a generated section of the README


@app.command()
@mistakes_in_one_line()
def leaderboard(
    store: Annotated[Path, typer.Option(help="Store whose records are added to those in the folder.")] = Path(
        "results.sqlite"
    ),
    folder: Annotated[Path, typer.Option(help="Where the leaderboards are.")] = FOLDER,
    readme: Annotated[
        Path | None,
        typer.Option(help="File whose marked sections show the headline tables; README.md for `leaderboards`."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if a page differs from what its records give.")
    ] = False,
) -> None:
    """Write Markdown, CSV, JSON and figures into the leaderboard folder.

    Records of the store are added to the JSON records that lie there (one file an entry, per-example outcomes
    included); every page, table and figure is then generated from the JSON alone. Records of a network whose
    weights have changed since are dropped.
    """
    from benchmark.store import Store

    if readme is None and folder == FOLDER:
        readme = Path("README.md")
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
                known = records.get(record.key)
                # The same work done again elsewhere must not rewrite the files, nor a failure replace a result.
                if known is None or (known.outcome != record.outcome and record.complete >= known.complete):
                    records[record.key] = record
    current = [record for record in records.values() if is_current(record)]
    if not current:
        raise ValueError(f"no records in {store} or {folder / 'records'}: run python -m benchmark.run first")
    for path in write(current, folder, readme):
        typer.echo(f"wrote {path}")


def read_records(folder: Path) -> dict[str, Record]:
    """Key -> record of every JSON file, which are packed by xz. Raises ValueError naming a file that cannot be read."""
    from benchmark.record import SCHEMA_VERSION, Record

    records = {}
    for path in sorted(folder.glob("*/*.json.xz")):
        try:
            for fields in json.loads(_read(path))["records"]:
                if fields["schema"] != SCHEMA_VERSION:  # made by another version: out of date, like another protocol's
                    continue
                record = Record.from_json(fields)
                records[record.key] = record
        except (ValueError, KeyError, TypeError, lzma.LZMAError, EOFError) as error:
            raise ValueError(f"{path} is no file of records ({error}); restore it or delete it") from error
    return records


def is_current(record: Record) -> bool:
    """Whether the record speaks of this protocol and of the networks as they are; one not registered here counts.

    Of a transfer that is the network attacked and the one whose gradients were taken.
    """
    from benchmark.protocol import PROTOCOL_VERSION
    from zoo import models

    spoken_of = {record.cell.model: record.fingerprints["model"]}
    if (source := record.cell.attack.source) is not None:
        spoken_of[source] = record.fingerprints["source"]
    same = all(name not in models or models[name].fingerprint == found for name, found in spoken_of.items())
    return same and record.provenance["protocol"] == PROTOCOL_VERSION


def ranked_boards(records: list[Record]) -> list[Board]:
    """The boards of the protocol: its eps, draws and seed, and rows that met all its attacks in that norm.

    Whatever else was tried within those threat models, or at eps = 0, counts too.
    """
    from benchmark.boards import Board, build_boards
    from benchmark.outcomes import is_ruled, is_standard
    from benchmark.protocol import attacks_in

    boards = []
    of_rows, others = [], []
    for record in records:
        if is_ruled(record.cell) and is_standard(record.cell.attack):
            of_rows.append(record)
        elif is_evidence(record.cell) or not is_standard(record.cell.attack):
            others.append(record)
    for board in build_boards(of_rows, others):
        rows = [row for row in board.rows if set(row.attacks) == set(attacks_in(board.norm))]
        if rows:
            boards.append(Board(board.dataset, board.norm, board.eps, rows))
    return boards


def is_evidence(cell: Cell) -> bool:
    """Whether a cell is no attack of a table's column, but one that says what the columns are worth."""
    from benchmark.trials import trial_of

    return cell.attack.threat.eps == 0 or (len(cell.libraries) == 1 and trial_of(cell) is not None)


def render(records: list[Record], folder: Path, readme: Path | None) -> Generated:
    """All that is generated, by path: texts (the records themselves, pages, tables) and what draws the figures."""
    from benchmark import tables
    from benchmark.curves import build_curves
    from benchmark.figures import all_figures
    from benchmark.masking import masking_matrix
    from benchmark.outcomes import is_ruled, without_subsumed
    from benchmark.pages import audit, experiment, masking, propagation, toolkit, validity, zoo
    from benchmark.pages import boards as board_pages

    texts: dict[Path, str] = {}
    by_model: dict[tuple[str, str], list[Record]] = {}
    for record in sorted(records, key=_order):
        # apart, so that what is run anew changes no file that holds something else
        kind = "-trials" if is_evidence(record.cell) else ""
        by_model.setdefault((record.cell.model, kind), []).append(record)
    for (model, kind), own in by_model.items():
        dataset, _, name = model.partition("/")
        name += kind
        lines = ",\n".join(json.dumps(record.to_json(), sort_keys=True, allow_nan=False) for record in own)
        text = f'{{"entry": {json.dumps(model)}, "records": [\n{lines}\n]}}\n'
        texts[folder / "records" / dataset / f"{name.replace('/', '-').replace(':', '-')}.json.xz"] = text

    records = sorted(without_subsumed(records), key=_order)
    boards = ranked_boards(records)
    curves, matrix = build_curves(records), masking_matrix(records)
    drawn = all_figures(boards, records, curves, matrix)
    texts |= {
        folder / "agreement.md": board_pages.agreement_page(
            records, [record for record in records if is_ruled(record.cell)]
        ),
        folder / "anchors.md": board_pages.anchors_page(records),
    }
    if curves:
        texts[folder / "paper.md"] = experiment.paper_page(curves, drawn)
        texts[folder / "curves.csv"] = experiment.curves_table(curves)
        texts[folder / "claims.md"] = experiment.claims_page(curves)
    if matrix:
        texts[folder / "masking.md"] = masking.masking_page(matrix)
        texts[folder / "masking.csv"] = masking.masking_table(matrix)
    if zoo.cards():
        texts[folder / "zoo.md"] = zoo.zoo_page()
    if (folder / STUDIES).is_dir():
        texts[folder / "toolkit.md"] = toolkit.toolkit_page(folder / STUDIES)
        texts[folder / "propagation.md"] = propagation.propagation_page(folder / STUDIES)
    texts[folder / "validity.md"] = validity.validity_page(folder / STUDIES, boards)
    for dataset in dict.fromkeys(board.dataset for board in boards):
        shown = [board for board in boards if board.dataset == dataset]
        texts[folder / f"{dataset}.md"] = board_pages.dataset_page(dataset, shown)
        texts[folder / f"{dataset}.csv"] = tables.csv_table(shown)
    texts |= audit.audit_pages(boards, folder)
    if detected := audit.detection_table(boards):
        texts[folder / "detection.csv"] = detected
    texts[folder / "README.md"] = board_pages.index_page(boards, {path.name for path in texts})
    if readme is not None and readme.is_file():
        texts[readme] = with_sections(
            readme, {"leaderboard": tables.headline(boards, f"{folder.name}/"), "zoo": zoo.accuracy_table()}
        )
    figures = {folder / "figures" / f"{name}.png": figure for name, figure in drawn.items()}
    return texts, figures


def with_sections(readme: Path, sections: dict[str, str]) -> str:
    """The text of a file with its marked sections replaced. Raises ValueError for one that does not end."""
    text = readme.read_text()
    for name, section in sections.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if found and not ended:
            raise ValueError(f"{readme} has {begin} but no {end}; restore it")
        if found:
            text = f"{before}{begin}\n{section}\n{end}{after}"
    return text


def write(records: list[Record], folder: Path, readme: Path | None) -> list[Path]:
    """Write all that is generated and delete what no record gives any more; the paths written."""
    texts, figures = render(records, folder, readme)
    written = [*texts, *figures]
    for path, text in texts.items():
        write_whole(path, lzma.compress(text.encode()) if path.suffix == ".xz" else text.encode())
    for path, draw in figures.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        draw().savefig(path, dpi=160, bbox_inches="tight", metadata={"Software": None})
    for path in leftovers(written, folder):
        path.unlink()
    return written


def leftovers(generated: list[Path], folder: Path) -> list[Path]:
    """Files of generated kinds in the folder that the records do not give."""
    found = [
        path
        for kind in ("*.md", "audits/*.md", "*.csv", "records/**/*.json*", "figures/*.png")
        for path in folder.glob(kind)
    ]
    return [path for path in found if path not in generated and path.name != MEASURED]


def stale_files(records: dict[str, Record], folder: Path, readme: Path | None) -> list[Path]:
    """Generated files that are missing, differ, or should not be there; a figure is only looked for."""
    texts, figures = render([record for record in records.values() if is_current(record)], folder, readme)
    stale = [path for path, text in texts.items() if not path.is_file() or _read(path) != text]
    stale += [path for path in figures if not path.is_file()]
    return stale + leftovers([*texts, *figures], folder)


def _read(path: Path) -> str:
    content = path.read_bytes()
    return (lzma.decompress(content) if path.suffix == ".xz" else content).decode()


def _order(record: Record) -> tuple[object, ...]:
    cell = record.cell
    return cell.model, cell.attack.threat.norm, cell.attack.name, cell.attack.threat.eps, cell.start, record.key


if __name__ == "__main__":
    app()
