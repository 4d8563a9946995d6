"""(d) Time and peak memory against examples, draws and entries; every point in a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from benchmark.bench.memory import forget_peak, resident
from benchmark.measure import Line
from benchmark.plan.cells import Cell, draw_counts
from benchmark.protocol import ATTACK_DRAWS, LIBRARIES, SHARD, standard_attack

EXAMPLES = (100, 1000, 10_000)
DRAWS = (1, 2, 4, 8, 16, 32, 64, 128)
ENTRIES = ("mnist/lenet", "mnist/lenet-adversarial", "mnist/bayesian-lenet")


class Point(NamedTuple):
    """seconds: without loading. attack: those of the attack alone, without the judge.

    before, peak: resident memory in MiB, when all is loaded and at its largest afterwards.
    """

    seconds: float
    attack: float
    before: float
    peak: float


def growth_tables(examples: tuple[int, ...] = EXAMPLES, draws: tuple[int, ...] = DRAWS) -> dict[str, list[Line]]:
    """One library, BIM at eps 0.1; cells of 100 examples, evaluated and dropped as a run does that stores them."""
    bayesian = ENTRIES[-1:]
    by_examples = {count: _measure(bayesian, count, ATTACK_DRAWS) for count in examples}
    by_draws = {count: _measure(bayesian, SHARD, count) for count in draws}
    # in turns, since what is compared is close to one
    groups = [*((entry,) for entry in ENTRIES), *(ENTRIES[:count] for count in range(2, len(ENTRIES) + 1))]
    rounds = [[_measure(group, 1000, ATTACK_DRAWS) for group in groups] for _ in range(3)]
    medians = [_median([round_[place] for round_ in rounds]) for place in range(len(groups))]
    alone = [point.seconds for point in medians[: len(ENTRIES)]]
    by_entries = dict(enumerate([medians[0], *medians[len(ENTRIES) :]], 1))
    return {
        "examples": [_row("examples", "example", *item) for item in by_examples.items()],
        "draws": [_row("draws", "draw", *item) for item in by_draws.items()],
        "entries": [
            _row("entries", "entry", n, point) | {"of the sum of each alone": f"{point.seconds / sum(alone[:n]):.2f}"}
            for n, point in by_entries.items()
        ],
    }


def _median(points: list[Point]) -> Point:
    return sorted(points)[len(points) // 2]


def _row(name: str, one: str, count: int, point: Point) -> Line:
    return {
        name: count,
        "seconds": f"{point.seconds:.3g}",
        "of them the attack": f"{point.attack:.3g}",
        f"attack, ms per {one}": f"{1000 * point.attack / count:.4g}",
        "memory when loaded [MiB]": f"{point.before:.0f}",
        "peak [MiB]": f"{point.peak:.0f}",
    }


def _measure(entries: tuple[str, ...], examples: int, draws: int) -> Point:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_point, entries, examples, draws).result()


def _point(entries: tuple[str, ...], examples: int, draws: int) -> Point:
    from benchmark.evaluation.evaluator import Evaluator
    from zoo import models

    evaluator = Evaluator()

    def evaluate(entry: str, start: int) -> None:
        counts = draw_counts(1 if models[entry].is_deterministic else None, draws)
        spec = standard_attack("bim", 0.1)
        cell = Cell(entry, models[entry].dataset, spec, start, start + SHARD, LIBRARIES[:1], *counts)
        evaluator.evaluate(cell)

    for entry in entries:  # on other images: libraries, weights and draws are loaded
        evaluate(entry, 10_000 - SHARD)
    forget_peak()
    before = resident("VmRSS")
    evaluator.timing.clear()
    began = time.perf_counter()
    for entry in entries:
        for start in range(0, examples, SHARD):
            evaluate(entry, start)
    seconds = time.perf_counter() - began
    attack = evaluator.timing["gradients"] + evaluator.timing["libraries"]
    return Point(seconds, attack, before, resident("VmHWM"))
