"""Tables of the study that are made up: what survives whom is chosen, and claims must follow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmark.papers.posteriors.findings import Findings
from benchmark.papers.posteriors.grid import EXACT, MAP, PROBLEMS, TRAININGS
from benchmark.papers.posteriors.outcomes import COLUMNS, Outcomes, write_outcomes
from benchmark.papers.posteriors.suite import EPS, Attacker
from benchmark.plan.cells import Reading
from benchmark.reports.general import STUDIES

IMAGES = 100


class Kind(NamedTuple):
    """A posterior: which share of images survives each attacker, and on the judge's own draws, at every eps alike."""

    shares: Mapping[Attacker, float]
    own: float | None = None
    accuracy: float = 0.95
    limit: float | None = 0.3
    norm: float = 0.5


def alike(share: float, **changes: float | None) -> Kind:
    """What fares alike under all attackers."""
    return Kind(dict.fromkeys(Attacker, share), **({"own": share} | changes))


def maximum(share: float, **changes: float | None) -> Kind:
    return Kind({Attacker.ALL: share}, **({"limit": None} | changes))


World = Mapping[str, Kind]
WORLD: World = {MAP: maximum(0.5), EXACT: alike(0.5), "mean-field-t1": alike(0.5), "hmc-published": alike(0.5)}


def findings_of(world: World) -> Findings:
    outcomes, measures = _tables(world, "mlp")
    return Findings(PROBLEMS["mlp"], Outcomes(outcomes), measures, {})


def write(world: World, leaderboards: Path, problem: str = "mlp") -> None:
    """The files of one problem."""
    folder = leaderboards / STUDIES / "posteriors" / problem
    folder.mkdir(parents=True, exist_ok=True)
    outcomes, measures = _tables(world, problem)
    write_outcomes(outcomes, folder)
    measures.to_csv(folder / "measures.csv", index=False)
    (folder / "sampling.json").write_text(json.dumps({}))


def _tables(world: World, problem: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Image i survives an attacker who leaves a share s if i < 100 s; of training t one image fewer each."""
    rows, measures = [], []
    for name, kind in world.items():
        for training in range(1, TRAININGS + 1):
            limit = Reading.HEADLINE if name == MAP else Reading.SAMPLE
            readings = {limit: kind.shares}
            if kind.own is not None and name != MAP:
                readings[Reading.HEADLINE] = {Attacker.ALL: kind.own}
            rows += [
                (problem, name, training, norm, eps, str(reading), str(attacker), IMAGES, each.count("1"), each, 1.0)
                for reading, shares in readings.items()
                for attacker, share in shares.items()
                for norm, grid in EPS["mnist"].items()
                for eps in grid
                for each in [_each(share - training / 100)]
            ]
            spread = 1 + training / 100
            measures.append(
                {
                    "posterior": name,
                    "training": training,
                    "members": 1 if name == MAP else 100,
                    "accuracy": kind.accuracy,
                    "limit": None if kind.limit is None else kind.limit * spread,
                    "norm of 1": kind.norm * spread,
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS)), pd.DataFrame(measures)


def _each(share: float) -> str:
    return "".join("01"[image < round(IMAGES * share)] for image in range(IMAGES))
