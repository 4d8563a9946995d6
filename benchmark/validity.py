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
from benchmark.outcomes import merged_agreement
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

    outcomes: a row per example, attack, eps and library; see `benchmark.outcomes.outcome_frame`.
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
    """Images that only FGSM breaks, not PGD at the same eps: at most 1 %; more points at masked gradients."""
    found: list[tuple[Status, str]] = []
    linf = evidence.outcomes[evidence.outcomes["attack"].isin(["fgsm", "pgd-linf"])]
    for eps in sorted(linf["eps"].unique()):
        survived = _survival(linf[linf["eps"] == eps], "attack")
        if {"fgsm", "pgd-linf"} <= set(survived.columns) and len(survived):
            only, count = int((~survived["fgsm"] & survived["pgd-linf"]).sum()), len(survived)
            certain = binomtest(only, count, 0.01, "greater").pvalue < SIGNIFICANCE
            status: Status = "PASS" if only <= 0.01 * count else "FAIL" if certain else "FLAG"
            found.append((status, f"eps {format_eps(float(eps))}: only fgsm breaks {only} of {count}"))
    return _summary(found, "not checked: no eps at which both fgsm and pgd-linf ran on the same images")


@check("V7")
def monotone_in_eps(evidence: Evidence) -> tuple[Status, str]:
    """Robust accuracy does not rise by more than 1 point from one eps to the next."""
    found: list[tuple[Status, str]] = []
    for attack, frame in evidence.outcomes.groupby("attack"):
        survived = _survival(frame, "eps")
        for low, high in pairwise(sorted(survived.columns)) if len(survived) else ():
            rise, count = int(survived[high].sum()) - int(survived[low].sum()), len(survived)
            lost, won = (int((survived[a] & ~survived[b]).sum()) for a, b in ((low, high), (high, low)))
            certain = mcnemar(lost, won) < SIGNIFICANCE
            status: Status = "PASS" if rise <= 0.01 * count else "FAIL" if certain else "FLAG"
            grid = f"eps {format_eps(float(low))} to {format_eps(float(high))}"
            found.append((status, f"{attack}, {grid}: {-rise} fewer of {count} stand"))
    return _summary(found, "not checked: no attack ran at two eps on the same images")


@check("V16")
def libraries_agree(evidence: Evidence) -> tuple[Status, str]:
    """No pair of libraries disagrees; a level below the one the protocol requires is flagged."""
    pairs = [
        (
            pair.level,
            required_agreement(spec),
            f"{pair.first}/{pair.second}, {spec.name} eps {format_eps(spec.threat.eps)}",
        )
        for (_, spec), comparisons in merged_agreement(evidence.records).items()
        for pair in comparisons
    ]
    if not pairs:
        return "FLAG", "one library only: nothing to compare"
    below = [f"{where}: {level}" for level, required, where in pairs if not meets(level, required)]
    if below:
        return "FLAG", "; ".join(below[:3]) + (f" and {len(below) - 3} more" if len(below) > 3 else "")
    return "PASS", f"{len(pairs)} comparisons, weakest {weakest(level for level, _, _ in pairs)}"


def _survival(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Example by `column`, true where no library broke it; only examples that have every column."""
    table = frame.groupby([column, "example"])["correct"].all().unstack(column)
    return table.dropna().astype(bool)


def _summary(found: list[tuple[Status, str]], nothing: str) -> tuple[Status, str]:
    """The worst status with all that has it; a PASS that says so where there was nothing to check."""
    if not found:
        return "PASS", nothing
    worst = max((status for status, _ in found), key=STATUSES.index)
    texts = [text for status, text in found if status == worst]
    more = f" and {len(texts) - 3} more" if len(texts) > 3 else ""
    return worst, "; ".join(texts[:3]) + more
