"""(e) The main job under every option that is to make it faster, and whether the results are the same."""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import NamedTuple

from benchmark.evaluation.loop import How, run
from benchmark.evaluation.machine import Machine
from benchmark.measure import Line, side_by_side, spread
from benchmark.plan.cells import Cell, Selection
from benchmark.plan.suites import SUITES
from benchmark.protocol import required_agreement
from benchmark.records.agreement import meets, weakest
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.timing import Timing
from zoo import models
from zoo.targets import Precision


@dataclass(frozen=True)
class Variant:
    """The options that differ from the command's defaults."""

    machine: Machine = field(default_factory=Machine)
    executor: str = "local"
    workers: int | None = None
    precision: Precision = "float32"


VARIANTS = {
    "defaults": Variant(),
    "--no-share": Variant(Machine(share=False)),
    "--workers 2": Variant(workers=2),
    "--executor ray --workers 2": Variant(executor="ray", workers=2),
    "--no-stack": Variant(Machine(stack=False)),
    "--no-stack --no-share": Variant(Machine(stack=False, share=False)),
    "--precision bfloat16": Variant(precision="bfloat16"),
}


def option_table(repeats: int = 2) -> list[Line]:
    """A row for each variant: time, records equal to the defaults', verdicts that differ, agreement, accuracy."""
    variants = {
        name: variant
        for name, variant in VARIANTS.items()
        if variant.executor != "ray" or importlib.util.find_spec("ray") is not None
    }
    found: dict[str, _Found] = {}

    def run(name: str) -> None:
        found[name] = _run(variants[name])

    times = side_by_side({name: partial(run, name) for name in variants}, repeats)
    return [
        {
            "option": name,
            "seconds": f"{statistics.median(times[name]):.1f} ({spread(times[name])})",
            "gradients of a batch": int(found[name].timing["computed"]),
        }
        | _beside(found["defaults"].records, found[name].records)
        for name in variants
    ]


class _Found(NamedTuple):
    """Records by the cell that the defaults would have, and where the time went."""

    records: dict[Cell, Record]
    timing: Timing


def _run(variant: Variant) -> _Found:
    entries = [entry for entry in models.values() if entry.dataset == "mnist"]
    how = How(variant.machine, variant.executor, variant.workers)
    with Store(None) as store:
        done = run(SUITES["whitebox"], Selection(precision=variant.precision), entries, store, how)
    return _Found({_in_float32(record.cell): record for record in done.records}, done.timing)


def _in_float32(cell: Cell) -> Cell:
    gradient = replace(cell.attack.gradient, precision="float32")
    return replace(cell, attack=replace(cell.attack, gradient=gradient))


def _beside(reference: dict[Cell, Record], records: dict[Cell, Record]) -> Line:
    pairs = [(reference[cell], record) for cell, record in records.items()]
    verdicts = list(chain.from_iterable(_verdicts(a, b) for a, b in pairs))
    exact = sum(a.outcome == b.outcome for a, b in pairs)
    weaker = {
        record.cell.attack.name
        for record in records.values()
        if not meets(weakest(pair.level for pair in record.agreement), required_agreement(record.cell.attack))
    }
    return {
        "equal records": f"{exact} of {len(pairs)}",
        "differing verdicts": f"{sum(a != b for a, b in verdicts)} of {len(verdicts)}",
        "attacks below their agreement": ", ".join(sorted(weaker)) or "none",
        "mean accuracy [%]": f"{100 * statistics.fmean(b for _, b in verdicts):.3f}",
    }


def _verdicts(first: Record, second: Record) -> Iterable[tuple[bool, bool]]:
    for library, outcome in first.outcomes.items():
        yield from zip(outcome.correct, second.outcomes[library].correct, strict=True)
