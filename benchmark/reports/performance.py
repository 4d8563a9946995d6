"""How fast it is: the page of what `python -m benchmark.bench` measured, and of where each table was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmark.measure import TABLES
from benchmark.reports.page import render_page
from zoo.files import write_whole

FILE = "performance.json"  # in the folder of studies


class Measured(NamedTuple):
    """A table of `benchmark.measure.TABLES`, or several by title, and where, when and in how many rounds measured."""

    where: str
    tables: Any


def read_measured(path: Path) -> dict[str, Measured]:
    """By table, in the page's order; nothing where there is no file.

    Raises ValueError for a file that is damaged or has a table that the page does not know.
    """
    if not path.is_file():
        return {}
    try:
        found = {name: Measured(**fields) for name, fields in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged; restore it, or measure anew by python -m benchmark.bench") from error
    if unknown := sorted(found.keys() - set(TABLES)):
        raise ValueError(f"{path} has tables that the page does not know: {', '.join(unknown)}; take them out")
    return {name: found[name] for name in TABLES if name in found}


def write_measured(path: Path, measured: Mapping[str, Measured]) -> None:
    """These tables in place of what the file has of them, whole or not at all; its other ones stay."""
    whole = {**read_measured(path), **measured}
    text = json.dumps({name: whole[name]._asdict() for name in TABLES if name in whole}, indent=1)
    write_whole(path, f"{text}\n".encode())


def performance_page(measured: Mapping[str, Measured]) -> str:
    """A table that was not measured is left out."""
    tables = {name: measured[name].tables if name in measured else None for name in TABLES}
    where = {name: f"*{one.where}*" for name, one in measured.items()}
    return render_page("performance.md", None, where=where, **tables)
