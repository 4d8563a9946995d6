"""Accuracy against eps on the grids of seed 000, from per-example outcomes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.outcomes import configuration, is_standard, without_subsumed
from benchmark.protocol import ATTACK_DRAWS, ATTACKS, JUDGE_DRAWS, PAPER_GRIDS
from benchmark.record import Record
from benchmark.statistics import wilson
from zoo.targets import GRADIENT_TARGETS

GRID = tuple(sorted({eps for grid in PAPER_GRIDS.values() for eps in grid}))


@dataclass(frozen=True)
class Curve:
    """One entry under one attack with the gradient of one target.

    stands: (examples, len(GRID)), whether an image keeps its label; the first column is the clean image's. An image
    that is misclassified as it is counts as broken at every eps, one that any library breaks as broken.
    """

    model: str
    dataset: str
    family: str
    attack: str
    target: str
    examples: NDArray[np.int64]
    stands: NDArray[np.bool_]

    def at(self, eps: float) -> NDArray[np.bool_]:
        """(examples,) whether each image stands at an eps of the grid."""
        column: NDArray[np.bool_] = self.stands[:, GRID.index(eps)]
        return column

    def mean_over(self, grid: Sequence[float]) -> pd.Series[float]:
        """By example, the share of the grid's eps > 0 at which it stands: the area under its curve."""
        columns = [GRID.index(eps) for eps in grid if eps > 0]
        return pd.Series(self.stands[:, columns].mean(1), self.examples)


def build_curves(records: Iterable[Record]) -> list[Curve]:
    """All curves that are measured over the whole grid, with the protocol's draws and seed.

    Only examples that were attacked at every eps count.
    """
    met: dict[tuple[str, ...], dict[float, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in without_subsumed(records):
        cell, spec = record.cell, record.cell.attack
        ruled = (cell.attack_draws, cell.judge_draws) in ((1, 1), (ATTACK_DRAWS, JUDGE_DRAWS)) and cell.seed == 0
        if ruled and spec.threat.eps in GRID and is_standard(replace(spec, target="expected")):
            config = configuration(record)
            key = (cell.model, cell.dataset, record.family, spec.name, spec.target, config.fingerprint, config.data)
            met[key][spec.threat.eps].append(record)
    curves = []
    for (model, dataset, family, attack, target, *_), by_eps in sorted(met.items(), key=lambda item: _order(item[0])):
        if set(GRID) - {0.0} <= set(by_eps):
            columns = [_standing(by_eps[GRID[1]], clean=True), *(_standing(by_eps[eps]) for eps in GRID[1:])]
            table = pd.concat(columns, axis=1, join="inner").sort_index()
            curves.append(Curve(model, dataset, family, attack, target, table.index.to_numpy(), table.to_numpy(bool)))
    return curves


def points(curves: Iterable[Curve]) -> pd.DataFrame:
    """A row per curve and eps: accuracy as a share with its Wilson 95 % interval, and the number of images."""
    rows = []
    for curve in curves:
        for eps, hits in zip(GRID, curve.stands.sum(0).tolist(), strict=True):
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


def _standing(records: list[Record], clean: bool = False) -> pd.Series[bool]:
    """By example, whether it is right as it is and, unless `clean`, under every library's attack."""
    parts = []
    for record in records:
        right = np.array(record.clean.correct, bool)
        if not clean:
            for outcome in record.outcomes.values():
                if outcome.error is None:
                    right = right & np.array(outcome.correct, bool)
        if record.clean.error is None:
            parts.append(pd.Series(right, record.examples))
    joined = pd.concat(parts)
    return joined.groupby(level=0).all()


def _order(key: tuple[str, ...]) -> tuple[object, ...]:
    model, dataset, _, attack, target, *rest = key
    targets: tuple[str, ...] = GRADIENT_TARGETS
    return dataset, model, targets.index(target), ATTACKS.index(attack), rest
