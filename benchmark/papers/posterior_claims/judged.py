"""Claims judged at every place that has what they need: once by each view, and at every other eps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from benchmark.attacks.spec import ThreatModel
from benchmark.papers.judging import Claim, Decided, Judgement, lines
from benchmark.papers.posterior_claims.claims import CLAIMS, Cited
from benchmark.papers.posterior_claims.evidence import Evidence, Material, Place, View

NOT_MEASURED: Judgement = "not measured"


class ByView(NamedTuple):
    """How a claim was judged by one view. others: at every eps."""

    judgement: Judgement
    decided: list[Decided]
    others: Mapping[ThreatModel, Judgement]


class Judged(NamedTuple):
    """A claim at one place; None where there is no place for it."""

    number: int
    cited: Cited
    place: Place | None
    by_view: Mapping[View, ByView]

    def judgement(self, view: View) -> Judgement | None:
        """None for a view that the claim is not judged by."""
        if view not in self.cited.views:
            return None
        return self.by_view[view].judgement if view in self.by_view else NOT_MEASURED


def judge_all(material: Material) -> Iterator[Judged]:
    """Every claim at every place; one that can be judged at none once, as not measured."""
    for number, cited in enumerate(CLAIMS, 1):
        found = [Judged(number, cited, *judged_best(place, cited)) for place in material.places(cited.on)]
        yield from [one for one in found if one.by_view] or [Judged(number, cited, None, {})]


def judged_best(place: Place, cited: Cited) -> tuple[Place, Mapping[View, ByView]]:
    """Where there are more draws, if the claim can be judged there; and how it is judged."""
    if place.again is not None and (by_view := judge_at(place.again, cited)):
        return place.again, by_view
    return place, judge_at(place, cited)


def judge_at(place: Place, cited: Cited) -> dict[View, ByView]:
    """By each view that was measured at a place; at the middle eps of its grid, and at all."""
    found = {}
    for view in cited.views:
        evidence = replace(place.evidence, view=view)
        judgement, decided = cited.claim.judge(replace(evidence, threat=place.middle))
        if judgement != NOT_MEASURED:
            found[view] = ByView(
                judgement, decided, dict(_at_every_eps(cited.claim, evidence, place.threats)) if cited.by_eps else {}
            )
    return found


def _at_every_eps(
    claim: Claim[Evidence], evidence: Evidence, threats: Iterable[ThreatModel]
) -> Iterator[tuple[ThreatModel, Judgement]]:
    for threat in threats:
        yield threat, claim.judge(replace(evidence, threat=threat))[0]


def table(by_view: Mapping[View, ByView]) -> list[dict[str, object]]:
    """A row for each statement by each view."""
    return [
        {"judged by": view.words, **line, "": f"**{found.judgement}**"}
        for view, found in by_view.items()
        for line in lines(found.decided)
    ]
