"""(e) The main job under every option that is to make it faster, and whether the results are the same."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

from benchmark.agreement import meets, weakest
from benchmark.bench.measure import Row
from benchmark.executors import Machine, evaluator_on, execute
from benchmark.protocol import required_agreement
from benchmark.record import Record
from benchmark.suites import SUITES, Cell, Selection, Subject
from zoo import models


@dataclass(frozen=True)
class Variant:
    """What differs from the command's defaults."""

    machine: Machine = field(default_factory=Machine)
    executor: str = "local"
    workers: int | None = None
    precision: str = "float32"


VARIANTS = {
    "defaults": Variant(),
    "--no-share": Variant(Machine(share=False)),
    "--workers 2": Variant(workers=2),
    "--executor ray --workers 2": Variant(executor="ray", workers=2),
    "--no-stack": Variant(Machine(stack=False)),
    "--no-stack --no-share": Variant(Machine(stack=False, share=False)),
    "--precision bfloat16": Variant(precision="bfloat16"),
}


def option_table() -> list[Row]:
    """A row for each variant: time, records equal to the defaults', verdicts that differ, agreement, worst case."""
    found: dict[str, dict[Cell, Record]] = {}
    rows: list[Row] = []
    for name, variant in VARIANTS.items():
        if variant.executor == "ray" and importlib.util.find_spec("ray") is None:
            continue
        began = time.perf_counter()
        found[name] = _run(variant)
        rows.append({"option": name, "seconds": f"{time.perf_counter() - began:.1f}"} | _beside(found, name))
    return rows


def _run(variant: Variant) -> dict[Cell, Record]:
    """Records by the cell that the defaults would have."""
    evaluator = evaluator_on(variant.machine)
    subjects = [
        Subject(entry.name, entry.dataset, len(evaluator.split(entry.dataset)), entry.is_deterministic)
        for entry in models.values()
        if entry.dataset == "mnist"
    ]
    plain = SUITES["whitebox"].cells(subjects, Selection())
    cells = SUITES["whitebox"].cells(subjects, Selection(precision=variant.precision))  # type: ignore[arg-type]
    same = dict(zip(cells, plain, strict=True))
    work = ((evaluator.key(cell), cell) for cell in cells)
    results = execute(work, variant.machine, variant.executor, variant.workers)
    return {same[result.record.cell]: result.record for result in results}


def _beside(found: dict[str, dict[Cell, Record]], name: str) -> Row:
    reference, records = found["defaults"], found[name]
    pairs = [(reference[cell], record) for cell, record in records.items()]
    verdicts = list(chain.from_iterable(_verdicts(a, b) for a, b in pairs))
    exact = sum(a.outcome == b.outcome for a, b in pairs)
    weaker = {
        record.cell.attack.name
        for record in records.values()
        if not meets(weakest(pair.level for pair in record.agreement), required_agreement(record.cell.attack))
    }
    return {
        "records equal to the last digit": f"{exact} of {len(pairs)}",
        "verdicts that differ": f"{sum(a != b for a, b in verdicts)} of {len(verdicts)}",
        "attacks below their level of agreement": ", ".join(sorted(weaker)) or "none",
        "robust accuracy [%], mean of all cells": f"{100 * _mean(b for _, b in verdicts):.3f}",
    }


def _verdicts(first: Record, second: Record) -> Iterable[tuple[bool, bool]]:
    for library, outcome in first.outcomes.items():
        yield from zip(outcome.correct, second.outcomes[library].correct, strict=True)


def _mean(values: Iterable[bool]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
