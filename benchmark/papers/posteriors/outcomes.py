"""What the study measured, as a table that is committed: a line per network and attack, its outcomes image by image."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import ThreatModel
from benchmark.papers.posteriors.suite import Attacker, attacker_of
from benchmark.plan.cells import Reading
from benchmark.records.record import Record
from zoo.files import write_whole

COLUMNS = (
    "problem",
    "posterior",
    "training",
    "norm",
    "eps",
    "reading",
    "attacker",
    "images",
    "survive",
    "each",
    "seconds",
)
FILE = "grid.csv"
NORM_OF = "norm of "  # columns of the measures: the mean gradient norm, by draws


class Trained(NamedTuple):
    """A network of the study: which problem, which posterior, and which training of it, from 1."""

    problem: str
    posterior: str
    training: int


def outcomes_of(records: Iterable[Record], networks: dict[str, Trained]) -> pd.DataFrame:
    """networks: by the names of their entries. An image that is wrong without an attack does not survive one."""
    lines: dict[tuple[object, ...], tuple[list[bool], float]] = {}
    for record in sorted((one for one in records if one.complete), key=lambda one: one.cell.start):
        cell, network = record.cell, networks[record.cell.model]
        threat = cell.attack.threat
        survivors = record.right - record.broken
        survive = [image in survivors for image in record.examples]
        of = (*network, threat.norm, threat.eps, str(cell.reading), str(attacker_of(cell)))
        before, seconds = lines.get(of, ([], 0.0))
        lines[of] = before + survive, seconds + sum(one.seconds for one in record.outcomes.values())
    rows = [
        dict(
            zip(
                COLUMNS, (*of, len(each), sum(each), "".join("01"[one] for one in each), round(seconds, 2)), strict=True
            )
        )
        for of, (each, seconds) in lines.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(list(COLUMNS[:7]), ignore_index=True)


def write_outcomes(frame: pd.DataFrame, folder: Path) -> None:
    """Beside the pages, whole or not at all."""
    write_whole(folder / FILE, frame.to_csv(index=False).encode())


def read_outcomes(folder: Path) -> pd.DataFrame:
    """Raises ValueError for a file that lacks a column, or whose outcomes are not those that it counts."""
    path = folder / FILE
    frame = pd.read_csv(path, dtype={"each": str})
    if missing := [name for name in COLUMNS if name not in frame]:
        raise ValueError(f"{path} lacks {', '.join(missing)}; restore it or measure again")
    wrong = (frame["each"].str.len() != frame["images"]) | (frame["each"].str.count("1") != frame["survive"])
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0]) + 2
        raise ValueError(f"{path}, line {line}: outcomes that do not add up; restore it")
    return frame


class Outcomes:
    """The table, asked for by problem, posterior, threat model and reading."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def survivors(
        self,
        problem: str,
        posterior: str,
        threat: ThreatModel,
        reading: Reading,
        attackers: Iterable[Attacker] = tuple(Attacker),
    ) -> NDArray[np.bool_]:
        """(T, N): which images of each training survive all of these attackers. T = 0 where none was measured."""
        named = {str(attacker) for attacker in attackers}
        chosen = self.frame[
            (self.frame["problem"] == problem)
            & (self.frame["posterior"] == posterior)
            & (self.frame["norm"] == threat.norm)
            & np.isclose(self.frame["eps"], threat.eps)
            & (self.frame["reading"] == str(reading))
            & self.frame["attacker"].isin(named)
        ]
        by_training = [
            np.logical_and.reduce([_bits(each) for each in of_training["each"]])
            for _, of_training in chosen.groupby("training")
        ]
        least = min((len(bits) for bits in by_training), default=0)
        return np.array([bits[:least] for bits in by_training], dtype=bool).reshape(len(by_training), least)

    def threats(self, problem: str, norm: Norm) -> list[ThreatModel]:
        """Those that were measured, the smallest eps first."""
        of = self.frame[(self.frame["problem"] == problem) & (self.frame["norm"] == norm)]
        return [ThreatModel(norm, float(eps)) for eps in sorted(of["eps"].unique())]


def _bits(each: str) -> NDArray[np.bool_]:
    bits: NDArray[np.bool_] = np.frombuffer(each.encode(), dtype=np.uint8) == ord("1")
    return bits
