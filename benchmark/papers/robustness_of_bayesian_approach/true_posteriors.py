"""What the claims about Bayesian networks come to where their posterior is exact: HMC against its own maximum.

The paper's networks are mean-field and cold. The study of posteriors has others, at eps of its own: those within the
paper's grids are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import groupby
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from benchmark.attacks.spec import ThreatModel, format_eps
from benchmark.papers.judging import Decided
from benchmark.papers.posterior_claims.claims import Cited, cited
from benchmark.papers.posterior_claims.evidence import ONE_DRAW, OWN, UNKNOWN, Evidence, View, place_of
from benchmark.papers.posterior_claims.judged import ByView, judge_at
from benchmark.papers.posterior_claims.statements import Statement, difference, robust
from benchmark.papers.posteriors.findings import Findings
from benchmark.papers.posteriors.grid import EXACT, MAP
from benchmark.papers.robustness_of_bayesian_approach.claims import DEFEND, more_robust
from benchmark.papers.robustness_of_bayesian_approach.statements import MARGIN
from benchmark.papers.robustness_of_bayesian_approach.suite import GRIDS

TRUE_POSTERIOR = "a true posterior: by unknown draws / on the judge's own"


class Reading(NamedTuple):
    """A claim at one problem of the study. by_view: empty nowhere."""

    place: str
    by_view: Mapping[View, ByView]


def under_true_posteriors(
    studies: Iterable[Findings], repeats: Mapping[str, Findings] = MappingProxyType({})
) -> dict[str, list[Reading]]:
    """Text of a claim -> its reading at every problem that HMC sampled.

    repeats: by such a problem, what was measured with more draws, and is read in its place.
    """
    found: dict[str, list[Reading]] = {text: [] for text in _CLAIMS}
    for findings in studies:
        place = place_of(repeats.get(findings.problem.name, findings))
        end = next((one for one in place.threats if one == ThreatModel("linf", GRIDS["small"][-1])), None)
        for text, claim in _CLAIMS.items():
            if by_view := judge_at(place._replace(middle=end), claim):
                found[text].append(Reading(place.name, by_view))
    return {text: readings for text, readings in found.items() if readings}


def short(readings: Iterable[Reading]) -> str:
    """`confirmed / undecided` for what `TRUE_POSTERIOR` says, a pair for each problem."""
    return "; ".join(
        " / ".join(one.by_view[view].judgement for view in (UNKNOWN, OWN) if view in one.by_view) for one in readings
    )


def _more_robust_on_average(grid: str) -> Statement:
    """More images survive, averaged over the study's eps within a grid of the paper, in both norms."""
    low, high = GRIDS[grid][1], GRIDS[grid][-1]

    def decide(evidence: Evidence) -> Decided | None:
        if evidence.findings is None:
            return None
        threats = [one for one in place_of(evidence.findings).threats if low <= one.eps <= high]
        pairs = [
            (ours, base)
            for at in (replace(evidence, threat=one) for one in threats)
            if (ours := at.survivors(EXACT)) is not None and (base := at.survivors(MAP)) is not None
        ]
        if not pairs or len(pairs) < len(threats):
            return None
        over = " and ".join(
            f"{norm} {', '.join(format_eps(one.eps) for one in of)}"
            for norm, of in groupby(threats, lambda one: one.norm)
        )
        ours, base = (np.mean(side, axis=0) for side in zip(*pairs, strict=True))
        return difference(f"{EXACT} is more robust than its maximum on average over {over}", ours, base)

    return decide


def _judged(statement: Statement) -> Cited:
    return cited("section 5", "", statement, views=(ONE_DRAW, UNKNOWN, OWN), by_eps=False)


_CLAIMS: dict[str, Cited] = {
    **{more_robust(grid): _judged(_more_robust_on_average(grid)) for grid in GRIDS},
    DEFEND: _judged(robust(EXACT, margin=MARGIN)),
}
