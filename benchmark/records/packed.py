"""A record as bytes: JSON of all but the columns of its outcomes, then these as they lie in memory.

Columns are read when they are asked for, and most never are: a record is read in a tenth of the time that its JSON
takes. Whoever stores the bytes stores a checksum of them, too.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.records.outcome import COLUMNS, Outcome
from benchmark.records.record import SCHEMA_VERSION, Record

FORMAT = b"columns1"
_HEAD = len(FORMAT) + 8  # and the length of the JSON


def packed(record: Record) -> bytes:
    """Raises ValueError for a number that is not finite."""
    columns = list[bytes]()

    def of_outcome(outcome: Outcome) -> dict[str, Any]:
        others = {name: getattr(outcome, name) for name in outcome.__dataclass_fields__ if name not in COLUMNS}
        places = dict[str, tuple[int, int]]()
        for name in COLUMNS:
            if len(values := outcome.array(name)):
                if not np.isfinite(values).all():
                    raise ValueError(f"{record.cell.label}: {name} has a number that is not finite")
                places[name] = sum(map(len, columns)), len(values)
                columns.append(values.tobytes())
        return {**others, "columns": places}

    head = json.dumps(record.to_json(of_outcome), allow_nan=False, separators=(",", ":")).encode()
    return b"".join([FORMAT, len(head).to_bytes(8, "little"), head, *columns])


def unpacked(content: bytes, start: int = 0) -> Record | None:
    """The record that begins there; None for one of another schema, whose keys are others.

    content: packed, or JSON as stores once held it. Raises ValueError for what is neither.
    """
    if content[start : start + 1] == b"{":
        fields = json.loads(content)
        return Record.from_json(fields) if fields["schema"] == SCHEMA_VERSION else None
    if not content.startswith(FORMAT, start):
        raise ValueError("no packed record")
    end = start + _HEAD + int.from_bytes(content[start + len(FORMAT) : start + _HEAD], "little")
    fields = json.loads(content[start + _HEAD : end])
    if fields["schema"] != SCHEMA_VERSION:
        return None

    def outcome_of(others: dict[str, Any]) -> Outcome:
        return Outcome.of_columns(functools.partial(_column, content, end, others.pop("columns")), others)

    return Record.from_json(fields, outcome_of)


def _column(content: bytes, start: int, places: Mapping[str, Sequence[int]], name: str) -> NDArray[Any]:
    """places: name -> offset from `start` in bytes, and number of values."""
    offset, count = places.get(name, (0, 0))
    return np.frombuffer(content, COLUMNS[name], count, start + offset) if count else np.empty(0, COLUMNS[name])
