"""How tables are written."""

from __future__ import annotations

from benchmark.reports.tables import markdown


def test_a_row_that_lacks_a_column_is_empty_there() -> None:
    lines = markdown([{"a": 1, "b": 2}, {"a": 3}]).splitlines()
    assert [cell.strip() for cell in lines[-1].split("|")[1:-1]] == ["3", ""]
