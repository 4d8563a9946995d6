"""Figures of draws: robust accuracy against how many the attacker has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmark.plan.ladder import Ladder
from benchmark.reports.tables import threat_title
from benchmark.results.draws import ByDraws, Way
from zoo.style import COLUMN, TARGETS
from zoo.targets import Schedule

_DASHES: dict[tuple[str, Schedule], tuple[float, tuple[float, ...]]] = {
    ("PGD", Schedule.FROZEN): (0, (1.2, 1.4)),
    ("PGD", Schedule.FRESH): (0, (4.5, 1.6)),
    ("MI-FGSM", Schedule.FRESH): (0, ()),
}


def climbed(ladders: Mapping[str, Ladder]) -> Figure:
    """Robust accuracy against fresh draws at each step, a line for every threat model. ladders: by its title."""
    figure = Figure(figsize=(COLUMN, 2.6))
    axis = figure.subplots()
    for title, ladder in ladders.items():
        draws = list(ladder.survivors)
        axis.plot(draws, [100 * left / ladder.count for left in ladder.survivors.values()], "o-", ms=3.5, label=title)
    _draws_axis(axis, sorted({draws for ladder in ladders.values() for draws in ladder.survivors}))
    axis.set_xlabel("fresh draws at each step", fontsize=7.5)
    axis.set_ylabel("surviving images in %", fontsize=7.5)
    axis.set_ylim(-3, 103)
    figure.legend(loc="lower center", ncols=2, frameon=False, fontsize=7)
    figure.tight_layout(rect=(0, 0.08 * math.ceil(len(ladders) / 2), 1, 1), pad=0.4)
    return figure


def by_draws(found: Sequence[ByDraws]) -> Figure:
    """A panel for every entry and threat model, a line for each way of using draws."""
    panels = list(dict.fromkeys((one.model, one.threat) for one in found))
    rows = (len(panels) + 1) // 2
    figure = Figure(figsize=(7.0, 0.65 + 1.6 * rows))
    axes = figure.subplots(rows, 2, squeeze=False).flatten()
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    for axis, (model, threat) in zip(axes, panels, strict=False):
        lines = [one for one in found if (one.model, one.threat) == (model, threat)]
        for one in lines:
            colour, marker = TARGETS[one.way.target]
            dashes = _DASHES[one.way.attack, one.way.schedule]
            numbers = list(one.surviving)
            heights = [100 * share.value for share in one.surviving.values()]
            axis.plot(numbers, heights, color=colour, marker=marker, ms=3.2, linewidth=1.1, linestyle=dashes)
        _draws_axis(axis, sorted({number for one in lines for number in one.surviving}))
        most = max(share.value for one in lines for share in one.surviving.values())
        axis.set_ylim(0, 115 * most)
        axis.set_title(f"{model.split('/')[1]}, {threat_title(threat.norm, threat.eps)}", fontsize=8, pad=3)
    figure.legend(
        handles=_handles({one.way for one in found}),
        loc="lower center",
        ncols=3,
        frameon=False,
        fontsize=7.5,
        handlelength=3,
    )
    bottom = 0.5 / figure.get_figheight()
    figure.supxlabel("the attacker's draws", fontsize=8, y=bottom)
    figure.supylabel("surviving images in %", fontsize=8)
    figure.tight_layout(rect=(0, bottom, 1, 1), pad=0.5)
    return figure


def _handles(ways: set[Way]) -> list[Line2D]:
    """One for each target, by its colour, and one for each way of using draws, by its dashes."""
    targets = [target for target in TARGETS if any(way.target == target for way in ways)]
    used = [of for of in _DASHES if any((way.attack, way.schedule) == of for way in ways)]
    by_colour = [
        Line2D([], [], linestyle="", marker=TARGETS[target][1], color=TARGETS[target][0], label=f"gradient of {target}")
        for target in targets
    ]
    by_dashes = [
        Line2D([], [], color="0.3", linestyle=_DASHES[attack, schedule], label=f"{attack}, {schedule} draws")
        for attack, schedule in used
    ]
    return [handle for pair in zip(by_colour, by_dashes, strict=False) for handle in pair] + [
        *by_colour[len(by_dashes) :],
        *by_dashes[len(by_colour) :],
    ]


def _draws_axis(axis: Axes, numbers: Sequence[int]) -> None:
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(list(numbers)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.tick_params(labelsize=7)
