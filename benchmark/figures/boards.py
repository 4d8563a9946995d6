"""Figures of the boards."""

from __future__ import annotations

from matplotlib.figure import Figure

from benchmark.boards import Board
from benchmark.tables import labelled, span, threat_title
from zoo.style import network_style


def worst_case(boards: list[Board]) -> Figure:
    """Worst-case robust accuracy of every entry under every threat model, with Wilson intervals.

    A dotted line leads to what the white-box attacks alone left standing.
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
            left = 100 * row.whitebox.value
            axis.plot([100 * row.worst.value, left], [y, y], color=colour, linewidth=1.0, linestyle=":")
            axis.plot(left, y, "|", color=colour, markersize=7)
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
