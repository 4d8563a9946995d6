"""Figures of `Results`."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

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
