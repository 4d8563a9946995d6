"""Figures of bounds: a band from what is certified to what attacks left."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from benchmark.attacks.spec import format_eps
from benchmark.results.bounds import Bounded
from zoo.style import family_line, network_style

_COLUMNS = 4


def bands(found: Sequence[Bounded]) -> Figure:
    """Certified and attacked accuracy against eps, a panel a network and norm. found: of one data set."""
    by_norm = [[one for one in found if one.norm == norm] for norm in ("linf", "l2")]
    lines = [group[start : start + _COLUMNS] for group in by_norm for start in range(0, len(group), _COLUMNS)]
    figure = Figure(figsize=(7.0, 0.35 + 1.55 * len(lines)))
    grid = figure.subplots(len(lines), _COLUMNS, sharey=True, squeeze=False)
    for axes, line in zip(grid, lines, strict=True):
        for place, axis in enumerate(axes):
            if place < len(line):
                _panel(axis, line[place])
            else:
                axis.set_visible(False)
        axes[0].set_ylabel("accuracy in %", fontsize=8)
    handles = [
        Line2D([], [], color="gray", linewidth=1.2, label="left by attacks"),
        Patch(facecolor="gray", alpha=0.25, label="not known"),
        Line2D([], [], color="gray", linewidth=2.2, label="certified"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.3 / figure.get_figheight(), 1, 1))
    return figure


def _panel(axis: Axes, one: Bounded) -> None:
    eps = [one.tried[0] / 2, *one.tried]  # the scale is logarithmic; at the left edge the images as they are
    above = [100 * one.above(0.0 if radius < one.tried[0] else radius).value for radius in eps]
    below = [above[0], *(100 * one.below(radius).value for radius in one.tried)]
    colour, _ = network_style(one.configuration.model)
    axis.fill_between(eps, below, above, color=colour, alpha=0.25, linewidth=0)
    axis.plot(eps, above, color=colour, linewidth=1.2, linestyle=family_line(one.family))
    axis.plot(eps, below, color=colour, linewidth=2.2, linestyle=family_line(one.family))
    axis.set_xscale("log")
    shown = one.tried[:: math.ceil(len(one.tried) / 4)]
    axis.set_xticks([eps[0], *shown], ["0", *map(format_eps, shown)], fontsize=6.5)
    axis.minorticks_off()
    axis.set_ylim(-3, 103)
    axis.tick_params(axis="y", labelsize=7)
    axis.set_title(f"{one.configuration.model.partition('/')[2]}, {one.norm}", fontsize=7.5)
