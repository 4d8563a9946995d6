"""Readings and draws on the audit page of a network with posterior draws, and as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from benchmark.attacks.spec import format_eps
from benchmark.plan.ladder import RUNGS
from benchmark.reports.shares import percent
from benchmark.reports.tables import csv_text, threat_title
from benchmark.results.draws import ByDraws
from benchmark.results.entries import Entry
from benchmark.results.readings import SUBMISSIONS
from benchmark.results.rows import Row
from benchmark.results.share import Share
from zoo.kind import Kind


def has_draws(entry: Entry) -> bool:
    """Whether there is more than one reading of the network."""
    return any(row.audit.evidence.kind is not Kind.POINT for row in entry.rows)


def readings(entry: Entry) -> list[dict[str, object]]:
    """A line a threat model; columns that no line has are left out."""
    lines = [_reading(row) for row in entry.rows]
    shown = [name for name in lines[0] if any(line[name] for line in lines)]
    return [{name: line[name] for name in shown} for line in lines]


def _reading(row: Row) -> dict[str, object]:
    found, kind = row.readings, row.audit.evidence.kind
    one = found.one_draw
    line: dict[str, object] = {
        "threat model": threat_title(row.threat.norm, row.threat.eps),
        "headline": percent(found.headline, interval=True),
        "judge's own draws": "" if kind is Kind.FINITE else _share(found.deterministic),
        "half the samples": _share(found.sample),
    }
    for count in SUBMISSIONS:
        line[f"one draw, {count} quer{'y' if count == 1 else 'ies'}"] = (
            "" if one is None else f"{100 * one.of[count]:.1f}"
        )
    line["majority"] = "" if one is None else percent(one.majority)
    reversals = found.reversals
    line["reversed by another judge"] = "" if reversals is None else f"{reversals.hits} of {reversals.count}"
    return line


def _share(share: Share | None) -> str:
    return "" if share is None else percent(share, interval=True)


def ladders(entry: Entry) -> list[dict[str, object]]:
    """Robust accuracy against fresh draws at each step, a line a threat model under which any image was left."""
    lines = []
    for row in entry.rows:
        audited = row.audit.evidence.audited
        climbed = audited.ladders.get(row.threat)
        if climbed is not None:
            line: dict[str, object] = {
                "threat model": threat_title(row.threat.norm, row.threat.eps),
                "white-box": percent(Share(len(audited.surviving[row.threat]), climbed.count)),
            }
            for draws in RUNGS:
                if draws in climbed.survivors:
                    line[f"{draws} draws"] = percent(Share(climbed.survivors[draws], climbed.count))
            lines.append({**line, "": "converged" if climbed.converged else "not converged"})
    return lines


def readings_table(entries: Iterable[Entry]) -> str:
    """Every reading of every network with draws, as CSV, shares between 0 and 1; empty where there is none."""
    lines = []
    for entry in entries:
        for row in entry.rows if has_draws(entry) else ():
            found, one = row.readings, row.readings.one_draw
            line: dict[str, object] = {
                "dataset": row.dataset,
                "entry": entry.name,
                "posterior": str(row.audit.evidence.kind),
                "norm": row.threat.norm,
                "eps": format_eps(row.threat.eps),
                "images": found.headline.count,
                "headline": found.headline.value,
                "judges_own_draws": None if found.deterministic is None else found.deterministic.value,
                "half_the_samples": None if found.sample is None else found.sample.value,
            }
            for count in SUBMISSIONS:
                line[f"one_draw_{count}"] = None if one is None else one.of[count]
            line["majority"] = None if one is None else one.majority.value
            line["reversed"] = None if found.reversals is None else found.reversals.value
            climbed = row.audit.evidence.ladders.get(row.threat)
            for draws in RUNGS:
                left = None if climbed is None else climbed.survivors.get(draws)
                line[f"fresh_{draws}"] = None if left is None or climbed is None else left / climbed.count
            line["converged"] = None if climbed is None else climbed.converged
            lines.append(line)
    return csv_text(pd.DataFrame(lines)) if lines else ""


def draws_table(found: Sequence[ByDraws]) -> str:
    """Robust accuracy against the attacker's draws, way by way, as CSV; empty where nothing was measured."""
    lines = [
        {
            "dataset": one.dataset,
            "entry": one.model,
            "reading": str(one.reading),
            "norm": one.threat.norm,
            "eps": format_eps(one.threat.eps),
            "attack": one.way.attack,
            "gradient": one.way.target,
            "draws": str(one.way.schedule),
            "number": number,
            "images": share.count,
            "accuracy": share.value,
            "low": share.interval[0],
            "high": share.interval[1],
        }
        for one in found
        for number, share in one.surviving.items()
    ]
    return csv_text(pd.DataFrame(lines)) if lines else ""


def draws_rows(found: Sequence[ByDraws]) -> list[dict[str, object]]:
    """The same as a table for one data set: ways down, numbers of draws across."""
    numbers = sorted({number for one in found for number in one.surviving})
    return [
        {
            "entry": one.model.split("/")[1] + ("" if one.reading == "headline" else " (half the samples)"),
            "threat model": threat_title(one.threat.norm, one.threat.eps),
            "gradient of": one.way.target,
            "attack": f"{one.way.attack}, {one.way.schedule} draws",
            **{str(number): percent(one.surviving[number]) if number in one.surviving else "" for number in numbers},
        }
        for one in found
    ]
