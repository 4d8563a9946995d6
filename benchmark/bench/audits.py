"""(g) Audits: of a hundred images in one process and in several, of a thousand, with every attack on all of them."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from benchmark.attacks.spec import ThreatModel
from benchmark.evaluation.loop import How, Run, run
from benchmark.measure import Line
from benchmark.plan.cells import Selection
from benchmark.plan.suites import SUITES
from benchmark.protocol import SHARD
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.results import Results
from zoo import models

MINUTE = 60
TARGETS = {  # entry -> seconds that an audit of a hundred images may take on two cores
    "mnist/logistic": MINUTE,
    "mnist/mlp": MINUTE,
    "mnist/lenet": MINUTE,
    "mnist/bayesian-mlp": MINUTE,
    "mnist/bayesian-lenet": MINUTE,
    "mnist/alexnet": 2 * MINUTE,
    "mnist/3conv3fc": 2 * MINUTE,
}
FURTHER = ("mnist/logistic", "mnist/mlp", "mnist/lenet")  # of these a thousand images, too
EVERY_ATTACK = ("mnist/mlp",)  # small enough to have every image meet every attack, for comparison


class _Timed(NamedTuple):
    run: Run
    seconds: float


def audit_tables(
    targets: Mapping[str, float] = MappingProxyType(TARGETS),
    further: Collection[str] = FURTHER,
    every_attack: Collection[str] = EVERY_ATTACK,
    images: int = SHARD,
) -> dict[str, list[Line]]:
    """Suite adaptive, each side once, one after the other; seconds with the start of processes."""
    costs: list[Line] = []
    apart: list[Line] = []
    many = 10 * images
    for entry, target in targets.items():
        with Store(None) as store:
            together = _timed(entry, images, store, 1)
        with Store(None) as store:
            chosen = _timed(entry, images, store, "auto")
            more = _timed(entry, many, store, "auto") if entry in further else None
        line: Line = {
            "entry": entry,
            f"{images} images, one process [s]": f"{together.seconds:.1f}",
            "auto [s]": f"{chosen.seconds:.1f}",
            "target [s]": target,
            "processes": chosen.run.workers,
            "judge [% of work]": f"{100 * _share(together.run, 'judge'):.1f}",
            "equal records": _equal(together.run.records, chosen.run.records),
        }
        if more is not None:
            seconds = chosen.seconds + more.seconds
            line |= {f"{many:,} images, auto [s]": f"{seconds:.1f}", "times": f"{seconds / chosen.seconds:.2f}"}
            if entry in every_attack:
                with Store(None) as store:
                    whole = _timed(entry, many, store, "auto", audited=many)
                apart += _beside(entry, more, seconds, whole)
        costs.append(line)
    return {"cost": costs, "every attack on every image": apart}


def _timed(entry: str, examples: int, store: Store, workers: int | Literal["auto"], audited: int = SHARD) -> _Timed:
    began = time.perf_counter()
    how = How(workers=workers)
    done = run(SUITES["adaptive"], Selection(examples=examples, audited=audited), [models[entry]], store, how)
    return _Timed(done, time.perf_counter() - began)


def _share(done: Run, work: str) -> float:
    return done.timing[work] / done.seconds


def _equal(first: list[Record], second: list[Record]) -> str:
    outcomes = {record.key: record.outcome for record in first}
    return f"{sum(record.outcome == outcomes.get(record.key) for record in second)} of {len(second)}"


def _beside(entry: str, saved: _Timed, seconds: float, whole: _Timed) -> list[Line]:
    """A line a threat model: the images that only one of the two ways breaks."""
    few, every = _survivors(saved.run), _survivors(whole.run)
    return [
        {
            "entry": entry,
            "threat model": f"{threat.norm} {threat.eps:g}",
            "images": len(every[threat]),
            "survive what decided": sum(few[threat].values()),
            "survive every attack": sum(every[threat].values()),
            "fell to what was left out": sum(
                few[threat][image] and not alive for image, alive in every[threat].items()
            ),
            "seconds": f"{seconds:.0f} / {whole.seconds:.0f}",
        }
        for threat in every
    ]


def _survivors(done: Run) -> Mapping[ThreatModel, Mapping[int, bool]]:
    return {row.threat: row.survivors for row in Results(done.records).entry().rows}
