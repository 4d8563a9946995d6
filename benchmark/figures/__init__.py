"""Figures: one function each, from boards, curves, the gradient-target matrix and model cards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from matplotlib.figure import Figure

from benchmark.curves import Curve
from benchmark.figures.boards import fgsm_anchor, measured_anchors, worst_case, worst_case_curves
from benchmark.figures.curves import accuracy_curves, curves_of
from benchmark.figures.gradient_targets import masking
from benchmark.figures.zoo import accuracy_against_draws, clean_accuracies
from benchmark.protocol import PAPER_GRIDS
from benchmark.record import Record
from benchmark.results.boards import Board, by_images
from benchmark.results.cards import accuracy_by_draws, cards
from benchmark.results.gradient_targets import Masked
from benchmark.tables import figure_name


def all_figures(
    boards: Sequence[Board], records: Sequence[Record], curves: Sequence[Curve], matrix: Sequence[Masked]
) -> dict[str, Callable[[], Figure]]:
    """Name -> what draws it, of every figure that there is something for: whether pages are fresh needs no drawing."""
    figures = result_figures(boards, curves, matrix)
    if measured := measured_anchors(records):
        figures["fgsm-anchor"] = partial(fgsm_anchor, measured)
    for dataset in dict.fromkeys(name.split("/")[0] for name in cards()):
        figures[f"{dataset}-clean"] = partial(clean_accuracies, dataset)
    if len(draws := accuracy_by_draws()):
        figures["draws"] = partial(accuracy_against_draws, draws)
    return figures


def result_figures(
    boards: Sequence[Board], curves: Sequence[Curve], matrix: Sequence[Masked]
) -> dict[str, Callable[[], Figure]]:
    """Those of results alone, without published numbers and the zoo's cards."""
    figures: dict[str, Callable[[], Figure]] = {}
    for dataset, groups in by_images(boards).items():
        for label, group in groups.items():
            figures[figure_name(dataset, "worst-case", label)] = partial(worst_case, group)
            figures[figure_name(dataset, "curves", label)] = partial(worst_case_curves, group)
    for dataset in dict.fromkeys(curve.dataset for curve in curves):
        for target, suffix in (("expected", ""), ("resampled", "-resampled")):
            if shown := curves_of(curves, dataset, target):
                for grid in PAPER_GRIDS:
                    figures[f"{dataset}-{grid}-eps{suffix}"] = partial(accuracy_curves, shown, grid)
    for dataset in dict.fromkeys(masked.dataset for masked in matrix):
        figures[f"{dataset}-masking"] = partial(masking, [masked for masked in matrix if masked.dataset == dataset])
    return figures
