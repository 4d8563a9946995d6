"""Which records go to which folder, and what is to lie there: from stores and folders to publications."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import zoo
from benchmark.records.archive import Archive, merged, read_records
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.render import own_pages, project_pages
from benchmark.reports.publish import Generated, Publication, planned
from benchmark.results.selection import Split, sifted, split

PROJECT = Path(zoo.__file__).resolve().parents[1] / "leaderboards"  # of a clone; an installed package has none
Say = Callable[[str], object]


def is_project(folder: Path) -> bool:
    """Whether a folder holds the project's own leaderboards."""
    return folder.resolve() == PROJECT.resolve()


def publications(folder: Path, store: Path, readme: Path | None, elsewhere: Path | None, say: Say) -> list[Publication]:
    """What is to be written: the records of the store, added to those in the folder, and all that they give.

    elsewhere: where records go that do not belong into the project's leaderboards; None leaves them out.
    say: is told in a line what is dropped, and what goes elsewhere.
    Raises ValueError where there is no record.
    """
    stored = _stored(store, say)
    known = _known(folder, stored, say)
    if not known.records:
        raise ValueError(f"no records in {store} or {folder / 'records'}: run python -m benchmark.run first")
    if not is_project(folder):
        return [planned(_own_pages(known, folder, readme), folder)]
    found = split(known.records, {record.key for record in stored})
    plans = []
    if found.project:
        plans.append(planned(project_pages(found.project, folder, readme, known.archive), folder))
    if found.others:
        say(_stay_out(found, folder, elsewhere))
        if elsewhere is not None:
            theirs = _known(elsewhere, found.others, say)
            plans.append(planned(_own_pages(theirs, elsewhere, None, found.project), elsewhere))
    return plans


def expected(folder: Path, readme: Path | None) -> tuple[Generated, int]:
    """What the records that lie in a folder give, and how many they are."""
    archive = read_records(folder / "records")
    records = sifted(archive.values()).records
    if is_project(folder):
        return project_pages(split(records, ()).project, folder, readme, archive), len(archive)
    return _own_pages(_Known(records, archive), folder, readme), len(archive)


class _Known(NamedTuple):
    """The records that count, and those that lie in the folder."""

    records: list[Record]
    archive: Archive


def _known(folder: Path, found: Iterable[Record], say: Say) -> _Known:
    """The records that lie in a folder, and those found beside them, as far as they count; what is dropped is said."""
    found = list(found)
    archive = read_records(folder / "records")
    records, dropped = sifted(merged(archive, found).values())
    for line in dropped:
        say(line)
    earlier = len(archive.keys() - {record.key for record in found})
    if earlier and not is_project(folder):
        say(f"{earlier} records of earlier runs lie in {folder}/records and count; delete it to forget them")
    return _Known(records, archive)


def _own_pages(known: _Known, folder: Path, readme: Path | None, reference: list[Record] | None = None) -> Generated:
    """reference: the project's records, where they are at hand already."""
    datasets = {record.cell.dataset for record in known.records}
    if reference is None:
        lying = [read_records(PROJECT / "records", dataset) for dataset in sorted(datasets)]
        reference = sifted(record for part in lying for record in part.values()).records
    beside = [record for record in reference if record.cell.dataset in datasets]
    return own_pages(known.records, beside, folder, readme, known.archive)


def _stored(store: Path, say: Say) -> list[Record]:
    if not store.is_file():
        say(f"no store {store}: the pages are made from the records in the folder alone")
        return []
    with Store(store) as opened:
        return list(opened.records())


def _stay_out(found: Split, folder: Path, elsewhere: Path | None) -> str:
    """Which records do not belong into the project's leaderboards, why, and what becomes of them."""
    entries = "; ".join(f"{name} ({reason})" for name, reason in found.reasons.items())
    remedy = "for pages of them: python -m benchmark.leaderboard --folder my-leaderboards"
    goes = remedy if elsewhere is None else f"they go to {elsewhere}"
    return f"{len(found.others)} records stay out of {folder}: {entries}; {goes}"
