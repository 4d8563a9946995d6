"""Pages of the leaderboards: front page, data sets, agreement, anchors, performance."""

from __future__ import annotations

from benchmark.anchors import compare_with_published
from benchmark.attacks.spec import format_eps
from benchmark.pages import render_page
from benchmark.pages.audit import reason
from benchmark.protocol import ECE_BINS
from benchmark.record import Record
from benchmark.results.boards import Board, by_images
from benchmark.tables import (
    audit_file,
    details,
    figure_name,
    headline,
    labelled,
    markdown,
    percent,
    ranking,
    separations,
    threat_title,
)


def dataset_page(dataset: str, boards: list[Board]) -> str:
    """Everything about one data set. boards: its own, those on the same images together."""
    labelled_boards = [(label, board) for label, group in by_images(boards)[dataset].items() for board in group]
    return render_page(
        "dataset.md",
        dataset=dataset,
        bins=ECE_BINS,
        curves=[figure_name(dataset, "curves", label) for label in by_images(boards)[dataset]],
        references=any(row.reference for board in boards for row in board.rows),
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


def anchors_page(records: list[Record]) -> str:
    """Our numbers beside published ones."""
    rows = [
        {
            "published": anchor.source,
            "attack": anchor.attack,
            "eps": format_eps(anchor.eps),
            "published %": f"{100 * anchor.value:.1f}",
            "our entry": anchor.entry,
            "ours % [95 %]": "not measured" if share is None else percent(share, interval=True),
            "images": "" if share is None else share.count,
        }
        for anchor, share in compare_with_published(records)
    ]
    return render_page("anchors.md", table=markdown(rows))


def index_page(boards: list[Board], pages: set[str]) -> str:
    """The front page of `leaderboards/`, with links to the pages there are."""
    datasets = list(dict.fromkeys(board.dataset for board in boards))
    audits = [(entry, audit_file(entry)) for entry in sorted({r.configuration.model for b in boards for r in b.rows})]
    return render_page("index.md", headline=headline(boards), datasets=datasets, pages=pages, audits=audits)


def own_index_page(boards: list[Board], pages: set[str], figures: list[str]) -> str:
    """The front page of a user's own folder, with links to the pages there are."""
    own = {row.configuration.model for board in boards for row in board.rows if not row.reference}
    return render_page(
        "own-index.md",
        headline=headline(boards),
        references=any(row.reference for board in boards for row in board.rows),
        datasets=list(dict.fromkeys(board.dataset for board in boards)),
        pages=pages,
        figures=figures,
        audits=[(entry, audit_file(entry)) for entry in sorted(own)],
    )


def performance_page(measured: dict[str, object], machine: str, repeats: int) -> str:
    """What `benchmark.bench` measured, by table; a table that was not measured is left out."""
    tables = dict.fromkeys(("gradients", "chunks", "libraries", "overhead", "growth", "options", "forecast")) | measured
    return render_page("performance.md", machine=machine, repeats=repeats, **tables)
