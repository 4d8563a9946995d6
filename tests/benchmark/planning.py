"""An adaptive suite run on networks that exist in words alone: which attack breaks which image is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.cells import Cell, Selection, Subject
from benchmark.plan.roles import role_of
from benchmark.plan.suite import Suite
from benchmark.records.record import Record
from tests.benchmark.handmade import make, outcome

SUBJECT = Subject("mnist/f", "mnist", 10_000, deterministic=True)
USUAL = Selection()
Falls = Callable[[str, int], "float | bool"]  # attack and image -> whether it falls, or how far its nearest image is


def nothing_falls(name: str, image: int) -> bool:
    return False


def called(cell: Cell) -> str:
    adaptive = role_of(cell).adaptive
    return cell.attack.name if adaptive is None else adaptive.name


def answered(cell: Cell, falls: Falls) -> Record:
    images = list(range(cell.start, cell.stop)) if cell.only is None else list(cell.only)
    far = [float(falls(called(cell), image)) for image in images]
    base = make(cell.model, "fgsm", 0.1, {name: [not one for one in far] for name in cell.libraries})
    outcomes = {name: dataclasses.replace(one, distance=far) for name, one in base.outcomes.items()}
    return dataclasses.replace(base, cell=cell, examples=images, outcomes=outcomes, clean=outcome([True] * len(images)))


def run(
    suite: Suite, falls: Falls, subject: Subject = SUBJECT, selection: Selection = USUAL
) -> tuple[list[list[Cell]], list[Record]]:
    """Phase by phase the cells, and all records, until the suite names no new cells."""
    phases = [suite.cells([subject], selection)]
    records = [answered(cell, falls) for cell in phases[0]]
    while more := [
        cell
        for cell in suite.follow_up(records, [subject], selection)
        if cell not in {record.cell for record in records}
    ]:
        assert len(set(more)) == len(more)
        phases.append(more)
        records += [answered(cell, falls) for cell in more]
    return phases, records


def of(records: list[Record], name: str, threat: ThreatModel | None = None) -> list[int]:
    """The images that an attack was run on, one after the other."""
    cells = [record.cell for record in records if called(record.cell) == name]
    return [
        image
        for cell in cells
        if threat in (None, cell.attack.threat)
        for image in (range(cell.start, cell.stop) if cell.only is None else cell.only)
    ]
