"""Figures: one function each, from boards, the gradient-target matrix and model cards.

Functions that draw are handed out by name, not figures: to see whether pages are fresh, nothing need be drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from matplotlib.figure import Figure

from benchmark.reports.figures.boards import worst_case, worst_case_curves
from benchmark.reports.figures.gradient_targets import masking
from benchmark.reports.figures.zoo import accuracy_against_draws, clean_accuracies
from benchmark.reports.tables import figure_name
from benchmark.results.boards import Board, by_images
from benchmark.results.cards import accuracy_by_draws, cards
from benchmark.results.gradient_targets import TargetComparison

Figures = dict[str, Callable[[], Figure]]


def board_figures(boards: Sequence[Board]) -> Figures:
    """The worst case of every entry, and against eps: two figures for each data set and set of images."""
    figures: Figures = {}
    for dataset, groups in by_images(boards).items():
        for label, group in groups.items():
            figures[figure_name(dataset, "worst-case", label)] = partial(worst_case, group)
            figures[figure_name(dataset, "curves", label)] = partial(worst_case_curves, group)
    return figures


def masking_figures(matrix: Sequence[TargetComparison]) -> Figures:
    """What each gradient hides, data set by data set."""
    return {
        f"{dataset}-masking": partial(masking, [compared for compared in matrix if compared.dataset == dataset])
        for dataset in dict.fromkeys(compared.dataset for compared in matrix)
    }


def zoo_figures() -> Figures:
    """Those of the zoo's cards."""
    figures: Figures = {}
    for dataset in dict.fromkeys(name.split("/")[0] for name in cards()):
        figures[f"{dataset}-clean"] = partial(clean_accuracies, dataset)
    if len(draws := accuracy_by_draws()):
        figures["draws"] = partial(accuracy_against_draws, draws)
    return figures
