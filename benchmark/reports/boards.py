"""Pages of the leaderboards: front page, data sets, agreement."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.protocol import ECE_BINS
from benchmark.reports.audits import reason
from benchmark.reports.page import render_page
from benchmark.reports.strongest import strongest_columns
from benchmark.reports.tables import (
    details,
    figure_name,
    headline,
    labelled,
    markdown,
    ranking,
    separations,
    threat_title,
)
from benchmark.results.boards import Board, by_images


def dataset_page(dataset: str, boards: list[Board]) -> str:
    """Everything about one data set. boards: its own, those on the same images together."""
    labelled_boards = [(label, board) for label, group in by_images(boards)[dataset].items() for board in group]
    return render_page(
        "dataset.md",
        dataset=dataset,
        bins=ECE_BINS,
        curves=[figure_name(dataset, "curves", label) for label in by_images(boards)[dataset]],
        references=any(row.reference for board in boards for row in board.rows),
        bounded=any(row.certified for board in boards for row in board.rows),
        has_bounds=any(row.certified and not row.reference for board in boards for row in board.rows),
        planted=any(row.detection for board in boards for row in board.rows),
        strongest=strongest_columns([row for board in boards for row in board.rows]),
        boards=[
            {
                "title": ", ".join(filter(None, (threat_title(board.norm, board.eps), label))),
                "images": f"{len(board.images[1]):,}",
                "restricted": [f"{labelled(row)} ({row.attacked:,})" for row in board.rows if not row.is_whole],
                "ranking": markdown(ranking(board, link="")),
                "unranked": [{"entry": labelled(row), "reason": reason(row)} for row in board.rows if row.rank is None],
                "details": markdown(details(board)),
                "separations": markdown(separations(board)),
            }
            for label, board in labelled_boards
        ],
    )


def index_page(boards: list[Board], links: Sequence[str]) -> str:
    """The front page of `leaderboards/`. links: a line for each report."""
    return render_page("index.md", headline=headline(boards), links=links, figures=_worst_cases(boards))


def own_index_page(boards: list[Board], links: Sequence[str], figures: list[str]) -> str:
    """The front page of a user's own folder. links: a line for each report. figures: the names of all."""
    return render_page(
        "own-index.md",
        headline=headline(boards),
        references=any(row.reference for board in boards for row in board.rows),
        links=links,
        first=_worst_cases(boards),
        figures=figures,
    )


def _worst_cases(boards: list[Board]) -> list[str]:
    return [
        figure_name(dataset, "worst-case", label) for dataset, groups in by_images(boards).items() for label in groups
    ]
