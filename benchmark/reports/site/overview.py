"""The first page: which networks are robust, and whether Bayes helps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmark.reports.overview import panels
from benchmark.reports.site.frame import Frame
from benchmark.results.boards import Board
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
        "Which networks are robust to adversarial attacks, and whether being Bayesian helps.",
        counts=counts,
        panels=panels(groups, boards),
        links=list(links),
    )
