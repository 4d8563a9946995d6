"""The page about what papers claim of posteriors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from benchmark.attacks.spec import format_eps
from benchmark.papers.judging import Judgement, counted
from benchmark.papers.posterior_claims import statements
from benchmark.papers.posterior_claims.claims import TITLES
from benchmark.papers.posterior_claims.evidence import LIMIT, VIEWS, Material
from benchmark.papers.posterior_claims.judged import Judged, judge_all, table
from benchmark.reports.page import render_page
from benchmark.reports.publish import Generated
from benchmark.reports.tables import markdown, threat_title
from benchmark.results import Results

MARKS: dict[Judgement, str] = {"confirmed": "✓", "refuted": "✗", "undecided": "?", "not measured": ""}

_COLUMNS = (*VIEWS, LIMIT)


def report(results: Results, folder: Path) -> Generated:
    """The page; none where no posterior of the study was measured."""
    material = Material.read(results, folder)
    if not material.studies:
        return Generated({})
    judged = list(judge_all(material))
    link = f"[what they claim of posteriors](posterior-claims.md), judged: {counted(_strictest(judged))}"
    return Generated({folder / "posterior-claims.md": claims_page(judged)}, links=(link,))


def claims_page(judged: Sequence[Judged]) -> str:
    """Every claim, with the tests that decide it."""
    middle = {
        f"{threat_title(place.middle.norm, place.middle.eps)}, on {place.dataset}": None
        for one in judged
        if (place := one.place) is not None and place.middle is not None
    }
    return render_page(
        "posterior-claims.md",
        __package__,
        sentences=[*_sums(judged)],
        summary=markdown(_summary(judged)),
        papers=[
            {"name": name, "title": TITLES[name], "claims": [_claim(list(of)) for _, of in by_claim]}
            for name, by_claim in _by_paper(judged)
        ],
        middle="; ".join(middle),
        close=f"{100 * statements.CLOSE:g}",
        adds=f"{100 * statements.ADDS:g}",
    )


def _strictest(judged: Sequence[Judged]) -> list[Judgement]:
    """Of each claim the judgement by the last view that it has: the strongest attacker."""
    return [found for one in judged if (found := one.judgement(one.cited.views[-1])) is not None]


def _sums(judged: Sequence[Judged]) -> Iterator[str]:
    for view in _COLUMNS:
        if found := [judgement for one in judged if (judgement := one.judgement(view)) is not None]:
            yield f"By **{view.words}**: {counted(found)}."
    yield f"By the last of these that each has: {counted(_strictest(judged))}."


def _summary(judged: Sequence[Judged]) -> Iterator[dict[str, object]]:
    for one in judged:
        yield {
            "": f"[{one.number}](#{one.number})",
            "paper": one.cited.claim.where,
            "claim": one.cited.claim.text,
            "judged on": "" if one.place is None else one.place.name,
            **{view.words: one.judgement(view) or "" for view in _COLUMNS},
            "measured by the last of them": _measured(one),
        }


def _measured(one: Judged) -> str:
    last = [found.decided for found in one.by_view.values()][-1:]
    return "; ".join(decided.numbers for of in last for decided in of)


def _by_paper(judged: Sequence[Judged]) -> Iterator[tuple[str, Iterator[tuple[int, Iterator[Judged]]]]]:
    for name, of in groupby(judged, key=lambda one: one.cited.claim.where):
        yield name, groupby(of, key=lambda one: one.number)


def _claim(of: Sequence[Judged]) -> dict[str, object]:
    """A claim at all of its places."""
    cited = of[0].cited
    return {
        "number": of[0].number,
        "text": cited.claim.text,
        "note": cited.note,
        "needs": cited.needs,
        "places": [
            {"name": one.place.name, "table": markdown(table(one.by_view)), "by_eps": markdown(_by_eps(one))}
            for one in of
            if one.place is not None
        ],
    }


def _by_eps(one: Judged) -> Iterator[dict[str, object]]:
    for view, found in one.by_view.items():
        if len(found.others) > 1:
            yield {
                "judged by": view.words,
                **{
                    f"{threat.norm} {format_eps(threat.eps)}": MARKS[judgement]
                    for threat, judgement in found.others.items()
                },
            }
