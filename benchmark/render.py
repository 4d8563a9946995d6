"""All that is generated from records: the project's own leaderboards, and the folder of a user's own runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark import tables
from benchmark.archive import record_texts
from benchmark.curves import build_curves
from benchmark.figures import all_figures, result_figures
from benchmark.pages import agreement, audit, experiment, gradient_targets, propagation, toolkit, validity, zoo
from benchmark.pages import boards as board_pages
from benchmark.publish import Generated
from benchmark.record import Record
from benchmark.results import Results
from benchmark.results.boards import Board
from benchmark.results.cards import cards

STUDIES = "studies"  # folder of what `examples` and `zoo.uncertainty` wrote, a page's source
BEGIN, END = "<!-- {}:begin -->", "<!-- {}:end -->"  # around a generated section of a README


def project_pages(records: Sequence[Record], folder: Path, readme: Path | None = None) -> Generated:
    """The project's leaderboards: records, pages, tables, figures, and the sections of its README."""
    texts = record_texts(sorted(records, key=_order), folder / "records")
    results = Results(sorted(records, key=_order), protocol=True)
    records, boards = list(results.records), results.boards
    curves, matrix = build_curves(records), results.gradient_targets
    drawn = all_figures(boards, records, curves, matrix)
    texts |= {
        folder / "agreement.md": agreement.agreement_page(results),
        folder / "agreement.csv": agreement.agreement_table(results),
        folder / "anchors.md": board_pages.anchors_page(records),
        folder / "validity.md": validity.validity_page(folder / STUDIES, results.entries),
    }
    if curves:
        texts[folder / "paper.md"] = experiment.paper_page(curves, drawn)
        texts[folder / "curves.csv"] = experiment.curves_table(curves)
        texts[folder / "claims.md"] = experiment.claims_page(curves)
    if matrix:
        texts[folder / "masking.md"] = gradient_targets.masking_page(matrix)
        texts[folder / "masking.csv"] = gradient_targets.masking_table(matrix)
    if cards():
        texts[folder / "zoo.md"] = zoo.zoo_page()
    if (folder / STUDIES).is_dir():
        texts[folder / "toolkit.md"] = toolkit.toolkit_page(folder / STUDIES)
        texts[folder / "propagation.md"] = propagation.propagation_page(folder / STUDIES)
    texts |= _board_texts(results, folder)
    texts[folder / "README.md"] = board_pages.index_page(boards, {path.name for path in texts})
    figures = {folder / "figures" / f"{name}.png": figure for name, figure in drawn.items()}
    return _with_readme(Generated(texts, figures), boards, folder, readme)


def own_pages(
    records: Sequence[Record], reference: Sequence[Record], folder: Path, readme: Path | None = None
) -> Generated:
    """The folder of a user's own runs: what his records give, and the reference's rows beside them, on the same images.

    reference: the project's records. They are not copied, and what the project has studied is not repeated.
    """
    texts = record_texts(sorted(records, key=_order), folder / "records")
    results = Results(sorted(records, key=_order), reference, protocol=True)
    records, boards = list(results.records), results.boards
    curves, matrix = build_curves(records), results.gradient_targets
    drawn = result_figures(boards, curves, matrix)
    texts[folder / "agreement.md"] = agreement.agreement_page(results)
    texts[folder / "agreement.csv"] = agreement.agreement_table(results)
    if curves:
        texts[folder / "curves.csv"] = experiment.curves_table(curves)
    if matrix:
        texts[folder / "masking.md"] = gradient_targets.masking_page(matrix)
        texts[folder / "masking.csv"] = gradient_targets.masking_table(matrix)
    texts |= _board_texts(results, folder)
    texts[folder / "README.md"] = board_pages.own_index_page(boards, {path.name for path in texts}, sorted(drawn))
    figures = {folder / "figures" / f"{name}.png": figure for name, figure in drawn.items()}
    return _with_readme(Generated(texts, figures), boards, folder, readme)


def _board_texts(results: Results, folder: Path) -> dict[Path, str]:
    """A page and a table for every data set, an audit for every entry, and what tells that it is attacked."""
    texts, boards = {}, results.boards
    for dataset in dict.fromkeys(board.dataset for board in boards):
        shown = [board for board in boards if board.dataset == dataset]
        texts[folder / f"{dataset}.md"] = board_pages.dataset_page(dataset, shown)
        texts[folder / f"{dataset}.csv"] = tables.csv_table(shown)
        if pairs := tables.pairs_table(shown):
            texts[folder / f"{dataset}-pairs.csv"] = pairs
    texts |= audit.audit_pages(results.entries, folder)
    if detected := audit.detection_table(results.entries):
        texts[folder / "detection.csv"] = detected
    return texts


def _with_readme(generated: Generated, boards: list[Board], folder: Path, readme: Path | None) -> Generated:
    """With the sections of a README that is there; where it lies in place of the front page, that is not generated."""
    if readme is None or not readme.is_file():
        return generated
    sections = {"leaderboard": tables.headline(boards, f"{folder.name}/"), "zoo": zoo.accuracy_table()}
    texts = {path: text for path, text in generated.texts.items() if path.resolve() != readme.resolve()}
    return Generated(texts, generated.figures, {readme: with_sections(readme, sections)})


def with_sections(readme: Path, sections: Mapping[str, str]) -> str:
    """The text of a file with its marked sections replaced. Raises ValueError for one that does not end."""
    text = readme.read_bytes().decode()
    for name, section in sections.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if found and not ended:
            raise ValueError(f"{readme} has {begin} but no {end}; restore it")
        if found:
            text = f"{before}{begin}\n{section}\n{end}{after}"
    return text


def _order(record: Record) -> tuple[object, ...]:
    cell = record.cell
    return cell.model, cell.attack.threat.norm, cell.attack.name, cell.attack.threat.eps, cell.start, record.key
