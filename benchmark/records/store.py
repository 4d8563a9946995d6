"""Records in an embedded SQLite file: one transaction per cell, so a kill loses at most the cell in flight."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from benchmark.attacks.methods import OUTSIDE
from benchmark.records.packed import packed, unpacked
from benchmark.records.record import Record
from zoo.catalogue.behaviour import Behaviour, same_behaviour

STORE_VERSION = 2  # 1: records as JSON alone. They are read as they lie; programs of then read no others.

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cells (
    key TEXT PRIMARY KEY,
    complete INTEGER NOT NULL,
    model TEXT NOT NULL,
    attack TEXT NOT NULL,
    eps REAL NOT NULL,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    stored_at TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    record BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS images (key TEXT PRIMARY KEY, sha256 TEXT NOT NULL, packed BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS behaviours (model TEXT NOT NULL, fingerprint TEXT NOT NULL, behaviour TEXT NOT NULL);
"""


_AT_ONCE = 100  # records in memory twice, as they are stored and as they are
_OUTSIDE_KEYS = "SELECT key FROM cells WHERE model = ? AND attack LIKE ?"


class StoreError(ValueError):
    """The store cannot be opened, read or written; the message says which file and what to do."""


class Store:
    """A context manager around the file. Several processes may use one file: SQLite's write-ahead log orders them.

    path: None for a store in memory, which is gone when it is closed.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        with self._translated("open"):
            if path is None:
                self._connection = sqlite3.connect(":memory:")
            else:
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise StoreError(f"cannot create the folder of the store {path}: {error.strerror}") from error
                self._connection = sqlite3.connect(path, timeout=60)
                self._use_write_ahead_log()
            self._connection.execute("PRAGMA synchronous=FULL")
            with self._connection:
                self._connection.executescript(_TABLES)
                self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (str(STORE_VERSION),))
                self._connection.execute("UPDATE meta SET value = ? WHERE value = '1'", (str(STORE_VERSION),))
            (found,) = self._connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
        if found != str(STORE_VERSION):
            self.close()
            raise StoreError(f"{path} is a store of version {found}; this program writes {STORE_VERSION}: use another")

    def _use_write_ahead_log(self) -> None:
        """Switching a new file needs exclusive access and does not wait: another process may be opening it now."""
        for _ in range(200):
            if self._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
                return
            with contextlib.suppress(sqlite3.OperationalError):
                self._connection.execute("PRAGMA journal_mode=WAL")
            time.sleep(0.01)
        self._connection.execute("PRAGMA journal_mode=WAL")

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        self._connection.close()

    def __contains__(self, key: str) -> bool:
        """Whether a complete, undamaged record is stored; one with a library's error in it is to be tried again."""
        return key in self._undamaged([key], complete=True)

    def put(self, record: Record, images: bytes | None = None) -> None:
        """Store a record in one transaction. It replaces one of the same key, but never a complete one by a failure.

        images: of its cell that are kept with it, as `benchmark.records.images.CellImages` packs them.
        """
        content, cell = packed(record), record.cell
        row = (
            record.key,
            record.complete,
            cell.model,
            cell.attack.name,
            cell.attack.threat.eps,
            cell.start,
            cell.stop,
            datetime.now(UTC).isoformat(timespec="seconds"),
            hashlib.sha256(content).hexdigest(),
            content,
        )
        with self._translated("write"), self._connection:
            if not record.complete and record.key in self:
                return
            self._connection.execute("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            if images is not None:
                of_images = record.key, hashlib.sha256(images).hexdigest(), images
                self._connection.execute("INSERT OR REPLACE INTO images VALUES (?, ?, ?)", of_images)

    def has_images(self, key: str) -> bool:
        """Whether undamaged images are kept of the cell of that key."""
        return self._undamaged_images(key) is not None

    def images(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Key -> packed images, of those cells that any are kept of. Raises StoreError for damaged ones."""
        with self._translated("read"):
            kept = {key for (key,) in self._connection.execute("SELECT key FROM images")}
        found = {}
        for key in keys:
            if key in kept:
                if (packed := self._undamaged_images(key)) is None:
                    raise StoreError(
                        f"{self.path}: the images of the record {key[:12]}… are damaged; the run that made them makes "
                        "them again with --keep-images"
                    )
                found[key] = packed
        return found

    def recognised(self, model: str, fingerprint: str, behaviour: Behaviour) -> Behaviour:
        """The first stored behaviour of a network that equals this one but for rounding; a new behaviour is stored.

        fingerprint: of what the network is made of.
        """
        same = "model = ? AND fingerprint = ?"
        with self._translated("write"), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")  # one of several processes that start together is the first
            known = self._connection.execute(
                f"SELECT behaviour FROM behaviours WHERE {same} ORDER BY rowid",  # noqa: S608 - a constant
                (model, fingerprint),
            ).fetchall()
            for (text,) in known:
                if same_behaviour(first := tuple(json.loads(text)), behaviour):
                    return first
            self._connection.execute(
                "INSERT INTO behaviours VALUES (?, ?, ?)", (model, fingerprint, json.dumps(behaviour))
            )
        return behaviour

    def records(self, keys: set[str] | None = None) -> Iterator[Record]:
        """All records, or those with the given keys, in a fixed order. Raises StoreError for a damaged one."""
        with self._translated("read"):
            stored = self._connection.execute(
                "SELECT key FROM cells ORDER BY model, attack, eps, start, stop, key"
            ).fetchall()
        wanted = [key for (key,) in stored if keys is None or key in keys]
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            contents = self._undamaged(some)
            for key in some:
                if key not in contents:
                    raise StoreError(
                        f"{self.path}: the record {key[:12]}… is damaged; the run that made it makes it again"
                    )
                if (record := unpacked(contents[key])) is not None:
                    yield record

    def outside(self, model: str) -> set[str]:
        """Keys of the records of an entry whose images were made elsewhere."""
        with self._translated("read"):
            like = model, f"{OUTSIDE}-%"
            return {key for (key,) in self._connection.execute(_OUTSIDE_KEYS, like)}

    def recent(self, model: str, count: int) -> Iterator[Record]:
        """At most `count` records of an entry, those stored last; damaged ones are left out."""
        with self._translated("read"):
            keys = self._connection.execute(
                "SELECT key FROM cells WHERE model = ? ORDER BY stored_at DESC, key LIMIT ?", (model, count)
            ).fetchall()
        contents = self._undamaged([key for (key,) in keys])
        yield from filter(None, (unpacked(contents[key]) for (key,) in keys if key in contents))

    def _undamaged(self, keys: Sequence[str], complete: bool = False) -> dict[str, bytes]:
        """Key -> packed record, where the checksum holds; with `complete`, only of one without a library's error."""
        marks = ", ".join("?" * len(keys))
        with self._translated("read"):
            rows = self._connection.execute(
                "SELECT key, sha256, CAST(record AS BLOB) FROM cells "  # noqa: S608 - question marks
                f"WHERE key IN ({marks}) AND complete >= ?",
                (*keys, complete),
            )
            return {key: content for key, sha256, content in rows if hashlib.sha256(content).hexdigest() == sha256}

    def _undamaged_images(self, key: str) -> bytes | None:
        """The packed images of a cell whose checksum holds."""
        with self._translated("read"):
            row = self._connection.execute(
                "SELECT sha256, CAST(packed AS BLOB) FROM images WHERE key = ?", (key,)
            ).fetchone()
            return row[1] if row is not None and hashlib.sha256(row[1]).hexdigest() == row[0] else None

    @contextlib.contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError, AttributeError, TypeError) as error:  # what damage looks like
            raise StoreError(f"cannot {action} the store {self.path}: {error}") from error
