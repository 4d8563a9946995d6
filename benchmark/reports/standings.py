"""The ranking in a terminal: a table for each data set, a line for each network, threat models across.

Whatever the width, no number, rank or verdict is cut: first the intervals go, then names are shortened in the middle,
then the table is broken, norm by norm and further where it must be.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmark.attacks.spec import format_eps
from benchmark.reports.shares import percent
from benchmark.reports.tables import labelled, rank, threat_title
from benchmark.results.boards import Board, by_images
from benchmark.results.rows import Row
from zoo.datasets import DATASETS

_SHORTEST = 12  # a name may be cut to this length before a table is broken
_MEANINGS = {
    "OPEN": "not all checks ran: --suite adaptive at two eps runs the rest",
    "FLAG": "a check found what may be chance: see python -m benchmark.audit",
    "FAIL": "a check says that these numbers cannot be believed: see python -m benchmark.audit",
    "ERROR": "an attack did not run, as said below",
}


@dataclass(frozen=True)
class _Line:
    """A network on the boards of a group; on some of them it may be missing."""

    name: str
    rows: dict[int, Row]  # by the board's place in the group

    @property
    def row(self) -> Row:
        return next(iter(self.rows.values()))

    @property
    def robustness(self) -> float:
        return sum(row.worst.value for row in self.rows.values()) / len(self.rows)


@dataclass(frozen=True)
class _Column:
    """Any column but that of the names. header: of two lines."""

    header: str
    cells: list[str]
    justify: Literal["left", "right"] = "right"

    @property
    def width(self) -> int:
        return max(len(text) for text in (*self.header.split("\n"), *self.cells))


def standings(boards: Iterable[Board], width: int) -> RenderableType:
    """All boards as tables of at most that width, and what the words and numbers in them mean."""
    boards = list(boards)
    parts: list[RenderableType] = []
    for dataset, groups in by_images(boards).items():
        for group in groups.values():
            parts.append(Text(_title(dataset, group), style="italic"))
            for table in _tables(dataset, group, width):
                parts += [table, Text()]
    return Group(*parts, *(Text(line) for line in _legend(boards, width)))


def _title(dataset: str, boards: Sequence[Board]) -> str:
    agreement = dict.fromkeys(level for board in boards for row in board.rows for level in row.agreement.values())
    libraries = f", libraries agree: {', '.join(agreement)}" if agreement else ""
    return f"{dataset}: {len(boards[0].images[1]):,} images{libraries}"


def _lines(dataset: str, boards: Sequence[Board]) -> list[_Line]:
    """The most robust first, by the mean over the boards that a network is on."""
    by_row: dict[tuple[object, bool], _Line] = {}
    for place, board in enumerate(boards):
        for row in board.rows:
            name = labelled(row).removeprefix(f"{dataset}/")
            by_row.setdefault((row.configuration, row.reference), _Line(name, {})).rows[place] = row
    return sorted(by_row.values(), key=lambda line: (-line.robustness, line.name))


def _tables(dataset: str, boards: Sequence[Board], width: int) -> Iterator[Table]:
    """The boards in as few tables as fit."""
    lines = _lines(dataset, boards)
    for division in _divisions(boards):
        for interval in (True, False):
            tables = [_table(lines, boards, part, width, interval) for part in division]
            if all(table is not None for table in tables):
                yield from (table for table in tables if table is not None)
                return
    for place in range(len(boards)):  # a terminal of forty columns: lines are longer
        table = _table(lines, boards, [place], 10_000, interval=False, longest=_SHORTEST)
        assert table is not None
        yield table


def _divisions(boards: Sequence[Board]) -> Iterator[list[list[int]]]:
    """Places of boards by table: all in one table, then a table for each norm, then more and more tables."""
    places = range(len(boards))
    by_norm = [[p for p in places if boards[p].norm == norm] for norm in dict.fromkeys(board.norm for board in boards)]
    yield [list(places)]
    for size in range(max(map(len, by_norm)), 0, -1):
        yield [part[start : start + size] for part in by_norm for start in range(0, len(part), size)]


def _table(
    lines: Sequence[_Line],
    boards: Sequence[Board],
    places: list[int],
    width: int,
    interval: bool,
    longest: int = 10_000,
) -> Table | None:
    """Some boards of a group; None where they do not fit. longest: names are cut to this length in any case."""
    shown = [line for line in lines if any(place in line.rows for place in places)]
    columns = _columns(shown, boards, places, interval)
    whole = max(*(len(line.name) for line in shown), len("network"))
    others = sum(column.width for column in columns)
    gap = 2 if min(whole, longest) + others + 2 * len(columns) <= width else 1
    room = min(longest, width - others - gap * len(columns))
    if room < (whole if interval else min(whole, _SHORTEST)):  # whole names are worth more than intervals
        return None
    names = shortened([line.name for line in shown], room)
    size = max(len(text) for text in (*names, "network"))
    table = Table(
        box=box.SIMPLE_HEAD,  # has one space between columns
        padding=(0, gap - 1, 0, 0),
        show_edge=False,
        pad_edge=False,
        width=size + others + gap * len(columns),
    )
    table.add_column("network", no_wrap=True)
    for column in columns:
        table.add_column(column.header, justify=column.justify, no_wrap=True)
    for name, *cells in zip(names, *(column.cells for column in columns), strict=True):
        table.add_row(*(Text(cell) for cell in (name, *cells)))
    return table


def _columns(lines: Sequence[_Line], boards: Sequence[Board], places: list[int], interval: bool) -> list[_Column]:
    norms = list(dict.fromkeys(boards[place].norm for place in places))
    heads = [f"{boards[place].norm}\n{format_eps(boards[place].eps)}" for place in places]
    return [
        _Column("family\n", [line.row.family for line in lines], "left"),
        _Column("clean\n", [percent(line.row.clean) for line in lines]),
        *(
            _Column(head, [_worst(line.rows.get(place), interval) for line in lines])
            for head, place in zip(heads, places, strict=True)
        ),
        _Column(
            "verdict\n" + ("/".join(norms) if len(norms) > 1 else ""),
            [_verdict([line.rows[place] for place in places if place in line.rows], norms) for line in lines],
            "left",
        ),
    ]


def _worst(row: Row | None, interval: bool) -> str:
    return "–" if row is None else f"{percent(row.worst, interval)} ({rank(row)})"


def _verdict(rows: Sequence[Row], norms: Sequence[str]) -> str:
    """`PASS`, or norm by norm where they differ: `PASS/FAIL`."""
    by_norm = {row.threat.norm: row.status for row in rows}
    if len(set(by_norm.values())) == 1 and len(by_norm) == len(norms):
        return next(iter(by_norm.values()))
    return "/".join(by_norm.get(norm, "–") for norm in norms)  # type: ignore[call-overload]


def shortened(names: Sequence[str], width: int) -> list[str]:
    """Names of at most that width, longer ones without their middle; different names stay so where possible."""
    for head in (1 / 2, 1 / 3, 2 / 3, 1 / 5, 4 / 5, 0, 1):
        short = [_shortened(name, width, round(head * (width - 1))) for name in names]
        if len(set(short)) == len(set(names)):
            return short
    return [_shortened(name, width, (width - 1) // 2) for name in names]


def _shortened(name: str, width: int, head: int) -> str:
    tail = width - 1 - head
    return name if len(name) <= width else f"{name[:head]}…{name[len(name) - tail :]}"


def _legend(boards: Sequence[Board], width: int) -> list[str]:
    """The words and numbers that are shown, explained once; none that does not occur."""
    rows = [row for board in boards for row in board.rows]
    draws = sorted({row.configuration.judge_draws for row in rows} - {1})
    # up to: an ensemble of five members has no more, whatever is asked for
    judged = (
        f", judged by up to {' or '.join(map(str, draws))} posterior draws where a network has any" if draws else ""
    )
    by_verdict = any(row.rank is None and row.attacks for row in rows)
    unranked = "; –: not ranked, for its verdict" if by_verdict else ""
    statuses = {row.status for row in rows}
    lines = [
        f"Accuracy in %: clean, and under the worst case of all attacks at an eps{judged}.",
        f"(rank): one more than there are networks that are certainly more robust on these images{unranked}.",
        *_guessing(rows),
        *_beyond(rows),
        *(f"{status}: {meaning}." for status, meaning in _MEANINGS.items() if status in statuses),
        "Pages: python -m benchmark.leaderboard",
    ]
    return [part for line in lines for part in textwrap.wrap(line, max(width, 20))]


def _guessing(rows: Sequence[Row]) -> Iterator[str]:
    """Networks that are no better than chance: most likely they were given other pixels than they were trained on."""
    for row in {row.configuration.model: row for row in rows}.values():
        classes = DATASETS[row.dataset].classes if row.dataset in DATASETS else math.inf
        if row.clean.interval[0] <= 1 / classes:
            yield (
                f"{row.configuration.model} may be guessing: {percent(row.clean)} % of clean images are right, of "
                f"{classes:g} classes. It is given pixels from 0 to 1: if it was trained on normalised ones say so "
                "(normalize=), if on 0 to 255 multiply in its forward pass; and its classes may be in another order."
            )


def _beyond(rows: Sequence[Row]) -> Iterator[str]:
    """What is said of own attacks and other settings, where there are any."""
    if any(not row.attacks for row in rows):
        yield "–: not ranked, where no attack of the protocol was run: own attacks and other settings make no rank."
    if further := dict.fromkeys(name for row in rows for name in row.further):
        yield f"In the worst case, and no part of the protocol: {'; '.join(further)}."
    for row in rows:
        for name, count in row.audit.evidence.outside(row.threat).items():
            where = threat_title(row.threat.norm, row.threat.eps)
            yield f"{name} left {count} images of {row.configuration.model} outside ball or box ({where}): none counts."
