"""Figures of seed 000's experiment. Colour and marker are the network, line style the family, bands 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmark.boards import Share
from benchmark.curves import Curve, points
from benchmark.masking import Masked
from benchmark.protocol import ATTACKS, PAPER_GRIDS
from benchmark.tables import threat_title
from benchmark.zoo_page import accuracy_by_draws, cards
from zoo.targets import GRADIENT_TARGETS

COLUMN = 3.5  # inches: the width of a column of print
_COLOURS = sns.color_palette("colorblind")
# Dark to light, so that grey print tells them apart, too; the markers differ besides.
STYLES: dict[str, tuple[tuple[float, float, float], str]] = {
    "lenet": ((0.0, 0.17, 0.40), "o"),
    "alexnet": (_COLOURS[3], "s"),
    "3conv3fc": (_COLOURS[9], "^"),
    "lenet-adversarial": (_COLOURS[1], "v"),
}
_OTHER = (_COLOURS[7], "P")
_TARGET_MARKERS: dict[str, str] = dict(zip(GRADIENT_TARGETS, "oPs^D", strict=True))


def experiment_figures(curves: Sequence[Curve], matrix: Sequence[Masked]) -> dict[str, Figure]:
    """Name -> every figure that curves, matrix and model cards allow."""
    figures = {}
    for dataset in dict.fromkeys(curve.dataset for curve in curves):
        if any(name.startswith(f"{dataset}/") for name in cards()):
            figures[f"{dataset}-clean"] = clean_accuracies(dataset)
        for grid in PAPER_GRIDS:
            for target, suffix in (("expected", ""), ("single-draw", "-single-draw")):
                figures[f"{dataset}-{grid}-eps{suffix}"] = accuracy_curves(curves, dataset, grid, target)
    for dataset in dict.fromkeys(masked.dataset for masked in matrix):
        figures[f"{dataset}-masking"] = masking([masked for masked in matrix if masked.dataset == dataset])
    if len(draws := accuracy_by_draws()):
        figures["draws"] = accuracy_against_draws(draws)
    return figures


def accuracy_curves(curves: Sequence[Curve], dataset: str, grid: str, target: str) -> Figure:
    """Seed 000's figures 1, 2, 5 and 6: one panel per attack, all networks of a data set.

    target: what an attacker of a Bayesian network differentiates; a deterministic one is its own single draw.
    """
    shown = [
        curve
        for curve in curves
        if curve.dataset == dataset and curve.target == ("expected" if curve.family == "frequentist" else target)
    ]
    frame = points(shown)
    frame = frame[frame["eps"].isin(PAPER_GRIDS[grid])]
    bottom = 10 * int(10 * frame["low"].min())  # a multiple of ten below everything
    figure = Figure(figsize=(COLUMN, 4.0))
    axes = figure.subplots(2, 2, sharex=True, sharey=True).flatten()
    for axis, attack in zip(axes, ATTACKS, strict=True):
        for (entry, family), part in frame[frame["attack"] == attack].groupby(["entry", "family"], sort=False):
            colour, marker = _style(str(entry))
            axis.plot(
                part["eps"],
                100 * part["accuracy"],
                color=colour,
                linestyle=_line(str(family)),
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
    figure.supxlabel(f"eps of the attack ({_counted(frame)})", fontsize=7, y=0.105)
    figure.supylabel("accuracy in %", fontsize=7.5, x=0.0, y=0.57)
    _legend(figure, [str(entry) for entry in frame["entry"].unique()])
    figure.subplots_adjust(left=0.115, right=0.985, top=0.955, bottom=0.175, wspace=0.06, hspace=0.14)
    return figure


def clean_accuracies(dataset: str) -> Figure:
    """Seed 000's figures 3 and 4: accuracy on the whole test split, from the model cards."""
    rows = []
    for name, card in cards().items():
        if name.startswith(f"{dataset}/"):
            results = card["results"]
            share = Share(round(results["accuracy"] * results["examples"]), results["examples"])
            family = "Bayesian" if "posterior" in results else "frequentist"
            rows.append((name, family, share))
    places = {network: place for place, network in enumerate(STYLES)}
    rows.sort(key=lambda row: (places.get(_network(row[0]), len(places)), row[1] == "Bayesian"))
    figure = Figure(figsize=(COLUMN, 0.55 + 0.23 * len(rows)))
    axis = figure.subplots()
    for y, (name, family, share) in enumerate(rows):
        colour, marker = _style(name)
        low, high = (100 * bound for bound in share.interval)
        axis.plot([low, high], [y, y], color=colour, linewidth=1.6, linestyle="-")
        face = "white" if family == "Bayesian" else colour
        axis.plot(100 * share.value, y, marker, color=colour, markersize=4.5, markerfacecolor=face)
        axis.annotate(
            f"{100 * share.value:.1f}", (high, y), xytext=(4, 0), textcoords="offset points", fontsize=6.5, va="center"
        )
    axis.set_yticks(range(len(rows)), [name.split("/")[1] for name, _, _ in rows], fontsize=7)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    low, high = axis.get_xlim()
    axis.set_xlim(low, high + 0.12 * (high - low))
    axis.tick_params(axis="x", labelsize=6.5)
    axis.grid(linewidth=0.4)
    axis.set_xlabel(f"accuracy in % on {dataset}'s {rows[0][2].count:,} test images, 95 % interval", fontsize=7)
    figure.tight_layout(pad=0.4)
    return figure


def masking(matrix: Sequence[Masked]) -> Figure:
    """Accuracy under the gradient of every target: what stands to the right of the filled dot is invented."""
    threats = list(dict.fromkeys(masked.threat for masked in matrix))
    models = list(dict.fromkeys(masked.model for masked in matrix))
    figure = Figure(figsize=(7.0, 1.0 + 0.42 * len(models) * ((len(threats) + 1) // 2)))
    axes = figure.subplots((len(threats) + 1) // 2, 2, sharex=True, sharey=True, squeeze=False).flatten()
    for axis, threat in zip(axes, threats, strict=False):
        for masked in matrix:
            if masked.threat == threat:
                offset = (GRADIENT_TARGETS.index(masked.target) - 2) * 0.15
                y = models.index(masked.model) + offset
                is_expected = masked.target == "expected"
                colour = "black" if is_expected else _COLOURS[(0, 0, 3, 2, 1)[GRADIENT_TARGETS.index(masked.target)]]
                low, high = (100 * bound for bound in masked.standing.interval)
                axis.plot([low, high], [y, y], color=colour, linewidth=0.9, alpha=0.7)
                axis.plot(
                    100 * masked.standing.value,
                    y,
                    _TARGET_MARKERS[masked.target],
                    color=colour,
                    markersize=4.5,
                    markerfacecolor=colour if is_expected else "white",
                )
        axis.set_title(threat_title(threat.norm, threat.eps), fontsize=8, pad=3)
        axis.grid(axis="y", visible=False)
        axis.tick_params(labelsize=7.5)
        for boundary in range(len(models) - 1):
            axis.axhline(boundary + 0.5, color="0.8", linewidth=0.6)
    axes[0].set_yticks(range(len(models)), [model.split("/")[1] for model in models])
    axes[0].set_ylim(len(models) - 0.5, -0.5)
    axes[0].set_xlim(-4, 104)
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=_TARGET_MARKERS[target],
            color="black" if target == "expected" else _COLOURS[(0, 0, 3, 2, 1)[index]],
            markerfacecolor="black" if target == "expected" else "white",
            label=target,
        )
        for index, target in enumerate(GRADIENT_TARGETS)
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=5,
        frameon=False,
        fontsize=7.5,
        title="gradient of",
        title_fontsize=7.5,
    )
    counts = sorted({masked.standing.count for masked in matrix})
    figure.supxlabel(
        f"worst-case accuracy in %, {' to '.join(map(str, counts))} images, 95 % interval", fontsize=8, y=0.13
    )
    figure.tight_layout(rect=(0, 0.12, 1, 1), pad=0.5)
    return figure


def accuracy_against_draws(frame: pd.DataFrame) -> Figure:
    """Test accuracy of the averaged softmax against the number of posterior draws, less that of the most draws."""
    figure = Figure(figsize=(COLUMN, 2.9))
    axis: Axes = figure.subplots()
    for entry, part in frame.groupby("entry", sort=False):
        colour, marker = _style(str(entry))
        by_draws = part.set_index("draws")["accuracy"].sort_index()
        gain = 100 * (by_draws - by_draws.iloc[-1])
        dashed = not str(entry).startswith("mnist/")
        axis.plot(
            gain.index,
            gain,
            marker=marker,
            color=colour,
            linestyle="--" if dashed else "-",
            linewidth=1,
            markersize=3,
            markerfacecolor="white" if dashed else colour,
            label=str(entry),
        )
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.tick_params(labelsize=6.5)
    axis.grid(linewidth=0.4)
    axis.set_xlabel("posterior draws averaged", fontsize=7.5)
    axis.set_ylabel(f"points of accuracy beside {frame['draws'].max()} draws", fontsize=7.5)
    axis.legend(fontsize=6, frameon=False)
    figure.tight_layout(pad=0.4)
    return figure


def _network(entry: str) -> str:
    return entry.split("/")[1].removeprefix("bayesian-")


def _style(entry: str) -> tuple[tuple[float, float, float], str]:
    return STYLES.get(_network(entry), _OTHER)


def _line(family: str) -> tuple[float, Sequence[float]] | None:
    return (0, ()) if family == "frequentist" else (0, (4, 1.6))


def _counted(frame: pd.DataFrame) -> str:
    """`1000 images; 250 for alexnet, 3conv3fc`."""
    by_count: dict[int, list[str]] = {}
    for entry, count in frame.groupby("entry", sort=False)["images"].min().items():
        names = by_count.setdefault(int(count), [])
        if (name := _network(str(entry))) not in names:
            names.append(name)
    first, *others = sorted(by_count, reverse=True)
    return "; ".join([f"{first:,} images", *(f"{count:,} for {', '.join(by_count[count])}" for count in others)])


def _legend(figure: Figure, entries: Sequence[str]) -> None:
    """Networks by colour and marker, families by line."""
    networks = [name for name in (*STYLES, "other") if any(_network(entry) == name for entry in entries)]
    handles = [
        Line2D([], [], color=STYLES[name][0], marker=STYLES[name][1], markersize=3, linewidth=1, label=name)
        for name in networks
    ]
    handles += [
        Line2D([], [], color="0.3", linestyle=_line(family), linewidth=1, label=label)
        for family, label in (("frequentist", "frequentist"), ("bayesian", "Bayesian"))
    ]
    figure.legend(
        handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=6.5, columnspacing=1.2, handlelength=2.2
    )
