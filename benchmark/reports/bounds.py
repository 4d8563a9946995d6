"""The page about bounds: robust accuracy as an interval, from what is certified to what attacks left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from benchmark.attacks.spec import format_eps
from benchmark.reports.page import render_page
from benchmark.reports.shares import percent
from benchmark.reports.tables import csv_text, markdown, span
from benchmark.results.bounds import Bounded
from benchmark.results.share import Share
from zoo.kind import Kind


def bounds_page(found: Sequence[Bounded]) -> str:
    """Data set by data set and norm by norm, the interval of every network at every eps, and what it costs."""
    return render_page(
        "bounds.md",
        datasets=[
            {
                "name": dataset,
                "norms": {norm: markdown(intervals(of_norm)) for norm, of_norm in by_norm(of_dataset).items()},
                "ends": markdown(ends(of_dataset)),
            }
            for dataset, of_dataset in by_dataset(found).items()
        ],
        images=span(len(one.certified) for one in found),
    )


def bounds_table(found: Iterable[Bounded]) -> str:
    """The same as CSV, a line a network, norm and eps, shares between 0 and 1."""
    lines = [
        {
            "dataset": one.dataset,
            "entry": one.configuration.model,
            "family": one.family,
            "draws": one.draws,
            "norm": one.norm,
            "eps": eps,
            "images": len(one.certified),
            "certified": one.below(eps).value,
            "certified_low": one.below(eps).interval[0],
            "attacked": one.above(eps).value,
            "attacked_high": one.above(eps).interval[1],
        }
        for one in found
        for eps in one.tried
    ]
    return csv_text(pd.DataFrame(lines))


def intervals(found: Iterable[Bounded]) -> list[dict[str, object]]:
    """A line a network of one norm, a column an eps: `45–78` where 45 % are certified and attacks left 78 %."""
    found = list(found)
    radii = sorted({eps for one in found for eps in one.tried})
    return [
        {
            "network": one.configuration.model.partition("/")[2] or one.configuration.model,
            "of": described(one),
            **{f"{one.norm} {format_eps(eps)}": interval(one.below(eps), one.above(eps)) for eps in radii},
        }
        for one in found
    ]


def interval(below: Share, above: Share) -> str:
    """`45–78`, or one number where both are the same."""
    digits = 0 if below.count <= 100 else 1
    ends = percent(below, digits=digits), percent(above, digits=digits)
    return "–".join(dict.fromkeys(ends))


def described(one: Bounded) -> str:
    """What the bounds are of."""
    match one.kind:
        case Kind.POINT:
            return "one network"
        case Kind.FINITE:
            return f"{one.draws} members"
        case Kind.CONTINUOUS:
            return f"{one.draws} frozen draws"


def ends(found: Iterable[Bounded]) -> list[dict[str, object]]:
    """Where bounds say nothing any more, how wide they are where they are widest, and what they cost."""
    return [
        {
            "network": one.configuration.model.partition("/")[2],
            "norm": one.norm,
            "half of the clean accuracy up to eps": _half(one),
            "nothing from eps": _nothing(one),
            "widest [points]": f"{max(_width(one, eps) for eps in one.tried):.0f}",
            "seconds an image": f"{one.seconds / len(one.certified):.2g}",
        }
        for one in found
    ]


def by_dataset(found: Iterable[Bounded]) -> dict[str, list[Bounded]]:
    """Data set -> what is of it."""
    groups: dict[str, list[Bounded]] = {}
    for one in found:
        groups.setdefault(one.dataset, []).append(one)
    return groups


def by_norm(found: Iterable[Bounded]) -> dict[str, list[Bounded]]:
    """Norm -> what is in it, linf first."""
    groups: dict[str, list[Bounded]] = {"linf": [], "l2": []}
    for one in found:
        groups[one.norm].append(one)
    return {norm: group for norm, group in groups.items() if group}


def _half(one: Bounded) -> str:
    kept = [eps for eps in one.tried if 2 * one.below(eps).hits >= one.above(0.0).hits]
    return format_eps(kept[-1]) if kept else f"below {format_eps(one.tried[0])}"


def _nothing(one: Bounded) -> str:
    lost = [eps for eps in one.tried if not one.below(eps).hits]
    return format_eps(lost[0]) if lost else f"above {format_eps(one.tried[-1])}"


def _width(one: Bounded, eps: float) -> float:
    return 100 * (one.above(eps).value - one.below(eps).value)
