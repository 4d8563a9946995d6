"""Packed copies beside the large files of the archive, which are read in their place.

A copy names the file that it was made from by checksum, and ends with one of itself. One that is damaged, of another
file or of another version is none, and the file itself is read. It may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from benchmark.records.packed import FORMAT, packed, unpacked
from benchmark.records.record import SCHEMA_VERSION, Record
from zoo.files import write_whole

WORTH_A_COPY = 2**20  # bytes of a file: it takes half a second to be read
_DIGEST = hashlib.sha256().digest_size


class Contents(NamedTuple):
    """What a file of the archive holds.

    sha256: of its text, if that is what would be written of these records, and nothing else; None otherwise.
    """

    records: list[Record]
    sha256: str | None


def copy_of(path: Path) -> Path:
    """Where the copy of a file lies."""
    return path.with_name(f".{path.name}.columns")


def read_copy(path: Path, content: bytes) -> Contents | None:
    """What a file holds, by its copy; None where there is none that is whole. content: of the file."""
    try:
        copy = copy_of(path).read_bytes()
    except OSError:
        return None
    if hashlib.sha256(memoryview(copy)[:-_DIGEST]).digest() != copy[-_DIGEST:]:
        return None
    head, _, _ = copy.partition(b"\n")
    about = json.loads(head)
    starts = about.pop("starts")
    if about.pop("made from") != _made_from(content):
        return None
    records = (unpacked(copy, len(head) + 1 + start) for start in starts)
    return Contents([record for record in records if record is not None], about["text"])


def write_copy(path: Path, content: bytes, contents: Contents) -> None:
    """Keep a copy for the next time, if the file is large, and the copy can be written. content: of the file."""
    if len(content) < WORTH_A_COPY:
        return
    records = [packed(record) for record in contents.records]
    starts = [0, *accumulate(map(len, records))][:-1]
    about = {"made from": _made_from(content), "text": contents.sha256, "starts": starts}
    copy = b"".join([json.dumps(about).encode(), b"\n", *records])
    with contextlib.suppress(OSError):
        write_whole(copy_of(path), copy + hashlib.sha256(copy).digest())


def _made_from(content: bytes) -> list[object]:
    return [hashlib.sha256(content).hexdigest(), FORMAT.decode(), SCHEMA_VERSION]
