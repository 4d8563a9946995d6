"""Which records go to which folder, and what is written there: from stores and folders to publications."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import zoo
from benchmark.records.archive import Archive, merged, read_records
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.render import Rendered, own_pages, project_pages
from benchmark.reports.publish import Generated, Publication, contents_of, planned
from benchmark.reports.site import Pictures, notebook, reference_pages, site
from benchmark.results.selection import Split, sifted, split

# documents in the order in which they are read; others follow
GUIDES = (
    "method",
    "running",
    "networks",
    "posteriors",
    "data",
    "attacks",
    "libraries",
    "submitting",
    "glossary",
    "citing",
)
SUBMISSIONS = "submissions"  # folder, in the project's leaderboards, of those that were accepted
PROJECT = Path(zoo.__file__).resolve().parents[1] / "leaderboards"  # of a clone; an installed package has none
Say = Callable[[str], object]


def is_project(folder: Path) -> bool:
    """Whether a folder holds the project's own leaderboards."""
    return folder.resolve() == PROJECT.resolve()


def accepted(folder: Path, dataset: str = "*") -> Archive:
    """The records of the submissions that were accepted into leaderboards; see `benchmark.submission`."""
    records = Archive()
    for path in sorted(folder.glob(f"{SUBMISSIONS}/*/records/{dataset}/*.json.xz")):
        records.read(path)
    return records


def _submitted(folder: Path, project: Iterable[Record]) -> list[Record]:
    """Of the accepted submissions' records those that count beside the project's own."""
    there = accepted(folder)
    return [record for record in sifted([*project, *there.values()]).records if record.key in there] if there else []


def publications(folder: Path, store: Path, readme: Path | None, elsewhere: Path | None, say: Say) -> list[Publication]:
    """What is to be written: the records of the store added to those in the folder, and the pages that they give.

    elsewhere: folder of the records that do not belong into the project's leaderboards; None leaves them out.
    say: takes a line on records that are dropped, or that go elsewhere.
    Raises ValueError where there is no record.
    """
    stored = _stored(store, say)
    counted = _counted(folder, stored, say)
    if not counted.records:
        raise ValueError(f"no records in {store} or {folder / 'records'}: run python -m benchmark.run first")
    if not is_project(folder):
        return [planned(_own_pages(counted, folder, readme), folder)]
    parts = split(counted.records, {record.key for record in stored})
    plans = []
    if parts.project:
        submitted = _submitted(folder, parts.project)
        rendered = project_pages(parts.project, folder, readme, counted.archive, submitted)
        plans.append(planned(rendered.generated, folder))
    if parts.others:
        say(_stay_out(parts, folder, elsewhere))
        if elsewhere is not None:
            others = _counted(elsewhere, parts.others, say)
            plans.append(planned(_own_pages(others, elsewhere, None, parts.project), elsewhere))
    return plans


def expected(folder: Path, readme: Path | None) -> tuple[Generated, int]:
    """The pages that the records in a folder give, and how many records these are."""
    rendered, count = _rendered(folder, readme)
    return rendered.generated, count


def site_of(folder: Path, store: Path, pictures: Pictures | None = None) -> dict[str, bytes]:
    """Path -> content of the site that the records in a folder give. Raises ValueError where there is none.

    store: where a run kept images of these records, if it exists. pictures: entry -> attacked images in their place.
    """
    rendered, count = _rendered(folder, None, store)
    if not count:
        raise ValueError(f"no records in {folder / 'records'}: run python -m benchmark.leaderboard first")

    def beside(name: str) -> bytes | None:
        path = folder / name
        inside = path.resolve().is_relative_to(folder.resolve())
        return path.read_bytes() if inside and path.is_file() else None

    contents = contents_of(rendered.generated, folder)
    if not is_project(folder):
        return site(rendered.results, contents, beside, pictures)
    return site(rendered.results, contents, beside, pictures, _guides(folder), reference_pages())


def _guides(folder: Path) -> dict[str, bytes]:
    """Name, seen from the folder, -> content of the project's documents, in the order in which they are read."""
    root = folder.resolve().parent
    first = [root / "docs" / f"{name}.md" for name in GUIDES]
    others = [path for path in sorted((root / "docs").glob("*.md")) if path not in first]
    notebooks = sorted((root / "docs" / "notebooks").glob("*.ipynb"))
    about = [root / f"{name}.md" for name in ("ARCHITECTURE", "CONTRIBUTING", "SECURITY", "CHANGELOG")]
    found: dict[str, bytes] = {}
    for path in (*first[:2], *notebooks, *first[2:], *others, *about):
        if path.is_file():
            name = f"../{path.relative_to(root).as_posix()}"
            found |= notebook(path, name) if path.suffix == ".ipynb" else {name: path.read_bytes()}
    return found


def _rendered(folder: Path, readme: Path | None, store: Path | None = None) -> tuple[Rendered, int]:
    """store: of images, if there are any."""
    archive = read_records(folder / "records")
    records = sifted(archive.values()).records
    images: dict[str, bytes] = {}
    if store is not None and store.is_file():
        with Store(store) as opened:
            images = opened.images(record.key for record in records)
    if is_project(folder):
        kept = split(records, ()).project
        return project_pages(kept, folder, readme, archive, _submitted(folder, kept), images), len(archive)
    return own_pages(records, _reference(records), folder, readme, archive, images), len(archive)


class _Counted(NamedTuple):
    """records: those that count. archive: those that lie in the folder."""

    records: list[Record]
    archive: Archive


def _counted(folder: Path, new: Iterable[Record], say: Say) -> _Counted:
    """The records in a folder and the new ones, as far as they count; `say` is told what is dropped."""
    new = list(new)
    archive = read_records(folder / "records", keep_copies=True)
    records, dropped = sifted(merged(archive, new).values())
    for line in dropped:
        say(line)
    earlier = len(archive.keys() - {record.key for record in new})
    if earlier and not is_project(folder):
        say(f"{earlier} records of earlier runs lie in {folder}/records and count; delete it to forget them")
    return _Counted(records, archive)


def _own_pages(
    counted: _Counted, folder: Path, readme: Path | None, reference: list[Record] | None = None
) -> Generated:
    """reference: the project's records, where they are at hand already."""
    beside = _reference(counted.records, reference)
    return own_pages(counted.records, beside, folder, readme, counted.archive).generated


def _reference(records: list[Record], reference: list[Record] | None = None) -> list[Record]:
    """The project's records of the same data sets, read from where they lie if they are not given."""
    datasets = {record.cell.dataset for record in records}
    if reference is None:
        lying = [read_records(PROJECT / "records", dataset) for dataset in sorted(datasets)]
        reference = sifted(record for part in lying for record in part.values()).records
    return [record for record in reference if record.cell.dataset in datasets]


def _stored(store: Path, say: Say) -> list[Record]:
    if not store.is_file():
        say(f"no store {store}: the pages are made from the records in the folder alone")
        return []
    with Store(store) as opened:
        return list(opened.records())


def _stay_out(parts: Split, folder: Path, elsewhere: Path | None) -> str:
    """Which records do not belong into the project's leaderboards, why, and what becomes of them."""
    entries = "; ".join(f"{name} ({reason})" for name, reason in parts.reasons.items())
    remedy = "for pages of them: python -m benchmark.leaderboard --folder my-leaderboards"
    goes = remedy if elsewhere is None else f"they go to {elsewhere}"
    return f"{len(parts.others)} records stay out of {folder}: {entries}; {goes}"
