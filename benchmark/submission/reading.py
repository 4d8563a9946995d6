"""A submission's records, read strictly: packed no larger than records are, typed as they are, in the files they are.

The types are those of the dataclasses themselves, which pydantic checks: there is no second schema that could differ.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from benchmark.records.archive import record_files
from benchmark.records.record import Record
from benchmark.submission.finding import Finding, RefusedError, few
from benchmark.submission.folder import RECORDS, Folder, strict_json

LARGEST_TEXT = 256 * 2**20  # bytes: a thousand images of a network with draws take a twentieth
_ADAPTER = TypeAdapter(Record)


def read(folder: Folder) -> list[Record]:
    """All records. Raises RefusedError for what is none: damaged, of another schema, of other types."""
    found: list[Record] = []
    for name in folder.record_files:
        fields = strict_json(_unpacked(folder.bytes(name), name), name)
        if (
            not isinstance(fields, dict)
            or set(fields) != {"entry", "records"}
            or not isinstance(fields["records"], list)
        ):
            raise RefusedError(
                "records", f"{name} is no file of records: copy those that python -m benchmark.submit made"
            )
        found += [_record(one, f"{name}, record {number}") for number, one in enumerate(fields["records"])]
    if not found:
        raise RefusedError("records", f"there is no record below {RECORDS}/")
    return found


def misplaced(folder: Folder, records: list[Record]) -> Iterator[Finding]:
    """Files that do not hold what their names say."""
    root = Path(RECORDS)
    where = {path.as_posix() for path in record_files(records, root).texts}
    if odd := sorted(where ^ set(folder.record_files)):
        yield Finding("records", f"the records belong into {few(sorted(where))}; {few(odd)} is one too many or missing")


def _unpacked(content: bytes, name: str) -> str:
    """The text that xz packed. Raises RefusedError for what is no such text, or unpacks to more than records have."""
    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=2**29)
    try:
        text = unpacker.decompress(content, LARGEST_TEXT)
        if not unpacker.eof:
            raise RefusedError(
                "records", f"{name} is cut short, or more than {LARGEST_TEXT:,} bytes when it is unpacked"
            )
        if unpacker.unused_data:
            raise RefusedError("records", f"{name} goes on behind its end")
        return text.decode()
    except (lzma.LZMAError, EOFError, UnicodeDecodeError) as error:
        raise RefusedError("records", f"{name} is no text packed by xz: {error}") from None


def _record(fields: Any, where: str) -> Record:
    try:
        record = Record.from_json(fields)
        _ADAPTER.validate_json(json.dumps(asdict(record), allow_nan=False), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RefusedError("records", f"{where}, {place}: {first['msg']} ({str(first['input'])[:60]})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RefusedError("records", f"{where} is no record: {type(error).__name__}: {error}") from None
    if json.dumps(record.to_json(), sort_keys=True) != json.dumps(fields, sort_keys=True):
        raise RefusedError("records", f"{where} is not written as records are")
    return record
