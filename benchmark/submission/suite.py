"""Whether a submission's records are those of the adaptive suite: all of them, and no others. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmark.plan.cells import Cell, Selection, Subject
from benchmark.plan.suites import SUITES
from benchmark.protocol import SHARD
from benchmark.records.record import Record
from benchmark.submission.finding import Finding, few

SUITE = SUITES["adaptive"]


def selection_of(examples: int, audited: int) -> Selection:
    """What is run of the suite: everything, on so many images."""
    return Selection(examples=examples, audited=audited)


def cells_of(subject: Subject, selection: Selection, records: Iterable[Record]) -> list[Cell]:
    """The cells of the suite, those that follow from the records among them, as far as these let them be known."""
    own = [record for record in records if record.cell.model == subject.model]
    return [*dict.fromkeys((*SUITE.cells([subject], selection), *SUITE.follow_up(own, [subject], selection)))]


def require_enough(examples: int, size: int) -> None:
    """Raises ValueError for fewer images than leaderboards show. size: of the test split."""
    if examples < min(SHARD, size):
        raise ValueError(f"--examples {examples}: leaderboards are of at least {min(SHARD, size)} images")
    if examples > size:
        raise ValueError(f"--examples {examples}: there are {size} test images")


def findings(subject: Subject, selection: Selection, records: Sequence[Record]) -> Iterator[Finding]:
    """Cells of the suite without a record, and records that are of none of its cells."""
    try:
        require_enough(SUITE.count(selection), subject.size)
    except ValueError as error:
        yield Finding("suite", str(error))
        return
    wanted = cells_of(subject, selection, records)
    there = {record.cell for record in records}
    if missing := [cell.label for cell in wanted if cell not in there]:
        yield Finding("suite", f"{len(missing)} of at least {len(wanted)} cells have no record: {few(missing)}")
    elif further := sorted(cell.label for cell in there - set(wanted)):
        yield Finding("suite", f"{len(further)} records are of no cell of the suite: {few(further)}")
