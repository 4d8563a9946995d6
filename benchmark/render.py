"""All that is generated from records: the project's own leaderboards, and the folder of a user's own runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from benchmark import papers
from benchmark.records.archive import Archive, record_files
from benchmark.records.record import Record
from benchmark.reports import boards as board_pages
from benchmark.reports import overview, tables
from benchmark.reports.general import OWN_REPORTS, REPORTS
from benchmark.reports.publish import Generated, joined
from benchmark.results import Results
from benchmark.results.boards import Board
from benchmark.results.rows import Images
from benchmark.results.twins import twins_of

BEGIN, END = "<!-- {}:begin -->", "<!-- {}:end -->"  # around a generated section of a README


class Rendered(NamedTuple):
    """Results, and all that is generated from them."""

    results: Results
    generated: Generated


def project_pages(
    records: Sequence[Record],
    folder: Path,
    readme: Path | None = None,
    archive: Archive | None = None,
    submitted: Sequence[Record] = (),
    images: Mapping[str, bytes] = MappingProxyType({}),
) -> Rendered:
    """The project's leaderboards: records, pages, tables, figures, and the sections of its README.

    archive: the records that lie in the folder, which are written as they lie.
    submitted: records of accepted submissions, which count on boards and audits, and lie in folders of their own.
    images: as `Results` takes them.
    """
    of_papers = (paper.report for paper in papers.PAPERS)
    results = Results(sorted(records, key=_order), protocol=True, images=images)
    shown = _with_submitted(results, records, submitted, images)
    of_all = {report: shown if report in OWN_REPORTS else results for report in REPORTS}
    reports = (*of_all.items(), *((report, results) for report in of_papers))
    generated = joined(report(of, folder) for report, of in reports)
    twins = twins_of(shown.entries, shown.boards)
    texts = {
        folder / "README.md": board_pages.index_page(shown.boards, generated.links),
        folder / overview.FILE: overview.figure(overview.panels(twins, shown.boards)),
    }
    whole = joined([generated, _records(records, folder, archive), Generated(texts)])
    sections = _sections(shown.boards, folder) | {"overview": overview.section(twins, f"{folder.name}/")}
    return Rendered(shown, _with_readme(whole, sections, readme))


def _with_submitted(
    results: Results, records: Sequence[Record], submitted: Sequence[Record], images: Mapping[str, bytes]
) -> Results:
    """The results with those of accepted submissions; images that lower a row of the project's are of that row."""
    if not submitted:
        return results
    own = {record.cell.model for record in records}
    names = {record.cell.model for record in submitted} - own
    return Results(sorted([*records, *submitted], key=_order), protocol=True, submitted=names, images=images)


def own_pages(
    records: Sequence[Record],
    reference: Sequence[Record],
    folder: Path,
    readme: Path | None = None,
    archive: Archive | None = None,
    images: Mapping[str, bytes] = MappingProxyType({}),
) -> Rendered:
    """The folder of a user's own runs: what their records give, the reference's rows beside them on the same images.

    reference: the project's records. They are not copied, and the project's studies are not repeated.
    archive: the records that lie in the folder, which are written as they lie.
    images: as `Results` takes them.
    """
    of_papers = (paper.own_report for paper in papers.PAPERS)
    results = Results(sorted(records, key=_order), reference, protocol=True, images=images)
    generated = joined(report(results, folder) for report in (*OWN_REPORTS, *of_papers))
    figures = sorted(path.stem for path in generated.figures)
    front = board_pages.own_index_page(results.boards, generated.links, figures)
    parts = generated, _records(records, folder, archive), Generated({folder / "README.md": front})
    return Rendered(results, _with_readme(joined(parts), _sections(results.boards, folder), readme))


def _records(records: Sequence[Record], folder: Path, archive: Archive | None) -> Generated:
    files = record_files(sorted(records, key=_order), folder / "records", archive)
    return Generated(files.texts, lying=files.lying)


def _sections(boards: list[Board], folder: Path) -> dict[str, str]:
    """What a README may show, by the name of its marks."""
    return {"leaderboard": tables.headline(_headline(boards), f"{folder.name}/")}


def _with_readme(generated: Generated, sections: Mapping[str, str], readme: Path | None) -> Generated:
    """The pages with a README's sections, if there is one; where it is the front page itself, none is generated."""
    if readme is None or not readme.is_file():
        return generated
    texts = {path: text for path, text in generated.texts.items() if path.resolve() != readme.resolve()}
    return replace(generated, texts=texts, sections={readme: with_sections(readme, sections)})


def _headline(boards: list[Board]) -> list[Board]:
    """Of the data set with most rows the boards on most images, and before them those on most images with every entry.

    A README has room for no more.
    """
    rows = Counter[str]()
    for board in boards:
        rows[board.dataset] += len(board.rows)
    groups: dict[Images, list[Board]] = {}
    for board in boards:
        if board.dataset == max(rows, key=lambda name: rows[name]):
            groups.setdefault(board.images, []).append(board)
    entries = {images: max(len(board.rows) for board in of_images) for images, of_images in groups.items()}
    complete = [images for images, count in entries.items() if count == max(entries.values())]
    shown = {max(of, key=lambda images: len(images[1])) for of in (complete, list(groups)) if of}
    return [board for images, of_images in groups.items() if images in shown for board in of_images]


def with_sections(readme: Path, sections: Mapping[str, str]) -> str:
    """The text of a file with its marked sections replaced. Raises ValueError for one that does not end."""
    text = readme.read_bytes().decode()
    for name, section in sections.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, begun, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if begun and not ended:
            raise ValueError(f"{readme} has {begin} but no {end}; restore it")
        if begun:
            text = f"{before}{begin}\n{section}\n{end}{after}"
    return text


def _order(record: Record) -> tuple[object, ...]:
    cell = record.cell
    return cell.model, cell.attack.threat.norm, cell.attack.name, cell.attack.threat.eps, cell.start, record.key
