"""Can the numbers of an entry be believed? One function a check, from evidence to a `Verdict`.

A new check is one function with `@check(...)`, in the module of its kind of evidence, and one test.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import pandas as pd
from scipy.stats import binomtest

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import ThreatModel
from benchmark.protocol import SIGNIFICANCE
from benchmark.record import Record
from benchmark.statistics import mcnemar
from benchmark.trials import TRIALS, still_standing, trial_of

Status = Literal["PASS", "OPEN", "FLAG", "FAIL", "ERROR"]
STATUSES: tuple[Status, ...] = ("PASS", "OPEN", "FLAG", "FAIL", "ERROR")  # from best to worst; OPEN: not checked yet

Finding = tuple[Status, str]
NO_DRAWS: Finding = ("PASS", "does not apply: one network, no draws")


@dataclass(frozen=True)
class Verdict:
    """check: V2, V6, …. title: what it asks. evidence: the numbers, in words a reviewer can quote."""

    check: str
    title: str
    status: Status
    evidence: str


@dataclass(frozen=True)
class Evidence:
    """All that is known of one entry in one configuration.

    records: of the protocol's attacks. outcomes: theirs as one frame, a row per example, attack, eps and library; see
        `benchmark.outcomes.outcome_frame`.
    others: all other records of the same network under the same judge: at eps = 0, and what `benchmark.trials` plans.
    """

    records: list[Record]
    outcomes: pd.DataFrame
    others: list[Record] = field(default_factory=list)

    @property
    def deterministic(self) -> bool:
        """Whether the entry is one network, without draws."""
        return all(record.cell.judge_draws == 1 for record in self.records)

    @property
    def norm(self) -> Norm:
        """The norm that it speaks of; what is known at eps = 0 comes from attacks in either."""
        return self.records[0].cell.attack.threat.norm

    @cached_property
    def standing(self) -> dict[ThreatModel, set[int]]:
        """The images that no attack of the protocol broke, for every threat model that was met."""
        left = {record.cell.attack.threat: set[int]() for record in self.records if record.cell.attack.threat.eps > 0}
        for (_, threat), shards in still_standing(self.records).items():
            left[threat].update(example for examples in shards.values() for example in examples)
        return left

    @cached_property
    def images(self) -> dict[ThreatModel, int]:
        """How many images were attacked, for every threat model."""
        met: dict[ThreatModel, set[int]] = {}
        for record in self.records:
            met.setdefault(record.cell.attack.threat, set()).update(record.examples)
        return {threat: len(examples) for threat, examples in met.items()}

    @cached_property
    def tried(self) -> dict[str, list[Record]]:
        """Trial -> its complete records."""
        found: dict[str, list[Record]] = {}
        for record in self.others:
            if record.complete and (trial := trial_of(record.cell)) is not None:
                found.setdefault(trial.name, []).append(record)
        return found

    @cached_property
    def beyond_gradients(self) -> dict[ThreatModel, set[int]]:
        """Of what is `standing`, what no trial broke either that follows the network's own gradient."""
        left = {threat: set(examples) for threat, examples in self.standing.items()}
        for trial in TRIALS.values():
            for record in self.tried.get(trial.name, []) if trial.gradient == "own" else ():
                if record.cell.attack.threat in left:
                    left[record.cell.attack.threat] -= record.broken
        return left


Check = Callable[[Evidence], Verdict]

CHECKS: dict[str, Check] = {}
TITLES: dict[str, str] = {}  # check -> what it asks
CONSEQUENCES: dict[str, str] = {}  # check -> what it means for the numbers where it does not pass
_MODULES = ("network", "outcomes", "trials")  # of the checks, by what they look at


def check(name: str, title: str, consequence: str) -> Callable[[Callable[[Evidence], Finding]], Check]:
    """Register a check that returns a status and its evidence. Raises ValueError if the name is taken.

    title: what it asks. consequence: what it means where the answer is no.
    """

    def register(function: Callable[[Evidence], Finding]) -> Check:
        def verdict(evidence: Evidence) -> Verdict:
            return Verdict(name, title, *function(evidence))

        if name in CHECKS:
            raise ValueError(f"there is a check {name} already; choose another name")
        CHECKS[name], TITLES[name], CONSEQUENCES[name] = verdict, title, consequence
        return verdict

    return register


def load_checks() -> list[str]:
    """The names of all checks, in the order of their numbers."""
    for module in _MODULES:
        importlib.import_module(f"benchmark.validity.{module}")
    return sorted(CHECKS, key=lambda name: int(name[1:]))


def verdicts(evidence: Evidence) -> list[Verdict]:
    """Every check on one entry's evidence, in the order of their numbers."""
    return [CHECKS[name](evidence) for name in load_checks()]


def worst_status(found: list[Verdict]) -> Status:
    """The worst status among verdicts, which gates the rank."""
    return max((verdict.status for verdict in found), key=STATUSES.index, default="PASS")


def worst_verdicts(found: Iterable[Verdict]) -> dict[str, Verdict]:
    """Check -> its worst verdict among those of several norms."""
    worst: dict[str, Verdict] = {}
    for verdict in found:
        worst[verdict.check] = max(worst.get(verdict.check, verdict), verdict, key=lambda v: STATUSES.index(v.status))
    return worst


def over(hits: int, count: int, margin: float) -> Status:
    """PASS for a share up to `margin`, FAIL for one that is certainly larger (exact binomial test), FLAG between."""
    if hits <= margin * count:
        return "PASS"
    return "FAIL" if binomtest(hits, count, margin, "greater").pvalue < SIGNIFICANCE else "FLAG"


def risen(more: int, fewer: int, count: int, margin: float) -> Status:
    """PASS where of `count` images `more` - `fewer` is at most a share `margin`; else FAIL if McNemar's test is certain
    that the two differ, FLAG if not.
    """
    if more - fewer <= margin * count:
        return "PASS"
    return "FAIL" if mcnemar(more, fewer) < SIGNIFICANCE else "FLAG"


def first_few(texts: list[str]) -> str:
    """The first three, and how many more there are."""
    return "; ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")


def summary(found: list[Finding], nothing: str) -> Finding:
    """The worst status with all that has it; OPEN where there was nothing to check."""
    if not found:
        return "OPEN", f"not checked: {nothing}"
    worst = max((status for status, _ in found), key=STATUSES.index)
    return worst, first_few([text for status, text in found if status == worst])
