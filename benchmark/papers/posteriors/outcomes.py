"""What the study measured, as a table that is committed: a line per network and attack, its outcomes image by image."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import ThreatModel
from benchmark.papers.posteriors.suite import POSTERIOR_SUITE, Attacker, attacker_of, left_by, met
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
_NETWORK_AND_ATTACK = COLUMNS[:7]
FOLDER = "posteriors"  # in the folder of studies
FILE = "grid.csv"  # there, in a folder for each problem
NORM_OF = "norm of "  # columns of the measures: the mean gradient norm, by draws


class Trained(NamedTuple):
    """A network of the study: which problem, which posterior, and which training of it, from 1."""

    problem: str
    posterior: str
    training: int


def outcomes_of(records: Iterable[Record], networks: dict[str, Trained]) -> pd.DataFrame:
    """A line for each network, attacker, reading and eps whose attacks are all there, and of eps 0: without an attack.

    networks: by the names of their entries. An image that is wrong without an attack does not survive one, and one that
    an attacker breaks at some eps survives him at no larger one.
    """
    by_attacker: dict[_Of, dict[int, dict[_At, Record]]] = defaultdict(lambda: defaultdict(dict))
    grids: dict[Norm, set[float]] = defaultdict(set)
    for record in (one for one in records if one.complete):
        cell, network = record.cell, networks[record.cell.model]
        of = _Of(*network, cell.attack.threat.norm, str(cell.reading), str(attacker_of(cell)))
        by_attacker[of][cell.start][cell.attack.threat.eps, cell.only] = record
        grids[of.norm] |= {*POSTERIOR_SUITE.grid(cell.dataset)[of.norm], cell.attack.threat.eps}
    rows = []
    for of, by_shard in by_attacker.items():
        grid = met(sorted(grids[of.norm]), Reading(of.reading))
        shards = [_rising(by_shard[start], grid) for start in sorted(by_shard)]
        unattacked = [by_shard[start].get((grid[0], None)) for start in sorted(by_shard)]
        if of.attacker == Attacker.ALL and all(unattacked):
            right = [image in record.right for record in unattacked if record for image in record.examples]
            rows.append(_row(of._replace(attacker=str(Attacker.NOBODY)), 0.0, right, 0.0))
        for eps in (eps for eps in grid if all(eps in shard for shard in shards)):
            survive = [bit for shard in shards for bit in shard[eps].survive]
            seconds = sum(shard[eps].seconds for shard in shards)
            rows.append(_row(of, eps, survive, seconds))
    return pd.DataFrame(rows, columns=list(COLUMNS))


class _Of(NamedTuple):
    problem: str
    posterior: str
    training: int
    norm: Norm
    reading: str
    attacker: str


def _row(of: _Of, eps: float, survive: list[bool], seconds: float) -> tuple[object, ...]:
    bits = "".join("01"[bit] for bit in survive)
    return (*of[:4], eps, *of[4:], len(survive), sum(survive), bits, round(seconds, 2))


class _Line(NamedTuple):
    training: int
    attacker: str
    eps: float
    survive: NDArray[np.bool_]


_At = tuple[float, tuple[int, ...] | None]  # eps, and the images that were attacked: None for all


class _Shard(NamedTuple):
    survive: list[bool]
    seconds: float


def _rising(records: Mapping[_At, Record], grid: Iterable[float]) -> dict[float, _Shard]:
    """By eps which images of a shard survive, from the smallest eps that all of them were attacked at, as far as known.

    Each record is of the images that the one before left: others are of a network that is not there any more.
    """
    found: dict[float, _Shard] = {}
    images: list[int] = []
    left: tuple[int, ...] | None = None
    for eps in grid:
        record = records.get((eps, left))
        if record is not None:
            images, left = images or record.examples, left_by(record)
        elif images and left:
            break
        if images:
            seconds = 0.0 if record is None else sum(one.seconds for one in record.outcomes.values())
            found[eps] = _Shard([image in (left or ()) for image in images], seconds)
    return found


def write_outcomes(frame: pd.DataFrame, folder: Path) -> None:
    """Sorted, beside the pages, whole or not at all."""
    frame = frame.sort_values(list(_NETWORK_AND_ATTACK))
    write_whole(folder / FILE, frame.to_csv(index=False).encode())


def read_outcomes(folder: Path) -> pd.DataFrame:
    """Raises ValueError for a file that lacks a column, has outcomes that do not add up, or the same attack twice."""
    path = folder / FILE
    frame = pd.read_csv(path, dtype={"each": str})
    if missing := [name for name in COLUMNS if name not in frame]:
        raise ValueError(f"{path} lacks {', '.join(missing)}; restore it or measure again")
    wrong = (frame["each"].str.len() != frame["images"]) | (frame["each"].str.count("1") != frame["survive"])
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0]) + 2
        raise ValueError(f"{path}, line {line}: outcomes that do not add up; restore it")
    if (again := frame.duplicated(list(_NETWORK_AND_ATTACK))).any():
        line = int(np.flatnonzero(again)[0]) + 2
        raise ValueError(f"{path}, line {line}: a second line of the same network and attack; restore it")
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
        by_training: dict[int, list[NDArray[np.bool_]]] = defaultdict(list)
        for line in self._lines.get((problem, posterior, threat.norm, str(reading)), ()):
            if line.attacker in named and math.isclose(line.eps, threat.eps, rel_tol=1e-5, abs_tol=1e-8):
                by_training[line.training].append(line.survive)
        trainings = [np.logical_and.reduce(by_training[training]) for training in sorted(by_training)]
        least = min((len(bits) for bits in trainings), default=0)
        return np.array([bits[:least] for bits in trainings], dtype=bool).reshape(len(trainings), least)

    def has(self, problem: str, posterior: str, reading: Reading) -> bool:
        """Whether anything was measured of a posterior under a reading."""
        return any((problem, posterior, norm, str(reading)) in self._lines for norm in get_args(Norm))

    @cached_property
    def _lines(self) -> dict[tuple[str, str, str, str], list[_Line]]:
        """By problem, posterior, norm and reading: pages ask thousands of times."""
        found = defaultdict(list)
        names = ("problem", "posterior", "norm", "reading", "training", "attacker", "eps", "each")
        for *key, training, attacker, eps, each in zip(*(self.frame[name] for name in names), strict=True):
            found[tuple(key)].append(_Line(training, attacker, eps, _bits(each)))
        return dict(found)

    @cached_property
    def attacks(self) -> pd.DataFrame:
        """The lines of attacks: those of eps 0 are of images as they are."""
        return self.frame[self.frame["eps"] > 0]

    def threats(self, problem: str, norm: Norm) -> list[ThreatModel]:
        """Those that were measured, the smallest eps first."""
        of = self.attacks[(self.attacks["problem"] == problem) & (self.attacks["norm"] == norm)]
        return [ThreatModel(norm, float(eps)) for eps in sorted(of["eps"].unique())]


def _bits(each: str) -> NDArray[np.bool_]:
    bits: NDArray[np.bool_] = np.frombuffer(each.encode(), dtype=np.uint8) == ord("1")
    return bits
