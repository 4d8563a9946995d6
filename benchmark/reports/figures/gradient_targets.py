"""Figures of gradient targets: by how much each overestimates robustness."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.reports.tables import span, threat_title
from benchmark.results.gradient_targets import TargetComparison
from zoo.style import TARGETS

LEGEND = 0.5  # inches


def masking(matrix: Sequence[TargetComparison]) -> Figure:
    """Accuracy under the gradient of every target: one to the right of the filled dot overestimates robustness."""
    threats = list(dict.fromkeys(compared.threat for compared in matrix))
    models = list(dict.fromkeys(compared.model for compared in matrix))
    height = LEGEND + 0.45 + 0.52 * len(models) * ((len(threats) + 1) // 2)
    figure = Figure(figsize=(7.0, height))
    axes = figure.subplots((len(threats) + 1) // 2, 2, sharex=True, sharey=True, squeeze=False).flatten()
    for axis, threat in zip(axes, threats, strict=False):
        for compared in matrix:
            if compared.threat == threat:
                y = (
                    models.index(compared.model)
                    + (list(TARGETS).index(compared.target) - (len(TARGETS) - 1) / 2) * 0.12
                )
                colour, marker = TARGETS[compared.target]
                low, high = (100 * bound for bound in compared.surviving.interval)
                axis.plot([low, high], [y, y], color=colour, linewidth=0.9, alpha=0.7)
                axis.plot(
                    100 * compared.surviving.value,
                    y,
                    marker,
                    color=colour,
                    markersize=4.2,
                    markerfacecolor=colour if compared.target == "expected" else "white",
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
            marker=marker,
            color=colour,
            markerfacecolor=colour if target == "expected" else "white",
            label=target,
        )
        for target, (colour, marker) in TARGETS.items()
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=len(handles),
        handletextpad=0.1,
        columnspacing=1.2,
        frameon=False,
        fontsize=7.5,
        title="gradient of",
        title_fontsize=7.5,
    )
    count = span(compared.surviving.count for compared in matrix)
    figure.supxlabel(f"worst-case accuracy in %, {count} images, 95 % interval", fontsize=8, y=LEGEND / height)
    figure.tight_layout(rect=(0, LEGEND / height, 1, 1), pad=0.5)
    return figure
