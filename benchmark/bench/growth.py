"""(d) Time and peak memory against examples, draws and entries; every point in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from benchmark.bench.measure import Row
from benchmark.protocol import ATTACK_DRAWS, JUDGE_DRAWS, LIBRARIES, SHARD, standard_attack
from benchmark.suites import Cell

EXAMPLES = (100, 1000, 10_000)
DRAWS = (1, 2, 4, 8, 16, 32, 64, 128)
ENTRIES = ("mnist/lenet", "mnist/lenet-adversarial", "mnist/bayesian-lenet")


class Point(NamedTuple):
    """seconds: without loading. before, peak: resident memory in MiB once everything is loaded, and at the most."""

    seconds: float
    before: float
    peak: float


def growth_tables(examples: tuple[int, ...] = EXAMPLES, draws: tuple[int, ...] = DRAWS) -> dict[str, list[Row]]:
    """One library, BIM at eps 0.1; cells of 100 examples, evaluated and dropped as a run does that stores them."""
    bayesian = ENTRIES[-1:]
    by_examples = {count: _measure(bayesian, count, ATTACK_DRAWS) for count in examples}
    by_draws = {count: _measure(bayesian, SHARD, count) for count in draws}
    by_entries = {count: _measure(ENTRIES[:count], 1000, ATTACK_DRAWS) for count in range(1, len(ENTRIES) + 1)}
    alone = [_measure((entry,), 1000, ATTACK_DRAWS).seconds for entry in ENTRIES]
    return {
        "examples": [_row("examples", "example", *item) for item in by_examples.items()],
        "draws": [_row("draws", "draw", *item) for item in by_draws.items()],
        "entries": [
            _row("entries", "entry", n, point) | {"of the sum of each alone": f"{point.seconds / sum(alone[:n]):.2f}"}
            for n, point in by_entries.items()
        ],
    }


def _row(name: str, one: str, count: int, point: Point) -> Row:
    return {
        name: count,
        "seconds": f"{point.seconds:.3g}",
        f"ms per {one}": f"{1000 * point.seconds / count:.4g}",
        "memory when loaded [MiB]": f"{point.before:.0f}",
        "peak [MiB]": f"{point.peak:.0f}",
    }


def _measure(entries: tuple[str, ...], examples: int, draws: int) -> Point:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_point, entries, examples, draws).result()


def _point(entries: tuple[str, ...], examples: int, draws: int) -> Point:
    from benchmark.evaluate import Evaluator
    from zoo import models

    evaluator = Evaluator()

    def evaluate(entry: str, start: int) -> None:
        single = models[entry].is_deterministic
        counts = (1, 1) if single else (draws, JUDGE_DRAWS)
        spec = standard_attack("bim", 0.1)
        cell = Cell(entry, models[entry].dataset, spec, start, start + SHARD, LIBRARIES[:1], *counts)
        evaluator.evaluate(cell)

    for entry in entries:  # on other images: libraries, weights and draws are loaded
        evaluate(entry, 10_000 - SHARD)
    before = _peak()
    began = time.perf_counter()
    for entry in entries:
        for start in range(0, examples, SHARD):
            evaluate(entry, start)
    return Point(time.perf_counter() - began, before, _peak())


def _peak() -> float:
    """Largest resident memory of this process so far, in MiB; the system counts in KiB, on macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
