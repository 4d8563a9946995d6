"""The records that lie beside the pages: one JSON file an entry, packed by xz, per-example outcomes included."""

from __future__ import annotations

import contextlib
import gc
import json
import lzma
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmark.protocol import required_agreement
from benchmark.records.agreement import meets
from benchmark.records.outcome import Outcome
from benchmark.records.record import SCHEMA_VERSION, Record

_EVIDENCE = "-adaptive"


class Archive(dict[str, Record]):
    """Key -> record, with the line of its file: a record that was read is written again as the same line."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[str, str] = {}

    def read(self, line: str) -> None:
        """Take in a record; one made by another version is out of date, like another protocol's, and left out."""
        fields = json.loads(line)
        if fields["schema"] == SCHEMA_VERSION:
            record = Record.from_json(fields)
            self[record.key], self._lines[record.key] = record, line

    def line(self, record: Record) -> str:
        """The record as a line of a file."""
        if self.get(record.key) is record:
            return self._lines[record.key]
        return json.dumps(record.to_json(), sort_keys=True, allow_nan=False)


def read_records(folder: Path, dataset: str = "*", model: str | None = None) -> Archive:
    """The records of every file, or of those of one data set, or of those with a model's records.

    Raises ValueError naming a file that cannot be read.
    """
    records = Archive()
    names = ["*"] if model is None else [f"{_file_name(model)}{suffix}" for suffix in ("", _EVIDENCE)]
    with _all_kept():
        for path in sorted(path for name in names for path in folder.glob(f"{dataset}/{name}.json.xz")):
            try:
                for line in _lines(lzma.decompress(path.read_bytes()).decode()):
                    records.read(line)
            except (ValueError, KeyError, TypeError, lzma.LZMAError, EOFError) as error:
                raise ValueError(
                    f"{path} is no file of records ({error}); restore it, delete it, or choose another folder by "
                    "--folder"
                ) from error
    return records


@contextlib.contextmanager
def _all_kept() -> Iterator[None]:
    """Millions of numbers are read and none of them is garbage: Python's search for it takes a third of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _lines(text: str) -> list[str]:
    """A record each, as `record_texts` writes them, or as they are found in a file that was written anew since."""
    first, *lines = text.splitlines()
    if re.fullmatch(r'\{"entry": ".*", "records": \[', first) and lines[-1:] == ["]}"]:
        return [line.removesuffix(",") for line in lines[:-1]]
    return [json.dumps(fields, sort_keys=True) for fields in json.loads(text)["records"]]


def record_texts(records: Iterable[Record], folder: Path, lying: Archive | None = None) -> dict[Path, str]:
    """The files that hold the records: path -> text. records: in their order in the files."""
    by_file: dict[Path, list[Record]] = {}
    for record in records:
        dataset, _, _ = record.cell.model.partition("/")
        # in files of their own: adaptive attacks that are run anew change no other file
        name = f"{_file_name(record.cell.model)}{_EVIDENCE if record.role.is_evidence else ''}"
        by_file.setdefault(folder / dataset / f"{name}.json.xz", []).append(record)
    archive = Archive() if lying is None else lying
    return {path: _text(of_file, archive) for path, of_file in by_file.items()}


def _file_name(model: str) -> str:
    _, _, name = model.partition("/")
    return name.replace("/", "-").replace(":", "-")


def _text(records: list[Record], archive: Archive) -> str:
    lines = ",\n".join(map(archive.line, records))
    return f'{{"entry": {json.dumps(records[0].cell.model)}, "records": [\n{lines}\n]}}\n'


def merged(archived: Mapping[str, Record], new: Iterable[Record]) -> dict[str, Record]:
    """Key -> record of both. Of two with one key the archived one stays, unless the new one has other results.

    The same work done again elsewhere must not rewrite the files, nor a library's failure replace its result.
    """
    records = dict(archived)
    for record in new:
        before = records.get(record.key)
        if before is None or (_ran(before) <= _ran(record) and without_rounding(before) != without_rounding(record)):
            records[record.key] = record
    return records


def without_rounding(record: Record) -> dict[str, Any]:
    """The results of a record, without the numbers that another processor rounds otherwise.

    The key is all that determines an outcome, so probabilities, distances and pixels differ in their last digits only.
    """
    health, required = record.health, required_agreement(record.cell.attack)
    return {
        "outcomes": {name: _labels(one) for name, one in {"clean": record.clean, **record.outcomes}.items()},
        # whether the level is the one that is asked for: in l2 rounding alone makes pixels differ, and no verdict
        "agreement": [
            (p.first, p.second, meets(p.level, required), p.only_first, p.only_second) for p in record.agreement
        ],
        "health": None if health is None else (health.dead, health.undefined, health.probabilities, health.missed),
    }


def _labels(outcome: Outcome) -> tuple[object, ...]:
    return (
        outcome.correct,
        outcome.correct_attacker,
        outcome.predicted,
        outcome.violations,
        outcome.error is None,
    )


def _ran(record: Record) -> set[str]:
    return {library for library, outcome in record.outcomes.items() if outcome.error is None}
