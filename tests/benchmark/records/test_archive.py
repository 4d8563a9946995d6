"""Files of records and their packed copies: the same records by both, and lines that stay as they are."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import lzma
from pathlib import Path

import pytest

from benchmark.records import archive, beside
from benchmark.records.archive import read_records, record_files
from benchmark.records.beside import copy_of
from benchmark.records.record import Record
from tests.benchmark.handmade import row


@pytest.fixture
def records() -> list[Record]:
    return [*row("mnist/a", [True] * 200), *row("mnist/b", [False] * 100)]


@pytest.fixture
def folder(records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files that are large enough to be worth a copy."""
    monkeypatch.setattr(beside, "WORTH_A_COPY", 0)
    write(record_files(records, tmp_path).texts)
    return tmp_path


def write(texts: dict[Path, str]) -> None:
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lzma.compress(text.encode()))


def no_json(_: str) -> None:
    raise AssertionError("the file itself was read")


def test_a_copy_is_read_in_place_of_its_file(
    records: list[Record], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = [copy_of(path) for path in folder.glob("*/*.xz")]
    assert list(read_records(folder).values()) == records
    assert not any(copy.exists() for copy in copies)  # nobody asked for them
    assert list(read_records(folder, keep_copies=True).values()) == records
    assert all(copy.exists() for copy in copies)
    monkeypatch.setattr(archive, "_contents", no_json)
    assert list(read_records(folder).values()) == records
    assert list(read_records(folder, model="mnist/b").values()) == records[-3:]


def test_a_copy_that_is_damaged_or_of_another_file_is_none(
    records: list[Record], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_records(folder, keep_copies=True)
    (path,) = folder.glob("*/b.json.xz")
    copy = copy_of(path)
    whole = copy.read_bytes()
    for at in (0, 40, len(whole) // 2, len(whole) - 40, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        for wrong in (bytes(damaged), whole[:at], whole + b"x"):
            copy.write_bytes(wrong)
            assert list(read_records(folder).values()) == records
    read_records(folder, keep_copies=True)
    assert copy.read_bytes() == whole
    with monkeypatch.context() as patched:
        patched.setattr("benchmark.records.beside.SCHEMA_VERSION", 99)
        assert list(read_records(folder).values()) == records
    write(record_files(records[-2:], folder).texts)
    assert list(read_records(folder).values()) == records[:-3] + records[-2:]


def test_a_small_file_needs_no_copy(records: list[Record], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "WORTH_A_COPY", 2**20)
    assert list(read_records(folder, keep_copies=True).values()) == records
    assert not list(folder.rglob("*.columns"))


def test_a_copy_that_cannot_be_written_is_done_without(records: list[Record], folder: Path) -> None:
    for path in folder.glob("*/*.xz"):
        copy_of(path).mkdir()
    assert list(read_records(folder, keep_copies=True).values()) == records


@pytest.mark.parametrize("copies", [False, True])
def test_files_that_lie_as_they_should_are_not_written_again(records: list[Record], folder: Path, copies: bool) -> None:
    written = record_files(records, folder).texts
    read_records(folder, keep_copies=copies)
    found = read_records(folder)
    files = record_files(found.values(), folder, found)
    assert files.texts == {}
    assert files.lying == {path: hashlib.sha256(text.encode()).hexdigest() for path, text in written.items()}
    in_a = [path for path in written if path.name == "a.json.xz"]
    elsewhere = [dataclasses.replace(record) for record in records]
    for others, changed in (
        (list(found.values())[::-1], [*written]),
        (list(found.values())[1:], in_a),
        (elsewhere, [*written]),
    ):
        files = record_files(others, folder, found)
        assert files.texts == {path: record_files(others, folder).texts[path] for path in changed}
        assert files.lying.keys() == written.keys() - set(changed)


@pytest.mark.parametrize("copies", [False, True])
def test_of_a_file_that_changes_the_other_lines_stay_as_they_are(
    records: list[Record], folder: Path, copies: bool
) -> None:
    """Also where this program would write a number otherwise."""
    (path,) = folder.glob("*/b.json.xz")
    text = lzma.decompress(path.read_bytes()).decode()
    assert '"seconds": 1.0' in text
    write({path: text.replace('"seconds": 1.0', '"seconds": 1.00')})
    read_records(folder, keep_copies=copies)
    found = read_records(folder)
    assert path in record_files(found.values(), folder, found).lying
    changed = dataclasses.replace(found[records[-1].key], labels=[7] * 100)
    files = record_files([*list(found.values())[:-1], changed], folder, found)
    before, after = text.replace('"seconds": 1.0', '"seconds": 1.00').splitlines(), files.texts[path].splitlines()
    assert after[:-2] == before[:-2]
    assert json.loads(after[-2])["labels"] == [7] * 100
    assert list(files.texts) == [path]


def test_a_file_that_another_program_wrote_anew_is_read_and_written_as_ours(
    records: list[Record], folder: Path
) -> None:
    (path,) = folder.glob("*/b.json.xz")
    text = lzma.decompress(path.read_bytes()).decode()
    write({path: json.dumps(json.loads(text), indent=1)})
    found = read_records(folder, keep_copies=True)
    assert list(found.values()) == records
    found = read_records(folder)
    assert record_files(found.values(), folder, found).texts == {path: text}
