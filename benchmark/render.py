"""All that is generated from records: the project's own leaderboards, and the folder of a user's own runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark import papers
from benchmark.records.archive import record_texts
from benchmark.records.record import Record
from benchmark.reports import boards as board_pages
from benchmark.reports import tables
from benchmark.reports import zoo_cards as zoo
from benchmark.reports.general import OWN_REPORTS, REPORTS
from benchmark.reports.publish import Generated, joined
from benchmark.results import Results
from benchmark.results.boards import Board

BEGIN, END = "<!-- {}:begin -->", "<!-- {}:end -->"  # around a generated section of a README


def project_pages(records: Sequence[Record], folder: Path, readme: Path | None = None) -> Generated:
    """The project's leaderboards: records, pages, tables, figures, and the sections of its README."""
    of_papers = (paper.report for paper in papers.PAPERS)
    results = Results(sorted(records, key=_order), protocol=True)
    generated = joined(report(results, folder) for report in (*REPORTS, *of_papers))
    front = board_pages.index_page(results.boards, generated.links)
    return _whole(records, generated, front, results.boards, folder, readme)


def own_pages(
    records: Sequence[Record], reference: Sequence[Record], folder: Path, readme: Path | None = None
) -> Generated:
    """The folder of a user's own runs: what his records give, and the reference's rows beside them, on the same images.

    reference: the project's records. They are not copied, and what the project has studied is not repeated.
    """
    of_papers = (paper.own_report for paper in papers.PAPERS)
    results = Results(sorted(records, key=_order), reference, protocol=True)
    generated = joined(report(results, folder) for report in (*OWN_REPORTS, *of_papers))
    figures = sorted(path.stem for path in generated.figures)
    front = board_pages.own_index_page(results.boards, generated.links, figures)
    return _whole(records, generated, front, results.boards, folder, readme)


def _whole(
    records: Sequence[Record], generated: Generated, front: str, boards: list[Board], folder: Path, readme: Path | None
) -> Generated:
    """What reports gave, with the records, the front page and the sections of a README."""
    texts = record_texts(sorted(records, key=_order), folder / "records")
    whole = joined([generated, Generated({**texts, folder / "README.md": front})])
    return _with_readme(whole, boards, folder, readme)


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
