"""Figures: one function each, from boards, the gradient-target matrix and model cards.

Functions that draw are handed out by name, not figures: to see whether pages are fresh, nothing need be drawn.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial

from matplotlib.figure import Figure

from benchmark.reports.figures.boards import worst_case, worst_case_curves
from benchmark.reports.figures.bounds import bands
from benchmark.reports.figures.draws import by_draws, climbed
from benchmark.reports.figures.gradient_targets import masking
from benchmark.reports.figures.zoo import accuracy_against_draws, clean_accuracies
from benchmark.reports.tables import audit_name, figure_name, threat_title
from benchmark.results.boards import Board, by_images
from benchmark.results.bounds import Bounded
from benchmark.results.cards import accuracy_by_draws, cards
from benchmark.results.draws import ByDraws
from benchmark.results.entries import Entry
from benchmark.results.gradient_targets import TargetComparison

Figures = dict[str, Callable[[], Figure]]


def as_png(figure: Figure) -> bytes:
    """A figure as notebooks show it."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120, bbox_inches="tight")
    return content.getvalue()


def board_figures(boards: Sequence[Board]) -> Figures:
    """The worst case of every entry, and against eps: two figures for each data set and set of images."""
    figures: Figures = {}
    for dataset, groups in by_images(boards).items():
        for label, group in groups.items():
            figures[figure_name(dataset, "worst-case", label)] = partial(worst_case, group)
            figures[figure_name(dataset, "curves", label)] = partial(worst_case_curves, group)
    return figures


def bounds_figures(found: Sequence[Bounded]) -> Figures:
    """What is certified and what attacks left, data set by data set."""
    return {
        f"{dataset}-bounds": partial(bands, [one for one in found if one.dataset == dataset])
        for dataset in dict.fromkeys(one.dataset for one in found)
    }


def masking_figures(matrix: Sequence[TargetComparison]) -> Figures:
    """What each gradient hides, data set by data set."""
    return {
        f"{dataset}-masking": partial(masking, [compared for compared in matrix if compared.dataset == dataset])
        for dataset in dict.fromkeys(compared.dataset for compared in matrix)
    }


def draws_figures(found: Sequence[ByDraws]) -> Figures:
    """Robust accuracy against the attacker's draws, data set by data set."""
    return {
        f"{dataset}-draws": partial(by_draws, [one for one in found if one.dataset == dataset])
        for dataset in dict.fromkeys(one.dataset for one in found)
    }


def audit_figures(entries: Sequence[Entry]) -> Figures:
    """The ladder of draws of every network that was climbed."""
    figures: Figures = {}
    for entry in entries:
        if ladders := entry.ladders:
            titled = {threat_title(threat.norm, threat.eps): ladder for threat, ladder in ladders.items()}
            figures[f"{audit_name(entry.name)}-ladder"] = partial(climbed, titled)
    return figures


def zoo_figures() -> Figures:
    """Those of the zoo's cards."""
    figures: Figures = {}
    for dataset in dict.fromkeys(name.split("/")[0] for name in cards()):
        figures[f"{dataset}-clean"] = partial(clean_accuracies, dataset)
    if len(draws := accuracy_by_draws()):
        figures["draws"] = partial(accuracy_against_draws, draws)
    return figures
