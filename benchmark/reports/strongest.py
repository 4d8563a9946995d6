"""Columns that only rows have which were attacked by more: what AutoAttack left, how far nearest images are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from benchmark.plan.stronger_attacks import AUTOATTACK_PARTS
from benchmark.reports.shares import of_audit
from benchmark.results.rows import Row

_VALUES: dict[str, Callable[[Row], float | None]] = {
    "autoattack": lambda row: None if row.autoattack is None else row.autoattack.value,
    "median distance": lambda row: None if row.distances is None else row.distances.median,
}


def strongest_columns(rows: Iterable[Row]) -> list[str]:
    """Those that any row has. AutoAttack's only where all of its parts were run on one: to others nothing was left."""
    found = {name for row in rows for name, value in _VALUES.items() if value(row) is not None and _ran(name, row)}
    return [name for name in _VALUES if name in found]


def _ran(name: str, row: Row) -> bool:
    return name != "autoattack" or set(AUTOATTACK_PARTS) <= set(row.adaptive)


def strongest(row: Row, columns: Collection[str]) -> dict[str, object]:
    """Of these columns a row's cells: in %, and in the norm; empty where it was not measured."""
    return {name: _written(name, row) for name in columns}


def _written(name: str, row: Row) -> str:
    if name == "autoattack":
        return of_audit(row.autoattack, row)
    return "" if row.distances is None else f"{row.distances.median:.3g}"


def strongest_values(row: Row, columns: Collection[str]) -> dict[str, float | None]:
    """The same as numbers, for CSV."""
    return {name.replace(" ", "_"): _VALUES[name](row) for name in columns}
