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

_BESIDE = 2  # networks in a line, each with a panel a norm


def bands(found: Sequence[Bounded]) -> Figure:
    """Certified and attacked accuracy against eps, a panel a network and norm. found: of one data set."""
    models = list(dict.fromkeys(one.configuration.model for one in found))
    norms = [norm for norm in ("linf", "l2") if any(one.norm == norm for one in found)]
    radii = {norm: sorted({eps for one in found if one.norm == norm for eps in one.tried}) for norm in norms}
    lines = math.ceil(len(models) / _BESIDE)
    figure = Figure(figsize=(7.0, 0.4 + 1.5 * lines))
    grid = figure.subplots(lines, _BESIDE * len(norms), sharey=True, squeeze=False)
    for axis in grid.flat:
        axis.set_visible(False)
    for one in found:
        line, beside = divmod(models.index(one.configuration.model), _BESIDE)
        axis = grid[line, beside * len(norms) + norms.index(one.norm)]
        axis.set_visible(True)
        _panel(axis, one, radii[one.norm])
    for axes in grid:
        axes[0].set_ylabel("accuracy in %", fontsize=7.5)
    handles = [
        Line2D([], [], color="gray", linewidth=1.2, label="left by attacks"),
        Patch(facecolor="gray", alpha=0.25, label="not known"),
        Line2D([], [], color="gray", linewidth=2.2, label="certified"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.3 / figure.get_figheight(), 1, 1))
    return figure


def _panel(axis: Axes, one: Bounded, radii: Sequence[float]) -> None:
    """On a logarithmic scale, at whose left edge are the images as they are."""
    eps = [radii[0] / 2, *radii]
    above = [100 * one.above(0.0 if place == 0 else radius).value for place, radius in enumerate(eps)]
    below = [above[0], *(100 * one.below(radius).value for radius in radii)]
    (colour, _), line = network_style(one.configuration.model), family_line(one.family)
    axis.fill_between(eps, below, above, color=colour, alpha=0.25, linewidth=0)
    axis.plot(eps, above, color=colour, linewidth=1.2, linestyle=line)
    axis.plot(eps, below, color=colour, linewidth=2.2, linestyle=line)
    axis.set_xscale("log")
    shown = radii[1 :: math.ceil(len(radii) / 4)]  # the first is too near to the edge
    axis.set_xticks([eps[0], *shown], ["0", *map(format_eps, shown)], fontsize=6)
    axis.minorticks_off()
    axis.set_ylim(-3, 103)
    axis.tick_params(axis="y", labelsize=7)
    axis.set_title(f"{one.configuration.model.partition('/')[2]}, {one.norm}", fontsize=7)
