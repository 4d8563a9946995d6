"""Figures of `Results`."""

from __future__ import annotations

import itertools

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zoo.style import network_style


def accuracy_against_eps(attack: str, frame: pd.DataFrame) -> Figure:
    """Robust accuracy of every network against eps, Wilson intervals as bands.

    frame: of `benchmark.results.frames.accuracy_by_eps`.
    """
    figure = Figure(figsize=(5.0, 3.2))
    axis = figure.subplots()
    for model, points in frame.groupby("model", sort=False):
        _, marker = network_style(str(model))
        (line,) = axis.plot(points["eps"], 100 * points["accuracy"], marker=marker, label=model, linewidth=1.6)
        axis.fill_between(points["eps"], 100 * points["low"], 100 * points["high"], alpha=0.15, color=line.get_color())
    axis.set(xlabel="eps", ylabel=f"accuracy under {attack} in %", ylim=(-3, 103))
    axis.set_xlim(left=0)
    axis.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    return figure


def loss_against_gradients(title: str, frame: pd.DataFrame) -> Figure:
    """The attacker's mean cross-entropy at each gradient, a line for every library, quantiles as bands.

    frame: of `benchmark.results.losses.Losses`.
    """
    figure = Figure(figsize=(5.0, 3.6))
    axis = figure.subplots()
    looks = itertools.cycle([("-", 3.2), ("--", 2.0), (":", 1.4)])  # libraries that agree lie on one another
    for (library, points), (dashes, width) in zip(frame.groupby("library", sort=False), looks, strict=False):
        (line,) = axis.plot(points["gradient"], points["mean"], dashes, label=library, linewidth=width)
        axis.fill_between(points["gradient"], points["low"], points["high"], alpha=0.12, color=line.get_color())
    axis.set(xlabel="gradient", ylabel="attacker's cross-entropy in nats", title=title)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylim(bottom=0)
    axis.legend(
        frameon=False, fontsize=8, title="mean; band: 10 % to 90 % of images", title_fontsize=8,
        ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.18),
    )  # fmt: skip
    figure.tight_layout()
    return figure
