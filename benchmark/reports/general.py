"""The benchmark's own reports: what each says of results, and its line on the front page.

A report is a function of results and a folder. It returns what is to lie in the folder: texts, figures, and a link to
them; nothing where it has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmark.reports import agreement as agreement_pages
from benchmark.reports import audits as audit
from benchmark.reports import boards as board_pages
from benchmark.reports import bounds as bounds_pages
from benchmark.reports import checks as validity
from benchmark.reports import gradient_targets as target_pages
from benchmark.reports import performance as speed
from benchmark.reports import readings, tables
from benchmark.reports import zoo_cards as zoo
from benchmark.reports.figures import (
    audit_figures,
    board_figures,
    bounds_figures,
    draws_figures,
    masking_figures,
    zoo_figures,
)
from benchmark.reports.publish import Generated, in_folder
from benchmark.results import Results
from benchmark.results.cards import cards

Report = Callable[[Results, Path], Generated]

STUDIES = "studies"  # folder of the files that measurements outside of a run write: pages are made from them


def leaderboards(results: Results, folder: Path) -> Generated:
    """A page, a table and a figure for every data set."""
    texts, links = {}, []
    for dataset in dict.fromkeys(board.dataset for board in results.boards):
        shown = [board for board in results.boards if board.dataset == dataset]
        texts[folder / f"{dataset}.md"] = board_pages.dataset_page(dataset, shown)
        texts[folder / f"{dataset}.csv"] = tables.csv_table(shown)
        if pairs := tables.pairs_table(shown):
            texts[folder / f"{dataset}-pairs.csv"] = pairs
        links.append(f"[{dataset}]({dataset}.md) ([CSV]({dataset}.csv))")
    return Generated(texts, in_folder(folder, board_figures(results.boards)), links=_line("Details", links))


def audits(results: Results, folder: Path) -> Generated:
    """An audit of every entry, and whether it notices that it is attacked."""
    texts = audit.audit_pages(results.entries, folder)
    names = sorted({entry.name for entry in results.entries})
    links = _line("Audits, entry by entry", [f"[{name}]({tables.audit_file(name)})" for name in names])
    if read := readings.readings_table(results.entries):
        texts[folder / "readings.csv"] = read
        title = "[Readings of networks with posterior draws](readings.csv)"
        links += (f"{title} headline, the judge's own draws, one draw a query, convergence in draws",)
    if detected := audit.detection_table(results.entries):
        texts[folder / "detection.csv"] = detected
        title = "[Does an entry notice that it is attacked?](detection.csv)"
        links += (f"{title} Uncertainty under attack, AUROC; tables in the audits",)
    return Generated(texts, in_folder(folder, audit_figures(results.entries)), links=links)


def checks(results: Results, folder: Path) -> Generated:
    """What the checks ask, and which of them catch which broken network."""
    link = "[The checks](validity.md), and the networks that are built to fool them"
    page = validity.validity_page(folder / STUDIES, results.entries)
    return Generated({folder / "validity.md": page}, links=(link,))


def the_zoo(_results: Results, folder: Path) -> Generated:
    """The networks themselves, from their cards."""
    texts = {folder / "zoo.md": zoo.zoo_page()} if cards() else {}
    links = ("[The zoo](zoo.md): accuracies against their goals, posteriors, draws",) if texts else ()
    return Generated(texts, in_folder(folder, zoo_figures()), links=links)


def gradient_targets(results: Results, folder: Path) -> Generated:
    """What a wrong gradient hides: a page, the numbers, and a figure a data set."""
    if not (matrix := results.gradient_targets):
        return Generated({})
    texts = {
        folder / "masking.md": target_pages.masking_page(matrix, results.draws),
        folder / "masking.csv": target_pages.masking_table(matrix),
    }
    if by_draws := readings.draws_table(results.draws):
        texts[folder / "draws.csv"] = by_draws
    figures = in_folder(folder, masking_figures(matrix) | draws_figures(results.draws))
    return Generated(texts, figures, links=("[What a wrong gradient hides](masking.md)",))


def bounds(results: Results, folder: Path) -> Generated:
    """What no attack can break: a page, the numbers, and a figure a data set."""
    if not (found := results.bounds):
        return Generated({})
    texts = {
        folder / "bounds.md": bounds_pages.bounds_page(found),
        folder / "bounds.csv": bounds_pages.bounds_table(found),
    }
    link = "[What no attack can break](bounds.md): certified accuracy beside attacked accuracy ([CSV](bounds.csv))"
    return Generated(texts, in_folder(folder, bounds_figures(found)), links=(link,))


def agreement(results: Results, folder: Path) -> Generated:
    """Whether the libraries agree."""
    texts = {folder / "agreement.md": agreement_pages.agreement_page(results)}
    if compared := agreement_pages.agreement_table(results):
        texts[folder / "agreement.csv"] = compared
    return Generated(texts, links=("[Agreement of the libraries](agreement.md)",))


def performance(_results: Results, folder: Path) -> Generated:
    """How fast it is, as `benchmark.bench` measured it."""
    if not (measured := speed.read_measured(folder / STUDIES / speed.FILE)):
        return Generated({})
    texts = {folder / "performance.md": speed.performance_page(measured)}
    return Generated(texts, links=("[Performance](performance.md), beside other libraries and other ways",))


def _line(title: str, links: list[str]) -> tuple[str, ...]:
    return (f"{title}: {', '.join(links)}",) if links else ()


REPORTS: tuple[Report, ...] = (leaderboards, audits, bounds, checks, the_zoo, gradient_targets, agreement, performance)
OWN_REPORTS: tuple[Report, ...] = (leaderboards, audits, bounds, gradient_targets, agreement)  # of a user's own runs
