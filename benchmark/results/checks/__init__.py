"""Can the numbers of an entry be believed? Every check, on the evidence of one entry in one norm."""

from __future__ import annotations

from benchmark.results.checks import (  # noqa: F401 - importing registers
    adaptive,
    beyond,
    bounds,
    draws,
    planted,
    state,
    strong,
    white_box,
    without_attack,
)
from benchmark.results.checks.check import CHECKS, Check, Status, Verdict, worst_status, worst_verdicts
from benchmark.results.evidence import Evidence

__all__ = ["ALL", "OF_AUDITS", "Check", "Status", "Verdict", "verdicts", "worst_status", "worst_verdicts"]

ALL: dict[str, Check] = {name: CHECKS[name] for name in sorted(CHECKS, key=lambda name: int(name[1:]))}

# the checks that an audit of a hundred images can answer: not those on images beyond it, and on bounds
OF_AUDITS: dict[str, Check] = {
    name: check for name, check in ALL.items() if check not in (beyond.further_images, bounds.certified)
}


def verdicts(evidence: Evidence) -> list[Verdict]:
    """Every check on one entry's evidence, in the order of their numbers."""
    return [check(evidence) for check in ALL.values()]
