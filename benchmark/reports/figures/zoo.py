"""Figures of the zoo itself, from the model cards."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmark.results.cards import cards
from benchmark.results.share import Share
from zoo.style import COLUMN, NETWORKS, network_of, network_style


def clean_accuracies(dataset: str) -> Figure:
    """Accuracy on the whole test split, from the model cards."""
    rows = []
    for name, card in cards().items():
        if name.startswith(f"{dataset}/"):
            results = card["results"]
            share = Share(round(results["accuracy"] * results["examples"]), results["examples"])
            family = "Bayesian" if "posterior" in results else "frequentist"
            rows.append((name, family, share))
    places = {network: place for place, network in enumerate(NETWORKS)}

    def place(row: tuple[str, str, Share]) -> tuple[int, str, bool]:
        network = network_of(row[0])
        return places.get(network, len(places)), network, row[1] == "Bayesian"

    rows.sort(key=place)
    figure = Figure(figsize=(COLUMN, 0.55 + 0.23 * len(rows)))
    axis = figure.subplots()
    for y, (name, family, share) in enumerate(rows):
        colour, marker = network_style(name)
        low, high = (100 * bound for bound in share.interval)
        axis.plot([low, high], [y, y], color=colour, linewidth=1.6, linestyle="-")
        face = "white" if family == "Bayesian" else colour
        axis.plot(100 * share.value, y, marker, color=colour, markersize=4.5, markerfacecolor=face)
        axis.annotate(
            f"{100 * share.value:.2f}", (high, y), xytext=(4, 0), textcoords="offset points", fontsize=6.5, va="center"
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


def accuracy_against_draws(frame: pd.DataFrame) -> Figure:
    """Test accuracy of the averaged softmax against the number of posterior draws, less that of the most draws."""
    figure = Figure(figsize=(COLUMN, 2.9))
    axis: Axes = figure.subplots()
    for entry, part in frame.groupby("entry", sort=False):
        colour, marker = network_style(str(entry))
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
    axis.set_ylabel("points of accuracy beside the most draws", fontsize=7.5)
    axis.legend(fontsize=6, frameon=False)
    figure.tight_layout(pad=0.4)
    return figure
