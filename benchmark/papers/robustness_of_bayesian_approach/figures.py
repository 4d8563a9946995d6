"""The paper's figures of accuracy against eps. Bands are 95 % intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.papers.robustness_of_bayesian_approach.curves import Curve, points
from benchmark.papers.robustness_of_bayesian_approach.suite import GRIDS
from benchmark.protocol import ATTACKS
from benchmark.reports.figures import Figures
from zoo.style import COLUMN, NETWORKS, family_line, network_of, network_style


def curve_figures(curves: Sequence[Curve]) -> Figures:
    """A figure for every data set and grid, under either gradient target."""
    figures: Figures = {}
    for dataset in dict.fromkeys(curve.dataset for curve in curves):
        for target, suffix in (("expected", ""), ("resampled", "-resampled")):
            if shown := curves_of(curves, dataset, target):
                for grid in GRIDS:
                    figures[f"{dataset}-{grid}-eps{suffix}"] = partial(accuracy_curves, shown, grid)
    return figures


def accuracy_curves(curves: Sequence[Curve], grid: str) -> Figure:
    """The paper's figures 1, 2, 5 and 6: one panel per attack, all networks of a data set."""
    frame = points(curves)
    frame = frame[frame["eps"].isin(GRIDS[grid])]
    bottom = 10 * int(10 * frame["low"].min())  # a multiple of ten below everything
    figure = Figure(figsize=(COLUMN, 4.0))
    axes = figure.subplots(2, 2, sharex=True, sharey=True).flatten()
    for axis, attack in zip(axes, ATTACKS, strict=True):
        for (entry, family), part in frame[frame["attack"] == attack].groupby(["entry", "family"], sort=False):
            colour, marker = network_style(str(entry))
            axis.plot(
                part["eps"],
                100 * part["accuracy"],
                color=colour,
                linestyle=family_line(str(family)),
                marker=marker,
                markersize=2.6,
                linewidth=1.0,
                markevery=2,
                markerfacecolor=colour if family == "frequentist" else "white",
                markeredgewidth=0.7,
            )
            axis.fill_between(part["eps"], 100 * part["low"], 100 * part["high"], color=colour, alpha=0.13, linewidth=0)
        axis.set_title(attack, fontsize=7.5, pad=2)
        axis.set(ylim=(bottom - 3, 103))
        axis.tick_params(labelsize=6.5, pad=1)
        axis.grid(linewidth=0.4)
    figure.supxlabel(f"eps of the attack ({_counted(frame)}; band: 95 %)", fontsize=7, y=0.105)
    figure.supylabel("accuracy in %", fontsize=7.5, x=0.0, y=0.57)
    _legend(figure, [str(entry) for entry in frame["entry"].unique()])
    figure.subplots_adjust(left=0.115, right=0.985, top=0.955, bottom=0.175, wspace=0.06, hspace=0.14)
    return figure


def curves_of(curves: Sequence[Curve], dataset: str, target: str) -> list[Curve]:
    """The curves of a data set under one gradient target; none if no Bayesian entry has it. Others have but one."""
    of_dataset = [curve for curve in curves if curve.dataset == dataset]
    shown = [curve for curve in of_dataset if curve.target == target or curve.family == "frequentist"]
    return shown if target == "expected" or any(curve.target == target for curve in shown) else []


def _counted(frame: pd.DataFrame) -> str:
    """`1,000 images; 250 for alexnet, 3conv3fc`: one name for a network and its twin where both have as many."""
    least = frame.groupby("entry", sort=False)["images"].min()
    twins: dict[str, set[int]] = defaultdict(set)
    for entry, count in least.items():
        twins[network_of(str(entry))].add(int(count))
    by_count: dict[int, dict[str, None]] = defaultdict(dict)  # names in their order, each once
    for entry, count in least.items():
        network = network_of(str(entry))
        by_count[int(count)][network if len(twins[network]) == 1 else str(entry).split("/")[1]] = None
    first, *others = sorted(by_count, reverse=True)
    return "; ".join([f"{first:,} images", *(f"{count:,} for {', '.join(by_count[count])}" for count in others)])


def _legend(figure: Figure, entries: Sequence[str]) -> None:
    """Networks by colour and marker, families by line."""
    shown = {network_of(entry): network_style(entry) for entry in entries}
    handles = [
        Line2D([], [], color=shown[name][0], marker=shown[name][1], markersize=3, linewidth=1, label=name)
        for name in dict.fromkeys((*NETWORKS, *shown))
        if name in shown
    ]
    handles += [
        Line2D([], [], color="0.3", linestyle=family_line(family), linewidth=1, label=label)
        for family, label in (("frequentist", "frequentist"), ("bayesian", "Bayesian"))
    ]
    figure.legend(
        handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=6.5, columnspacing=1.2, handlelength=2.2
    )
