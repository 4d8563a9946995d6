"""Tables of the page: of dictionaries as Markdown takes them, and the one of threat models with drawn intervals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.attacks.methods import METHOD_OF
from benchmark.reports.shares import percent
from benchmark.reports.tables import threat_title
from benchmark.results.rows import Row
from benchmark.results.share import Share

_NUMBER = re.compile(r"[-–]|[\d.,]+( [\[+/→].*| of \d+| s| min .*| h .*)?|")  # what stands right-aligned
_LONG = 24  # letters, beyond which a cell is broken into lines


@dataclass(frozen=True)
class Table:
    """caption: what it shows. kinds: column by column, `number`, `word` or `sentence`. rows: cells, as text."""

    caption: str
    columns: list[str]
    kinds: list[str]
    rows: list[list[str]]


def table(lines: Iterable[Mapping[str, object]], caption: str) -> Table | None:
    """Dictionaries as a table, empty where a line lacks a key; None for no lines."""
    cells = list(lines)
    columns = list(dict.fromkeys(name for line in cells for name in line))
    rows = [[str(line.get(name, "")) for name in columns] for line in cells]
    kinds = [_kind(column) for column in zip(*rows, strict=True)]
    return Table(caption, [_with_unit(name) for name in columns], kinds, rows) if rows else None


def _kind(column: Sequence[str]) -> str:
    if all(_NUMBER.fullmatch(cell) for cell in column):
        return "number"
    return "sentence" if max(map(len, column)) > _LONG else "word"


def _with_unit(title: str) -> str:
    """A title that is not broken between a number and the word beside it."""
    return re.sub(r"(?<=\d) |(?<!,) (?=\d)", "\N{NO-BREAK SPACE}", title)


@dataclass(frozen=True)
class Figure:
    """A share in %, and its interval in brackets."""

    value: str
    interval: str

    @classmethod
    def of(cls, share: Share) -> Figure:
        value, _, interval = percent(share, interval=True).partition(" ")
        return cls(value, interval)


@dataclass(frozen=True)
class Drawn:
    """The worst case and its interval, and the white-box attacks alone, between 0 and 100. alt: the same in words."""

    value: float
    low: float
    high: float
    whitebox: float
    alt: str


@dataclass(frozen=True)
class RobustAccuracy:
    """The table of threat models. methods: its columns of attacks; a row has None where it lacks one."""

    methods: list[str]
    rows: list[dict[str, object]]


def robust_accuracy(rows: Sequence[Row]) -> RobustAccuracy:
    """rows: one a threat model."""
    by_method = [{METHOD_OF[attack].name: share for attack, share in row.attacks.items()} for row in rows]
    methods = list(dict.fromkeys(name for of_row in by_method for name in of_row))
    return RobustAccuracy(
        methods,
        [
            {
                "threat": threat_title(row.threat.norm, row.threat.eps),
                "worst": Figure.of(row.worst),
                "drawn": _drawn(row),
                "whitebox": Figure.of(row.whitebox),
                "attacks": [Figure.of(of_row[name]) if name in of_row else None for name in methods],
                "clean": Figure.of(row.clean),
                "draws": f"{row.configuration.attack_draws} / {row.configuration.judge_draws}",
            }
            for row, of_row in zip(rows, by_method, strict=True)
        ],
    )


def _drawn(row: Row) -> Drawn:
    value, (low, high), whitebox = row.worst.value, row.worst.interval, row.whitebox.value
    alt = (
        f"worst case {percent(row.worst)} %, between {100 * low:.1f} and {100 * high:.1f}; "
        f"white-box attacks alone {percent(row.whitebox)} %"
    )
    value, low, high, whitebox = (round(100 * share, 1) for share in (value, low, high, whitebox))
    return Drawn(value, low, high, whitebox, alt)
