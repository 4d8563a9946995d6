"""(h) Many records: how long they take to be read, as JSON and from packed copies, and the pages to be made of them."""

from __future__ import annotations

import gc
import lzma
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from benchmark.bench.synthetic import attacked_by, copied
from benchmark.measure import Line
from benchmark.protocol import SHARD
from benchmark.publications import PROJECT
from benchmark.records.archive import Archive, read_records, record_files
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.render import project_pages
from benchmark.reports.publish import Generated
from benchmark.results.selection import sifted, split

SIZES = (SHARD, 10 * SHARD, 100 * SHARD)
ATTACKS = 40  # on every image of an entry
STORED = 10_000  # records that a store is filled with at most: each is a transaction, and waits for the disk
T = TypeVar("T")


def record_table(sizes: tuple[int, ...] = SIZES, records: list[Record] | None = None) -> list[Line]:
    """A line a size: seconds of processor time, each measured once. records: on the first shard; the project's."""
    if records is None:
        records = attacked_by(read_records(PROJECT / "records").values(), ATTACKS)
    _pages(Archive(), records, PROJECT)  # what is loaded once does not count
    return [_line(records, images) for images in sizes]


def _line(records: list[Record], images: int) -> Line:
    with TemporaryDirectory() as place:
        folder = Path(place) / "leaderboards"
        size = _write(records, images // SHARD, folder / "records")
        _, of_json = _seconds(lambda: len(read_records(folder / "records")))
        read_records(folder / "records", keep_copies=True)
        archive, of_copies = _seconds(lambda: read_records(folder / "records"))
        _, of_pages = _seconds(lambda: _pages(archive, archive.values(), folder))
        return {
            "images": images,
            "entries": len({record.cell.model for record in records}),
            "records": len(archive),
            "JSON [MB]": f"{size / 1e6:.0f}",
            "from JSON [s]": f"{of_json:.2f}",
            "with copies [s]": f"{of_copies:.2f}",
            "times faster": f"{of_json / of_copies:.1f}",
            "from a store [s]": _from_store(archive, Path(place)) if len(archive) <= STORED else "",
            "pages [s]": f"{of_pages:.2f}",
        }


def _write(records: list[Record], shards: int, folder: Path) -> int:
    """Write the files of an archive, entry by entry; how many bytes they would be if they were not packed."""
    size = 0
    for model in dict.fromkeys(record.cell.model for record in records):
        of_entry = [record for record in records if record.cell.model == model]
        for path, text in record_files(copied(of_entry, shards), folder).texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(lzma.compress(text.encode(), preset=0))
            size += len(text)
    return size


def _from_store(archive: Archive, place: Path) -> str:
    with Store(place / "results.sqlite") as store:
        for record in archive.values():
            store.put(record)
        _, seconds = _seconds(lambda: list(store.records()))
    return f"{seconds:.2f}"


def _pages(archive: Archive, records: Iterable[Record], folder: Path) -> Generated:
    return project_pages(split(sifted(records).records, ()).project, folder, None, archive).generated


def _seconds(work: Callable[[], T]) -> tuple[T, float]:
    gc.collect()
    gc.disable()  # as the commands do
    try:
        began = time.process_time()
        return work(), time.process_time() - began
    finally:
        gc.enable()
