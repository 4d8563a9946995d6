"""Accuracy against eps on the paper's grids, from per-example outcomes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.papers.robustness_of_bayesian_approach.suite import GRIDS
from benchmark.protocol import ATTACKS, LIBRARIES
from benchmark.records.record import Record
from benchmark.results.configuration import Configuration, configuration, last_finished
from benchmark.statistics import wilson
from zoo.targets import GRADIENT_TARGETS

GRID = tuple(sorted({eps for grid in GRIDS.values() for eps in grid}))
# One library for every point of every curve: the others run on the first images alone, and a worst case over three
# libraries would be compared with one over a single library.
LIBRARY = LIBRARIES[0]


@dataclass(frozen=True)
class Curve:
    """One entry under one attack with the gradient of one target, in `LIBRARY`.

    survives: (examples, len(GRID)), whether an image keeps its label; the first column is the clean image's. An image
    that is misclassified as it is counts as broken at every eps.
    records: those that it was made from.
    """

    model: str
    dataset: str
    family: str
    attack: str
    target: str
    examples: NDArray[np.int64]
    survives: NDArray[np.bool_]
    records: tuple[Record, ...] = ()

    def at(self, eps: float) -> NDArray[np.bool_]:
        """(examples,) whether each image survives at an eps of the grid."""
        column: NDArray[np.bool_] = self.survives[:, GRID.index(eps)]
        return column

    def count_over(self, grid: Sequence[float]) -> pd.Series[int]:
        """By example, at how many of the grid's eps > 0 it survives: the area under its curve."""
        columns = [GRID.index(eps) for eps in grid if eps > 0]
        return pd.Series(self.survives[:, columns].sum(1), self.examples)


def build_curves(records: Iterable[Record]) -> list[Curve]:
    """All curves that are measured over the whole grid, with the protocol's draws and seed.

    Only examples that were attacked at every eps count, and no attack that failed or whose images left budget or box.
    Where there are records of two versions of a network or of its data, the version measured last counts. records: as
    in `Results`.
    """
    by_curve: dict[tuple[Configuration, str, str], dict[float, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        spec, role = record.cell.attack, record.role
        on_grid = role.usual and spec.threat.eps in GRID
        if on_grid and role.target is not None and _is_attack(record):
            by_curve[configuration(record), spec.name, role.target][spec.threat.eps].append(record)
    curves: dict[tuple[str, str, str], Curve] = {}
    for (_, attack, target), by_eps in sorted(by_curve.items(), key=_finished):
        if set(GRID) - {0.0} <= set(by_eps):
            first = by_eps[GRID[1]]
            columns = [_surviving(first, clean=True), *(_surviving(by_eps[eps]) for eps in GRID[1:])]
            examples = sorted(set.intersection(*map(set, columns)))
            survives = [[column[example] for column in columns] for example in examples]
            cell, used = first[0].cell, tuple(record for part in by_eps.values() for record in part)
            key = (cell.model, attack, target)
            curves[key] = Curve(
                cell.model,
                cell.dataset,
                first[0].family,
                attack,
                target,
                np.array(examples, np.int64),
                np.array(survives, bool).reshape(len(examples), len(GRID)),
                used,
            )
    return sorted(curves.values(), key=_order)


def points(curves: Iterable[Curve]) -> pd.DataFrame:
    """A row per curve and eps: accuracy as a share with its Wilson 95 % interval, and the number of images."""
    rows = []
    for curve in curves:
        for eps, hits in zip(GRID, curve.survives.sum(0).tolist(), strict=True):
            count = len(curve.examples)
            low, high = wilson(hits, count)
            rows.append(
                {
                    "dataset": curve.dataset,
                    "entry": curve.model,
                    "family": curve.family,
                    "attack": curve.attack,
                    "gradient": curve.target,
                    "eps": eps,
                    "images": count,
                    "accuracy": hits / count,
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(rows)


def _is_attack(record: Record) -> bool:
    outcome = record.outcomes.get(LIBRARY)
    return outcome is not None and outcome.error is None and not outcome.violations


def _surviving(records: list[Record], clean: bool = False) -> dict[int, bool]:
    """Example -> whether every record with it is right on the clean image and, unless `clean`, under the attack."""
    survives: dict[int, bool] = {}
    for record in records:
        attacked = record.clean.correct if clean else record.outcomes[LIBRARY].correct
        for example, right, still in zip(record.examples, record.clean.correct, attacked, strict=True):
            survives[example] = survives.get(example, True) and right and still
    return survives


def _finished(item: tuple[object, dict[float, list[Record]]]) -> str:
    return max(map(last_finished, item[1].values()))


def _order(curve: Curve) -> tuple[object, ...]:
    targets: tuple[str, ...] = GRADIENT_TARGETS
    attacks: tuple[str, ...] = ATTACKS
    return curve.dataset, curve.model, targets.index(curve.target), attacks.index(curve.attack)
