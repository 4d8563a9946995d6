"""Look something up by name; who mistypes is told the nearest names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")


def lookup(table: Mapping[str, Value], name: str, kind: str) -> Value:
    """`table[name]`, or a KeyError that names the nearest entries."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(sorted(table)) or 'none'}"
    raise KeyError(f"no {kind} named {name!r}; {hint}")
