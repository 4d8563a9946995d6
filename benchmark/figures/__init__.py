"""Figures: one function each, from boards, curves, the gradient-target matrix and model cards."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import seaborn as sns
from matplotlib.figure import Figure

from benchmark.boards import Board
from benchmark.curves import Curve
from benchmark.figures.boards import fgsm_anchor, worst_case
from benchmark.figures.curves import accuracy_curves, curves_of
from benchmark.figures.masking import masking
from benchmark.figures.zoo import accuracy_against_draws, clean_accuracies
from benchmark.masking import Masked
from benchmark.pages.zoo import accuracy_by_draws, cards
from benchmark.protocol import PAPER_GRIDS
from benchmark.record import Record

matplotlib.use("Agg")
sns.set_theme(style="whitegrid", context="paper", palette="colorblind")


def draw_figures(
    boards: Sequence[Board], records: Sequence[Record], curves: Sequence[Curve], matrix: Sequence[Masked]
) -> dict[str, Figure]:
    """Name -> every figure that there is something for."""
    figures = {}
    if (anchor := fgsm_anchor(list(records))) is not None:
        figures["fgsm-anchor"] = anchor
    for dataset in dict.fromkeys(board.dataset for board in boards):
        figures[f"{dataset}-worst-case"] = worst_case([board for board in boards if board.dataset == dataset])
    for dataset in dict.fromkeys(name.split("/")[0] for name in cards()):
        figures[f"{dataset}-clean"] = clean_accuracies(dataset)
    for dataset in dict.fromkeys(curve.dataset for curve in curves):
        for target, suffix in (("expected", ""), ("resampled", "-resampled")):
            if shown := curves_of(curves, dataset, target):
                for grid in PAPER_GRIDS:
                    figures[f"{dataset}-{grid}-eps{suffix}"] = accuracy_curves(shown, grid)
    for dataset in dict.fromkeys(masked.dataset for masked in matrix):
        figures[f"{dataset}-masking"] = masking([masked for masked in matrix if masked.dataset == dataset])
    if len(draws := accuracy_by_draws()):
        figures["draws"] = accuracy_against_draws(draws)
    return figures
