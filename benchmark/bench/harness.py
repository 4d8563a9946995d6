"""(b) Three libraries against one, (c) the harness against the bare library."""

from __future__ import annotations

import importlib
import itertools
import statistics
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmark.attacks.craft import Adapter, craft
from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.machine import Machine
from benchmark.measure import Line, compared, ratio, side_by_side
from benchmark.plan.cells import Cell, draw_counts
from benchmark.protocol import ATTACK_DRAWS, LIBRARIES, SHARD, standard_attack
from zoo import models
from zoo.datasets import load_split
from zoo.prediction.expected import ExpectedPrediction

ENTRIES = ("mnist/lenet", "mnist/bayesian-lenet")
EPS = {"fgsm": 0.1, "bim": 0.1, "pgd-linf": 0.1, "pgd-l2": 1.0}
GRID = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)


def library_table(entry: str, repeats: int) -> list[Line]:
    """Whole cells, judge and all: three libraries beside the first alone, with gradients shared and without."""
    rows: list[Line] = []
    every: dict[str, list[float]] = {}
    sides = {
        "one library": _Cells(entry, LIBRARIES[:1], share=True),
        "three libraries": _Cells(entry, LIBRARIES, share=True),
        "three libraries, nothing shared": _Cells(entry, LIBRARIES, share=False),
    }
    for attack, eps in EPS.items():
        times = side_by_side({name: partial(side.run, attack, (eps,)) for name, side in sides.items()}, repeats)
        rows.append({"attack": attack, **_against_one(times)})
        if attack != "pgd-l2":
            every = {name: _added(every.get(name), seconds) for name, seconds in times.items()}
    rows.append({"attack": "fgsm + bim + pgd-linf", **_against_one(every)})
    times = side_by_side({name: partial(side.run, "fgsm", GRID) for name, side in sides.items()}, repeats)
    rows.append({"attack": f"fgsm, {len(GRID)} eps", **_against_one(times)})
    return rows


def gradients_computed(entry: str) -> list[Line]:
    """Batches whose gradient three libraries ask for, and those that are computed: exact counts, not times."""
    rows: list[Line] = []
    for attack, grid in (*((name, (eps,)) for name, eps in EPS.items()), ("fgsm", GRID)):
        cells = _Cells(entry, LIBRARIES, share=True)
        asked, computed = cells.run(attack, grid)
        rows.append({"attack": attack, "eps": len(grid), "asked for": int(asked), "computed": int(computed)})
    return rows


def overhead_table(entry: str, repeats: int) -> list[Line]:
    """Crafting by the harness, metered and unshared, beside the same call to the bare library; then the whole cell."""
    split = load_split(models[entry].dataset, "test")
    x, y = split.pixels(slice(SHARD)), torch.from_numpy(split.labels[:SHARD])
    prediction = models[entry].predictor(ATTACK_DRAWS, 0)
    examples = list(range(SHARD))
    rows: list[Line] = []
    for library in LIBRARIES:
        adapter: Adapter = importlib.import_module(f"benchmark.attacks.{library}").attack
        for attack in ("bim", "pgd-l2"):
            spec = standard_attack(attack, EPS[attack])
            bare: Callable[[], object] = partial(adapter, _Bare(prediction).eval(), x, y, spec, None)  # type: ignore[arg-type]
            whole = _Cells(entry, (library,), share=False)
            names = ("bare library", "crafted by the harness", "whole cell: crafted, verified, judged by 64 draws")
            works = (
                bare,
                partial(craft, library, prediction, x, y, spec, examples, 0),
                partial(whole.run, attack, (EPS[attack],)),
            )
            times = side_by_side(dict(zip(names, works, strict=True)), repeats)
            rows += [
                {"library": library, "attack": attack, **row} for row in compared(times, names[0], "times the library")
            ]
    return rows


class _Bare(nn.Module):
    """The prediction as a user would hand it to a library: nothing counted, shared or rescaled."""

    def __init__(self, prediction: ExpectedPrediction) -> None:
        super().__init__()
        self.prediction = prediction

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.prediction(x)
        return output


class _Cells:
    """Evaluates an attack on one shard after the other, so that nothing is known from the run before."""

    def __init__(self, entry: str, libraries: tuple[str, ...], share: bool) -> None:
        self.entry, self.libraries = models[entry], libraries
        self.evaluator = Evaluator(Machine(share=share))
        self.starts = itertools.cycle(range(0, 10_000, SHARD))

    def run(self, attack: str, grid: tuple[float, ...]) -> tuple[float, float]:
        """Gradients of batches asked for and computed."""
        start = next(self.starts)
        draws = draw_counts(1 if self.entry.is_deterministic else None)
        self.evaluator.timing.clear()
        for eps in grid:
            spec = standard_attack(attack, eps)
            cell = Cell(self.entry.name, self.entry.dataset, spec, start, start + SHARD, self.libraries, *draws)
            self.evaluator.evaluate(cell)
        return self.evaluator.timing["asked"], self.evaluator.timing["computed"]


def _against_one(times: dict[str, list[float]]) -> Line:
    one = times["one library"]
    row: Line = {"one library [ms]": f"{1000 * statistics.median(one):.4g}"}
    return row | {name: ratio(seconds, one) for name, seconds in times.items() if name != "one library"}


def _added(before: list[float] | None, seconds: list[float]) -> list[float]:
    return seconds if before is None else [a + b for a, b in zip(before, seconds, strict=True)]
