"""The first page: which networks are robust, and does Bayes help?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmark.attacks.spec import ThreatModel
from benchmark.reports.site.bars import Bar
from benchmark.reports.site.frame import Frame
from benchmark.reports.tables import threat_title
from benchmark.results.boards import Board
from benchmark.results.entries import Entry
from benchmark.results.rows import Row
from benchmark.results.twins import Twins, counted


def overview(
    boards: Sequence[Board], groups: Mapping[str, Sequence[Twins]], frame: Frame, links: Iterable[dict[str, str]]
) -> bytes:
    """The front page. groups: data set -> its networks, twins together. links: reports that it leads to."""
    counts = counted(group for of_dataset in groups.values() for group in of_dataset)
    return frame.page(
        "index.html",
        "index.html",
        "Are Bayesian neural networks robust?",
        "Which networks are robust to adversarial attacks, and whether being Bayesian helps: intervals and paired tests.",
        counts=counts,
        tests=sum(counts.values()),
        panels=[panel(dataset, of_dataset, boards) for dataset, of_dataset in groups.items()],
        links=list(links),
    )


def panel(dataset: str, groups: Sequence[Twins], boards: Sequence[Board]) -> dict[str, object]:
    """A data set: its networks down, its threat models across."""
    threats = list(dict.fromkeys(ThreatModel(board.norm, board.eps) for board in boards if board.dataset == dataset))
    best = {threat: _best(dataset, threat, boards) for threat in threats}
    return {
        "dataset": dataset,
        "threats": [threat_title(one.norm, one.eps) for one in threats],
        "groups": [[_line(entry, group, best) for entry in group.entries] for group in groups],
    }


def _best(dataset: str, threat: ThreatModel, boards: Sequence[Board]) -> set[object]:
    """The networks of rank 1 on the board with most of them."""
    of = [board for board in boards if (board.dataset, board.norm, board.eps) == (dataset, threat.norm, threat.eps)]
    largest = max(of, key=lambda board: (len(board.rows), len(board.images[1])))
    return {row.configuration for row in largest.rows if row.rank == 1}


def short(name: str, dataset: str) -> str:
    return name.removeprefix(f"{dataset}/")


def _line(entry: Entry, group: Twins, best: Mapping[ThreatModel, set[object]]) -> dict[str, object]:
    rows = {row.threat: row for row in entry.rows}
    worst = [(norm, status) for norm, status in entry.statuses.items() if status != "PASS"]
    return {
        "configuration": entry.configuration,
        "name": short(entry.name, entry.dataset),
        "family": entry.rows[0].family,
        "clean": Bar.of(entry.rows[0].clean),
        "cells": [_cell(entry, group, rows.get(threat), of) for threat, of in best.items()],
        "verdicts": worst or [("", "PASS")],
    }


def _cell(entry: Entry, group: Twins, row: Row | None, best: set[object]) -> dict[str, object] | None:
    if row is None:
        return None
    test = group.tests.get((entry.name, row.threat))
    return {
        "bar": Bar.of(row.worst, row.whitebox),
        "best": row.configuration in best,
        "rankable": row.is_rankable,
        "status": row.status,
        "outcome": group.outcome(entry, row.threat),
        "p": None if test is None else f"{test.corrected:.2g}",
        "count": None if test is None else test.count,
    }
