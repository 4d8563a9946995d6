"""Figures of the boards."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import format_eps
from benchmark.reports.tables import labelled, span, threat_title
from benchmark.results.boards import Board
from benchmark.results.rows import Row
from benchmark.results.strongest import Distances
from zoo.style import family_line, network_style

_PANEL = 3.6  # inches: the height of curves


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
            face = colour if row.family == "frequentist" else "white"
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
    """Worst-case robust accuracy against eps, a panel a norm; at eps 0 the accuracy on clean images.

    Thin steps: the images whose nearest adversarial image is further away, as attacks found it that look for that.
    """
    norms = list(dict.fromkeys(board.norm for board in boards))
    rows = [row for board in boards for row in board.rows]
    entries = {labelled(row): row for row in rows}
    legend = 0.175 * ((len(entries) + any(row.distances is not None for row in rows) + 2) // 3)  # inches
    figure = Figure(figsize=(7.0, _PANEL + legend))
    axes = figure.subplots(1, len(norms), sharey=True, squeeze=False)[0]
    for axis, norm in zip(axes, norms, strict=True):
        for name, entry in entries.items():
            points = sorted(
                (row for row in rows if labelled(row) == name and row.threat.norm == norm),
                key=lambda row: row.threat.eps,
            )
            if not points:
                continue
            eps = [0.0, *(row.threat.eps for row in points)]
            shares = [points[0].clean, *(row.worst for row in points)]
            colour, marker = network_style(entry.configuration.model)
            face = colour if entry.family == "frequentist" else "white"
            line = family_line(entry.family)
            values = [100 * share.value for share in shares]
            axis.plot(
                eps, values, marker, color=colour, linestyle=line, linewidth=1.2, markersize=4.5, markerfacecolor=face
            )
            low, high = zip(*(share.interval for share in shares), strict=True)
            axis.fill_between(
                eps, [100 * v for v in low], [100 * v for v in high], color=colour, alpha=0.08, linewidth=0
            )
        radii = sorted({row.threat.eps for row in rows if row.threat.norm == norm})
        for model, distances in _distances(rows, norm).items():
            steps = [(eps, 100 * left) for eps, left in distances.curve if eps <= radii[-1]]
            x, y = zip(*steps, (radii[-1], steps[-1][1]), strict=True)
            axis.step(x, y, where="post", color=network_style(model)[0], linewidth=0.6)
        axis.set_xticks([0.0, *radii], ["0", *map(format_eps, radii)])
        axis.set(xlabel=f"eps ({norm})", ylim=(-3, 103))
    axes[0].set_ylabel("worst-case accuracy in %")
    handles = [
        Line2D(
            [],
            [],
            color=network_style(row.configuration.model)[0],
            marker=network_style(row.configuration.model)[1],
            linestyle=family_line(row.family),
            markerfacecolor="white" if row.family != "frequentist" else None,
            markersize=4.5,
            linewidth=1.2,
            label=name.partition("/")[2],
        )
        for name, row in entries.items()
    ]
    if any(row.distances is not None for row in rows):
        handles.append(Line2D([], [], color="gray", linewidth=0.6, drawstyle="steps", label="nearest images found"))
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=7.5)
    figure.tight_layout(rect=(0, legend / (_PANEL + legend), 1, 1))
    return figure


def _distances(rows: Sequence[Row], norm: Norm) -> dict[str, Distances]:
    """Entry -> the distances of its nearest adversarial images in a norm, where these were looked for."""
    of_norm = [row for row in rows if row.threat.norm == norm]
    return {row.configuration.model: row.distances for row in of_norm if row.distances is not None}
