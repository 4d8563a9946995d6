"""What a check is: a function from evidence to a status and the numbers behind it.

A new check is one function with `@check(...)`, in the file of its kind of evidence, and one test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from scipy.stats import binomtest

from benchmark.attacks.spec import ThreatModel, format_eps
from benchmark.protocol import SIGNIFICANCE
from benchmark.results.evidence import Evidence
from benchmark.statistics import mcnemar

Status = Literal["PASS", "OPEN", "FLAG", "FAIL", "ERROR"]
STATUSES: tuple[Status, ...] = ("PASS", "OPEN", "FLAG", "FAIL", "ERROR")  # from best to worst; OPEN: not checked yet

Finding = tuple[Status, str]
POINT = 0.01  # a point: one of a hundred images
UNLIKELY = 0.05  # below this p-value what chance alone may do is flagged: of honest networks at most so many
NOT_RUN = "needs suite adaptive"
NOT_APPLICABLE = "does not apply"
NO_DRAWS: Finding = ("PASS", f"{NOT_APPLICABLE}: one network, no draws")


@dataclass(frozen=True)
class Verdict:
    """check: V2, V6, …. title: what it asks. evidence: the numbers, in words a reviewer can quote."""

    check: str
    title: str
    status: Status
    evidence: str

    @property
    def applies(self) -> bool:
        """Whether it says anything of the network: there was something to check, and it was checked."""
        return self.status != "OPEN" and not self.evidence.startswith(NOT_APPLICABLE)


@dataclass(frozen=True)
class Check:
    """name: V2, V6, …. title: what it asks. consequence: what it means for the numbers where the answer is no.

    find: from evidence to a status and the numbers behind it.
    everywhere: whether it is asked of all images, and not of those alone that met every attack.
    """

    name: str
    title: str
    consequence: str
    find: Callable[[Evidence], Finding]
    everywhere: bool = False

    def __call__(self, evidence: Evidence) -> Verdict:
        return Verdict(self.name, self.title, *self.find(evidence if self.everywhere else evidence.audited))


CHECKS: dict[str, Check] = {}


def check(
    name: str, title: str, consequence: str, *, everywhere: bool = False
) -> Callable[[Callable[[Evidence], Finding]], Check]:
    """Register a function as a check; see `Check`. Raises ValueError if the name is taken."""

    def register(find: Callable[[Evidence], Finding]) -> Check:
        if name in CHECKS:
            raise ValueError(f"there is a check {name} already; choose another name")
        CHECKS[name] = Check(name, title, consequence, find, everywhere)
        return CHECKS[name]

    return register


def worst_status(verdicts: Iterable[Verdict]) -> Status:
    """The worst status among verdicts, which gates the rank."""
    return max((verdict.status for verdict in verdicts), key=STATUSES.index, default="PASS")


def worst_verdicts(verdicts: Iterable[Verdict]) -> dict[str, Verdict]:
    """Check -> its worst verdict among those of several norms."""
    worst: dict[str, Verdict] = {}
    for verdict in verdicts:
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


def where(threat: ThreatModel) -> str:
    """`linf eps 0.1`."""
    return f"{threat.norm} eps {format_eps(threat.eps)}"
