"""Figures of the boards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import format_eps
from benchmark.reports.tables import labelled, span, threat_title
from benchmark.results.boards import Board
from benchmark.results.rows import Row
from benchmark.results.share import Share
from zoo.style import Colour, architecture_of, family_line, network_style

_PANEL = 1.75  # inches: the height of a panel of curves


def worst_case(boards: list[Board]) -> Figure:
    """Worst-case robust accuracy of every entry under every threat model, with Wilson intervals.

    A dotted line leads to the accuracy under the white-box attacks alone.
    """
    figure = Figure(figsize=(7.0, 0.9 + 0.42 * max(len(board.rows) for board in boards)))
    columns = len(boards)
    axes = figure.subplots(1, columns, sharex=True, sharey=True, squeeze=False)[0]
    entries = list(dict.fromkeys(labelled(row) for board in boards for row in board.rows))
    for axis, board in zip(axes, boards, strict=True):
        for row in board.rows:
            low, high = (100 * bound for bound in row.worst.interval)
            y = entries.index(labelled(row))
            colour, marker = network_style(row.configuration.model)
            axis.plot([low, high], [y, y], color=colour, linewidth=2.0, solid_capstyle="butt")
            whitebox = 100 * row.whitebox.value
            axis.plot([100 * row.worst.value, whitebox], [y, y], color=colour, linewidth=1.0, linestyle=":")
            axis.plot(whitebox, y, "|", color=colour, markersize=7)
            face = _face(colour, row.family)
            axis.plot(100 * row.worst.value, y, marker, color=colour, markersize=5.5, markerfacecolor=face)
        axis.set_title(threat_title(board.norm, board.eps), fontsize=9)
        axis.set_xlim(-7, 107)
    axes[0].set_yticks(range(len(entries)), [entry.partition("/")[2] for entry in entries])
    axes[0].set_ylim(len(entries) - 0.5, -0.5)
    count = span(row.worst.count for board in boards for row in board.rows)
    figure.supxlabel(
        f"worst-case accuracy in %, {count} images, 95 % interval (filled: frequentist, open: Bayesian; "
        "tick: white-box attacks alone)",
        fontsize=8,
    )
    figure.tight_layout()
    return figure


def worst_case_curves(boards: Sequence[Board]) -> Figure:
    """Worst-case robust accuracy against eps, a row of panels an architecture, a panel a norm; at eps 0 clean images.

    All other networks are grey behind them. Thin steps: the images whose nearest adversarial image is further away, as
    attacks found it that look for that.
    """
    norms = list(dict.fromkeys(board.norm for board in boards))
    rows = [row for board in boards for row in board.rows]
    networks: dict[str, list[Row]] = {}  # the best of the first board first
    for row in rows:
        networks.setdefault(labelled(row), []).append(row)
    groups: dict[str, dict[str, list[Row]]] = {}
    for name, measured in networks.items():
        groups.setdefault(architecture_of(measured[0].configuration.model), {})[name] = measured
    figure = Figure(figsize=(7.0, 0.5 + _PANEL * len(groups)))
    panels = figure.subplots(len(groups), len(norms), sharex="col", sharey=True, squeeze=False)
    for line, (group, members) in zip(panels, groups.items(), strict=True):
        for axis, norm in zip(line, norms, strict=True):
            for name, measured in networks.items():
                if name not in members and (there := _of(measured, norm)):
                    axis.plot(*_points(there), color="0.85", linewidth=0.8, zorder=1)
            for measured in members.values():
                if there := _of(measured, norm):
                    _curve(axis, there)
            radii = sorted({row.threat.eps for row in rows if row.threat.norm == norm})
            axis.set_xticks([0.0, *radii], ["0", *map(format_eps, radii)])
            axis.set_ylim(-3, 103)
        if len(groups) > 1:
            line[0].set_ylabel(group)
        handles = [
            Line2D([], [], label=name.partition("/")[2], **_look(measured[0])) for name, measured in members.items()
        ]
        if any(row.distances is not None for measured in members.values() for row in measured):
            handles.append(Line2D([], [], color="gray", linewidth=0.6, drawstyle="steps", label="nearest images found"))
        line[-1].legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=7)
    for axis, norm in zip(panels[-1], norms, strict=True):
        axis.set_xlabel(f"eps ({norm})")
    figure.supylabel("worst-case accuracy in %", fontsize=9)
    figure.tight_layout()
    return figure


def _of(rows: Sequence[Row], norm: Norm) -> list[Row]:
    """Those in a norm, the smallest eps first."""
    return sorted((row for row in rows if row.threat.norm == norm), key=lambda row: row.threat.eps)


def _curve(axis: Axes, rows: Sequence[Row]) -> None:
    """A network's accuracy in a norm with its intervals, and its nearest images."""
    look = _look(rows[0])
    eps, values = _points(rows)
    axis.plot(eps, values, **look)
    low, high = zip(*(share.interval for share in _shares(rows)), strict=True)
    axis.fill_between(
        eps, [100 * v for v in low], [100 * v for v in high], color=look["color"], alpha=0.08, linewidth=0
    )
    distances = next((row.distances for row in reversed(rows) if row.distances is not None), None)
    if distances is not None:
        steps = [(radius, 100 * left) for radius, left in distances.curve if radius <= eps[-1]]
        x, y = zip(*steps, (eps[-1], steps[-1][1]), strict=True)
        axis.step(x, y, where="post", color=look["color"], linewidth=0.6)


def _points(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    """Eps and accuracy in %, from clean images on."""
    return [0.0, *(row.threat.eps for row in rows)], [100 * share.value for share in _shares(rows)]


def _shares(rows: Sequence[Row]) -> list[Share]:
    return [rows[0].clean, *(row.worst for row in rows)]


def _look(row: Row) -> dict[str, Any]:
    """How a network's curve is drawn, and shown in a legend."""
    colour, marker = network_style(row.configuration.model)
    return {
        "color": colour,
        "marker": marker,
        "linestyle": family_line(row.family),
        "linewidth": 1.2,
        "markersize": 4.5,
        "markerfacecolor": _face(colour, row.family),
    }


def _face(colour: Colour, family: str) -> Colour:
    return colour if family == "frequentist" else "white"
