"""The records that lie beside the pages: one JSON file an entry, packed by xz, per-example outcomes included."""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import json
import lzma
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmark.protocol import required_agreement
from benchmark.records.agreement import meets
from benchmark.records.beside import Contents, read_copy, write_copy
from benchmark.records.outcome import Outcome
from benchmark.records.record import SCHEMA_VERSION, Record

_EVIDENCE = "-adaptive"


class Archive(dict[str, Record]):
    """Key -> record, and which files they were read from: what has not changed need not be written again."""

    def __init__(self) -> None:
        super().__init__()
        self._files: dict[Path, Contents] = {}

    def read(self, path: Path, keep_copy: bool = False) -> None:
        """Take in a file; records made by another version are out of date, like another protocol's, and left out.

        keep_copy: whether a packed copy may be left beside the file, which is read in a sixth of the time.
        Raises ValueError naming a file that cannot be read.
        """
        content = path.read_bytes()
        if (contents := read_copy(path, content)) is None:
            try:
                contents = _contents(lzma.decompress(content).decode())
            except (ValueError, KeyError, TypeError, lzma.LZMAError, EOFError) as error:
                raise ValueError(
                    f"{path} is no file of records ({error}); restore it, delete it, or choose another folder by "
                    "--folder"
                ) from error
            if keep_copy:
                write_copy(path, content, contents)
        self._files[path] = contents
        self.update((record.key, record) for record in contents.records)

    def lying(self, path: Path, records: list[Record]) -> str | None:
        """sha256 of the text at a path, if that is what is to be written of these records; None otherwise."""
        of_file = self._files.get(path)
        same = of_file is not None and list(map(id, of_file.records)) == list(map(id, records))
        return of_file.sha256 if of_file is not None and same else None

    def line(self, record: Record) -> str:
        """The record as a line of a file: if it was read, as it was there."""
        if self.get(record.key) is record:
            return self._lines[record.key]
        return json.dumps(record.to_json(), sort_keys=True, allow_nan=False)

    @functools.cached_property
    def _lines(self) -> dict[str, str]:
        """Key -> line, of the files as they lie. They are many times as large as the records: most are never needed."""
        texts = (lzma.decompress(path.read_bytes()).decode() for path in self._files)
        return {json.loads(line)["key"]: line for text in texts for line in _lines(text)}


def read_records(folder: Path, dataset: str = "*", model: str | None = None, keep_copies: bool = False) -> Archive:
    """The records of every file, or of those of one data set, or of those with a model's records.

    keep_copies: whether packed copies may be left beside the files for the next time; see `benchmark.records.beside`.
    Raises ValueError naming a file that cannot be read.
    """
    records = Archive()
    names = ["*"] if model is None else [f"{file_name(model)}{suffix}" for suffix in ("", _EVIDENCE)]
    with _all_kept():
        for path in sorted(path for name in names for path in folder.glob(f"{dataset}/{name}.json.xz")):
            records.read(path, keep_copies)
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


def _contents(text: str) -> Contents:
    lines = _lines(text)
    records = [Record.from_json(fields) for line in lines if (fields := json.loads(line))["schema"] == SCHEMA_VERSION]
    whole = bool(records) and text == _text(records[0], lines) and len(records) == len(lines)
    return Contents(records, hashlib.sha256(text.encode()).hexdigest() if whole else None)


def _lines(text: str) -> list[str]:
    """A record each, as `record_files` writes them, or as they are found in a file that was written anew since."""
    first, *lines = text.splitlines()
    if re.fullmatch(r'\{"entry": ".*", "records": \[', first) and lines[-1:] == ["]}"]:
        return [line.removesuffix(",") for line in lines[:-1]]
    return [json.dumps(fields, sort_keys=True) for fields in json.loads(text)["records"]]


class RecordFiles(NamedTuple):
    """The files that hold records. texts: of those that are to be written. lying: sha256 of those that lie there."""

    texts: dict[Path, str]
    lying: dict[Path, str]


def record_files(records: Iterable[Record], folder: Path, archive: Archive | None = None) -> RecordFiles:
    """The files that hold the records. records: in their order in the files. archive: what lies there."""
    by_file: dict[Path, list[Record]] = {}
    for record in records:
        dataset, _, _ = record.cell.model.partition("/")
        # in files of their own: adaptive attacks that are run anew change no other file
        name = f"{file_name(record.cell.model)}{_EVIDENCE if record.role.is_evidence else ''}"
        by_file.setdefault(folder / dataset / f"{name}.json.xz", []).append(record)
    there = Archive() if archive is None else archive
    lying = {path: sha256 for path, of_file in by_file.items() if (sha256 := there.lying(path, of_file)) is not None}
    changed = {path: of_file for path, of_file in by_file.items() if path not in lying}
    texts = {path: _text(of_file[0], map(there.line, of_file)) for path, of_file in changed.items()}
    return RecordFiles(texts, lying)


def file_name(model: str) -> str:
    """An entry's name as that of its file of records, without the folder of its data set and the ending."""
    _, _, name = model.partition("/")
    return name.replace("/", "-").replace(":", "-")


def _text(first: Record, lines: Iterable[str]) -> str:
    """A file. first: the first of its records. lines: of all of them."""
    records = ",\n".join(lines)
    return f'{{"entry": {json.dumps(first.cell.model)}, "records": [\n{records}\n]}}\n'


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
