"""Can the numbers of an entry be believed? One function a check, from evidence to a `Verdict`.

Here are the checks of the protocol that need nothing but stored outcomes. A new check is one function with
`@check(...)` and one test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import pandas as pd
from scipy.stats import binomtest

from benchmark.agreement import meets, weakest
from benchmark.attacks.spec import format_eps
from benchmark.protocol import SIGNIFICANCE, required_agreement
from benchmark.record import Record
from benchmark.statistics import mcnemar

Status = Literal["PASS", "FLAG", "FAIL", "ERROR"]
STATUSES: tuple[Status, ...] = ("PASS", "FLAG", "FAIL", "ERROR")  # from best to worst


@dataclass(frozen=True)
class Verdict:
    """check: V2, V6, …. evidence: the numbers, in words a reviewer can quote."""

    check: str
    status: Status
    evidence: str


@dataclass(frozen=True)
class Evidence:
    """All that is known of one entry in one configuration: its records and their outcomes as one frame.

    outcomes: a row per example, attack, eps and library; see `benchmark.boards.outcome_frame`.
    """

    records: list[Record]
    outcomes: pd.DataFrame


CHECKS: dict[str, Callable[[Evidence], Verdict]] = {}


def check(name: str) -> Callable[[Callable[[Evidence], tuple[Status, str]]], Callable[[Evidence], Verdict]]:
    """Register a check that returns a status and its evidence."""

    def register(function: Callable[[Evidence], tuple[Status, str]]) -> Callable[[Evidence], Verdict]:
        def verdict(evidence: Evidence) -> Verdict:
            return Verdict(name, *function(evidence))

        CHECKS[name] = verdict
        return verdict

    return register


def verdicts(evidence: Evidence) -> list[Verdict]:
    """Every check on one entry's evidence."""
    return [run(evidence) for run in CHECKS.values()]


def worst_status(found: list[Verdict]) -> Status:
    """The worst status among verdicts, which gates the rank."""
    return max((verdict.status for verdict in found), key=STATUSES.index, default="PASS")


@check("V2")
def budget_and_box(evidence: Evidence) -> tuple[Status, str]:
    """Every image within eps and [0, 1] and finite; an exception of a library is an error, never a score."""
    for record in evidence.records:
        for library, outcome in record.outcomes.items():
            if outcome.error is not None:
                return "ERROR", f"{library} failed on {record.cell.label}: {outcome.error}"
    outside = [
        f"{library} {record.cell.label}: {len(outcome.violations)} images"
        for record in evidence.records
        for library, outcome in record.outcomes.items()
        if outcome.violations
    ]
    if outside:
        return "FAIL", f"images outside budget or box: {'; '.join(outside)}"
    count = sum(len(outcome.distance) for record in evidence.records for outcome in record.outcomes.values())
    return "PASS", f"{count} adversarial images within budget and box"


@check("V6")
def iterative_beats_single_step(evidence: Evidence) -> tuple[Status, str]:
    """Examples that only FGSM breaks, not PGD at the same eps: at most 1 %; more points at masked gradients."""
    worst: tuple[Status, str] = ("PASS", "no eps with both fgsm and pgd-linf")
    highest = -1.0
    for eps, frame in evidence.outcomes.groupby("eps"):
        survived = frame.groupby(["attack", "example"])["correct"].all().unstack("attack")
        if not {"fgsm", "pgd-linf"} <= set(survived.columns):
            continue
        survived = survived.dropna().astype(bool)
        only = int((~survived["fgsm"] & survived["pgd-linf"]).sum())
        share = only / len(survived)
        if share > highest:
            significant = binomtest(only, len(survived), 0.01, "greater").pvalue < SIGNIFICANCE
            status: Status = "PASS" if share <= 0.01 else "FAIL" if significant else "FLAG"
            worst = status, f"eps {format_eps(float(str(eps)))}: only fgsm breaks {only} of {len(survived)}"
            highest = share
    return worst


@check("V7")
def monotone_in_eps(evidence: Evidence) -> tuple[Status, str]:
    """Robust accuracy does not rise by more than 1 point as eps grows."""
    largest, text = 0.0, "robust accuracy does not rise with eps"
    status: Status = "PASS"
    for attack, frame in evidence.outcomes.groupby("attack"):
        survived = frame.groupby(["eps", "example"])["correct"].all().unstack("eps").dropna().astype(bool)
        for low, high in pairwise(sorted(map(float, survived.columns))):
            rise = float(survived[high].mean() - survived[low].mean())
            if rise > max(largest, 0.01 + 1e-9):  # a rise of just one point passes, whatever its rounding
                lost, won = (int((survived[a] & ~survived[b]).sum()) for a, b in ((low, high), (high, low)))
                largest, status = rise, "FAIL" if mcnemar(lost, won) < SIGNIFICANCE else "FLAG"
                text = f"{attack}: {100 * rise:.1f} points more at eps {format_eps(high)} than at {format_eps(low)}"
    return status, text


@check("V16")
def libraries_agree(evidence: Evidence) -> tuple[Status, str]:
    """No pair of libraries disagrees; a level below the one the protocol requires is flagged."""
    pairs = [
        (pair.level, required_agreement(record.cell.attack), f"{pair.first}/{pair.second} on {record.cell.label}")
        for record in evidence.records
        for pair in record.agreement
    ]
    if not pairs:
        return "FLAG", "one library only: nothing to compare"
    below = [f"{where}: {level}" for level, required, where in pairs if not meets(level, required)]
    if below:
        return "FLAG", "; ".join(below[:3]) + (f" and {len(below) - 3} more" if len(below) > 3 else "")
    return "PASS", f"{len(pairs)} comparisons, weakest {weakest(level for level, _, _ in pairs)}"
