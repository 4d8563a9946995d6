"""How long cells take: reckoned from what an attack computes, corrected by measured times. Pure: no torch, no clock.

A cell's seconds are those of its attack and those of the rest, which is judging. Both are reckoned from the time of a
call of the network (`Pace`) and multiplied by a ratio: how much longer earlier cells took than was reckoned for them.
The ratio comes from cells of the same entry and kind of attack if there are any, otherwise from cells of the entry and
cells of the kind.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.attacks.methods import BOUND
from benchmark.plan.cells import Cell, Reading
from zoo.targets import TARGETS, Networks

if TYPE_CHECKING:
    from benchmark.records.record import Record

GRADIENT = 3  # passes that a gradient costs: the backward one takes twice as long
# The share of its gradients that a second library computes anew, and of its images that are judged anew. Counted: see
# "asked for and computed" in leaderboards/performance.md.
_APART = {"fgsm": 0.0, "bim": 0.35, "pgd-linf": 0.0, "pgd-l2": 0.85}
_PROPAGATED = 8  # draws whose pass takes as long as a pass of moments in place of draws
_PLANTING = 120  # points of each ball that `benchmark.evaluation.planted` evaluates
# Gradients that a step takes: FAB-T and APGD-T walk towards each of nine labels.
_A_STEP = {"apgd-t": 9, "fab-t": 9}
_ROWS = 500  # passes that bounds of a network take, whose every unit is bounded: LeNet's
_HEALTH = 4  # gradients that `benchmark.evaluation.health` takes
# Seconds that matter only for the smallest cells: of a cell, of a library's step, and of that step for an image.
_CELL, _STEP, _STEP_OF_IMAGE = 0.03, 0.0003, 0.000025
_ROUNDED = 0.0005  # seconds that a record rounds to 0
_TINY = 0.05  # seconds under which a measurement says little

Kind = tuple[object, ...]


@dataclass(frozen=True)
class Pace:
    """A network's speed. call: seconds of a call whatever is in it. image: of a pass of one image through one draw."""

    call: float
    image: float

    @classmethod
    def by_cost(cls, multiplications: int) -> Pace:
        """A guess for a network that was not measured: right within a factor of ten."""
        return cls(0.002, 1e-6 + 1e-10 * multiplications)


_UNMEASURED = Pace(0.002, 1.4e-4)  # of the source of a transfer: the mean of the zoo's networks on a core


@dataclass(frozen=True)
class Effort:
    """What a cell computes.

    network: whose gradients or outputs the attack takes. asked: calls that the libraries ask for. calls: those of them
    that are computed, not shared. passes: of a call, images x draws, a gradient counted as three. judged: images x
    draws that are judged.
    """

    network: str
    asked: float
    calls: float
    passes: float
    judged: float


def images(cell: Cell) -> int:
    """How many images a cell is of."""
    return cell.stop - cell.start if cell.only is None else len(cell.only)


def effort(cell: Cell) -> Effort:
    """What a cell computes, with gradients shared between the libraries."""
    spec, count, several = cell.attack, images(cell), len(cell.libraries) > 1
    target = TARGETS[spec.target]
    of_one = target.of_one_network or spec.source is not None
    draws = _PROPAGATED if target.networks is Networks.PROPAGATED else 1 if of_one else cell.attack_draws
    walks = 1 + (len(cell.libraries) - 1) * _APART.get(spec.name, 1.0)
    steps = spec.steps * spec.restarts * _A_STEP.get(spec.method.name, 1)
    calls, judged = walks * steps, walks
    if spec.threat.eps == 0 and several:  # every step is at the image itself
        calls = judged = 0.0
    if spec.threat.eps == 0 and spec.name == "fgsm":  # the first of a shard, which judges it as it is
        calls, judged = 1.0 + _HEALTH, 1.0
    judges = cell.judge_draws + cell.attack_draws
    if cell.reading is Reading.PLANTED:  # most is found in half the steps from one start
        calls, judges = spec.steps / 2, _PLANTING * cell.attack_draws
    if spec.method is BOUND:
        calls, judges, draws = float(_ROWS), 0, cell.judge_draws
    weight = GRADIENT if spec.method.gradients else 1
    return Effort(
        network=spec.source or cell.model,
        asked=len(cell.libraries) * steps,
        calls=calls,
        passes=count * draws * weight,
        judged=judged * count * judges,
    )


def kind(cell: Cell) -> Kind:
    """All of a cell's attack but eps: cells of one kind, entry and number of images take equally long."""
    spec = cell.attack
    return spec.label, spec.steps, spec.threat.eps > 0, spec.gradient.precision, len(cell.libraries), cell.attack_draws


def alike(cell: Cell) -> tuple[object, ...]:
    """The group of a cell: the same time is reckoned for all cells of a group."""
    return cell.model, kind(cell), images(cell), cell.judge_draws


def seconds_of(record: Record) -> tuple[float, float] | None:
    """Seconds of the attack and of the rest; None for a record that does not say, or with a library's error in it."""
    if not record.complete or "seconds" not in record.provenance:
        return None
    if record.certificate is not None:
        return float(record.provenance["seconds"]), 0.0
    attack = sum(outcome.seconds for outcome in record.outcomes.values())
    made = float(
        record.provenance.get("surrogate", {}).get("seconds", 0)
    )  # once for all cells that it is the source of
    return attack, max(0.0, float(record.provenance["seconds"]) - attack - made)


class Ratios:
    """How much longer cells took than reckoned, by entry and kind: means of logarithms, shrunk towards general ones.

    With many cells of an entry and a kind the ratio is theirs; with few, it is the product of the entry's ratio and the
    kind's; without a cell of one of these, the ratio of all cells takes its place; and it is one before any cell.
    """

    _GENERAL, _OWN = 0.2, 0.1  # weights of the more general means, in measurements

    def __init__(self) -> None:
        self._sums: dict[tuple[str, Kind], tuple[float, float]] = {}
        self._seconds: dict[tuple[str, Kind], tuple[float, float]] = {}  # measured and reckoned
        self._fitted: dict[tuple[str, Kind], float] | None = {}
        self._all, self._level = 0.0, 1.0  # level: factor that makes the fitted times add up to the measured
        self._effects: tuple[dict[object, float], dict[object, float]] = {}, {}  # of entries and of kinds

    def learn(self, entry: str, of: Kind, measured: float, reckoned: float) -> None:
        """Take in one cell's seconds; those of small cells count less."""
        weight = reckoned / (reckoned + _TINY)
        ratio = math.log(max(measured, _ROUNDED) / max(reckoned, _ROUNDED))
        total, logs = self._sums.get((entry, of), (0.0, 0.0))
        self._sums[entry, of] = total + weight, logs + weight * ratio
        before = self._seconds.get((entry, of), (0.0, 0.0))
        self._seconds[entry, of] = before[0] + measured, before[1] + reckoned
        self._fitted = None

    def __call__(self, entry: str, of: Kind) -> float:
        if self._fitted is None:
            self._fitted = self._fit()
        if (entry, of) in self._fitted:
            return self._fitted[entry, of]
        entries, kinds = self._effects
        return self._level * math.exp(entries.get(entry, self._all) + kinds.get(of, 0.0))

    def _fit(self) -> dict[tuple[str, Kind], float]:
        """Effects of entries and of kinds, fitted in turns, each to what the other leaves unexplained."""
        weight = sum(total for total, _ in self._sums.values())
        self._all = sum(logs for _, logs in self._sums.values()) / (weight + self._GENERAL)
        entries: dict[object, float] = {}
        kinds: dict[object, float] = {}
        for _ in range(4):
            entries = self._shrunk(0, kinds, self._all)
            kinds = self._shrunk(1, entries, 0.0)
        self._effects = entries, kinds
        fitted = {
            (entry, of): math.exp((logs + self._OWN * (entries[entry] + kinds[of])) / (total + self._OWN))
            for (entry, of), (total, logs) in self._sums.items()
        }
        took = sum(measured for measured, _ in self._seconds.values())
        fits = sum(fitted[pair] * reckoned for pair, (_, reckoned) in self._seconds.items())
        self._level = (took + _TINY) / (fits + _TINY)
        return {pair: self._level * factor for pair, factor in fitted.items()}

    def _shrunk(self, side: int, others: dict[object, float], general: float) -> dict[object, float]:
        """Effects of entries (side 0) or kinds (side 1), given those of the other side, shrunk towards `general`."""
        sums: dict[object, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for key, (total, logs) in self._sums.items():
            found = sums[key[side]]
            found[0] += total
            found[1] += logs - total * others.get(key[1 - side], 0.0)
        return {
            name: (logs + self._GENERAL * general) / (total + self._GENERAL) for name, (total, logs) in sums.items()
        }


class _Attacks:
    """Ratios of attacks; transfers have ratios of their own, because their gradients cost what the source costs."""

    def __init__(self) -> None:
        self._own, self._transfers = Ratios(), Ratios()

    def of(self, cell: Cell) -> Ratios:
        return self._own if cell.attack.source is None else self._transfers


class Forecast:
    """Seconds of cells; the estimate improves with every cell that is finished.

    paces: of networks, measured on this machine. earlier: records made on it before. Their ratios of entries and kinds
    are where this run starts from, and its own measurements are relative to them, because a machine is not equally busy
    at all times.
    """

    def __init__(self, paces: Mapping[str, Pace], earlier: Iterable[Record] = ()) -> None:
        self._paces = dict(paces)
        self._before, self._attacks = _Attacks(), _Attacks()
        self._rests = Ratios()
        self._judging: dict[str, float] = {}  # how much longer the rest took before, by entry
        rests: dict[str, list[float]] = defaultdict(list)
        for record in earlier:
            if (spent := seconds_of(record)) is not None:
                work, cell = effort(record.cell), record.cell
                self._before.of(cell).learn(work.network, kind(cell), spent[0], self._attack(work, cell))
                if work.judged:
                    rests[cell.model].append(spent[1] / self._rest(work, cell))
        # the median: records do not say which cells were a process's first, with imports in their time
        self._judging = {model: statistics.median(found) for model, found in rests.items() if len(found) > 2}

    def learn(self, cell: Cell, attack: float, rest: float | None) -> None:
        """Take in the seconds of a finished cell. rest: None where more is in it, as in an entry's first."""
        work = effort(cell)
        self._attacks.of(cell).learn(work.network, kind(cell), attack, self._reckoned(work, cell))
        if rest is not None:
            self._rests.learn(cell.model, (), rest, self._rest(work, cell))

    def parts(self, cell: Cell) -> tuple[float, float]:
        """Seconds of a cell's attack and of the rest, in a process that is at work already."""
        work = effort(cell)
        attack = self._reckoned(work, cell) * self._attacks.of(cell)(work.network, kind(cell))
        return attack, self._rest(work, cell) * self._rests(cell.model, ())

    def seconds(self, cell: Cell) -> float:
        """Seconds of a cell."""
        return sum(self.parts(cell))

    def _reckoned(self, work: Effort, cell: Cell) -> float:
        return self._attack(work, cell) * self._before.of(cell)(work.network, kind(cell))

    def _attack(self, work: Effort, cell: Cell) -> float:
        pace = self._paces.get(work.network, _UNMEASURED)
        steps = work.asked * (_STEP + _STEP_OF_IMAGE * images(cell))
        return steps + work.calls * (pace.call + pace.image * work.passes)

    def _rest(self, work: Effort, cell: Cell) -> float:
        judging = work.judged * self._paces.get(cell.model, _UNMEASURED).image
        return (_CELL + judging) * self._judging.get(cell.model, 1.0)
