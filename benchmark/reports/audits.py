"""The audit of one entry: its attacks, the verdict of each check, and what a reader may conclude."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.attacks.methods import Norm, is_own
from benchmark.attacks.spec import format_eps
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS, UNBOUNDED_ATTACK
from benchmark.plan.roles import OTHER_GRADIENTS, OTHER_SETTINGS
from benchmark.protocol import ATTACKS
from benchmark.reports.bounds import intervals
from benchmark.reports.page import NOTICE, render_page
from benchmark.reports.readings import has_draws, ladders, readings
from benchmark.reports.shares import percent
from benchmark.reports.strongest import strongest, strongest_columns
from benchmark.reports.tables import audit_file, audit_name, csv_text, markdown, span, statuses, threat_title
from benchmark.results.bounds import Bounded
from benchmark.results.checks import ALL, Verdict
from benchmark.results.detection import MEASURES, Detection, Level
from benchmark.results.entries import Entry
from benchmark.results.rows import Row


def audit_pages(entries: Sequence[Entry], folder: Path) -> dict[Path, str]:
    """A page for every entry, below the folder."""
    return {folder / audit_file(entry.name): audit_page(entry) for entry in entries}


def audit_page(entry: Entry, notice: str | None = NOTICE) -> str:
    """The whole audit of one entry, as Markdown."""
    attacks: list[str] = [attack for attack in ATTACKS if any(attack in row.attacks for row in entry.rows)]
    by_norm = {row.threat.norm: row for row in entry.rows}
    return render_page(
        "audit.md",
        notice=notice,
        entry=entry.name,
        status=statuses(entry.statuses),
        sentence=conclusion(entry),
        norms=[
            {
                "name": norm,
                "ranked": "not ranked" if row.rank is None else "ranked",
                "reason": reason(row),
                "checks": markdown(_check(verdict) for verdict in row.verdicts),
                "concerns": [
                    f"**{verdict.check}**: {ALL[verdict.check].consequence}"
                    for verdict in row.verdicts
                    if verdict.status not in ("PASS", "OPEN")
                ],
            }
            for norm, row in by_norm.items()
        ],
        images=span(row.worst.count for row in entry.rows),
        audited=audited_images(entry),
        attacks=", ".join(attacks),
        surviving=markdown(
            _surviving(row, attacks) | strongest(row, strongest_columns(entry.rows)) for row in entry.rows
        ),
        strongest=strongest_columns(entry.rows),
        adaptive=markdown(adaptive_attacks(entry)),
        planted=detected(entry),
        bounds={norm: markdown(intervals([one])) for norm, one in bounds_of(entry).items()},
        readings=markdown(readings(entry)) if has_draws(entry) else "",
        ladders=markdown(ladders(entry)),
        figure=f"{audit_name(entry.name)}-ladder",
        detection=markdown(_detected(one) for one in entry.detections),
    )


def bounds_of(entry: Entry) -> dict[Norm, Bounded]:
    """Norm -> what no attack can break there, where bounds were computed."""
    return {row.threat.norm: row.bounded for row in entry.rows if row.bounded is not None}


def audited_images(entry: Entry) -> str:
    """How many images met every attack; empty where all of them did."""
    fewer = any(row.audited.count < row.worst.count for row in entry.rows)
    return span(row.audited.count for row in entry.rows) if fewer else ""


def conclusion(entry: Entry) -> str:
    """What a reviewer may quote: norm by norm, in the words of the worst status."""
    name, sentences = entry.name, []
    for norm, audit in entry.audits.items():
        rows = [row for row in entry.rows if row.threat.norm == norm]
        figures = "; ".join(
            f"{percent(row.worst, interval=True)} % at eps {format_eps(row.threat.eps)} ({_alone(row)})" for row in rows
        )
        images = span(row.worst.count for row in rows)
        measured = f"Accuracy under the worst case of all attacks, on {images} images: {figures}."
        failed = "; ".join(f"{v.check}, {v.title}: {v.evidence}" for v in audit.verdicts if v.status == audit.status)
        said = {
            "PASS": f"No check found a reason to disbelieve the figures of {name} in {norm}.",
            "OPEN": f"Nothing speaks against the figures of {name} in {norm} so far, but not all was checked.",
            "FLAG": f"No check failed on {name} in {norm}, but some ask for a look.",
            "ERROR": f"{name} was not evaluated in {norm}: an attack did not run, which says nothing about the "
            f"network, and its figures do not count until it has. {failed}.",
        }.get(audit.status, f"The accuracy of {name} under {norm} attacks is no evidence of robustness. {failed}.")
        sentences.append(f"{said} {measured}")
    return "\n\n".join(sentences)


def _alone(row: Row) -> str:
    """What the figure is without adaptive attacks, what no attack can break, or what it is of where none was run."""
    if not row.attacks:
        return f"under {'; '.join(row.further) or OTHER_SETTINGS} alone"
    certain = row.certified
    below = f"; {percent(certain)} % are certified" if certain is not None and certain.hits else ""
    return f"{percent(row.whitebox)} % under the white-box attacks alone{below}"


def short_audit(entry: Entry) -> str:
    """The audit for a terminal: the conclusion, and what did not pass."""
    lines = [f"{entry.name}: {statuses(entry.statuses)}", "", conclusion(entry), ""]
    for norm, audit in entry.audits.items():
        passed = sum(verdict.status == "PASS" for verdict in audit.verdicts)
        lines.append(f"{norm}: {passed} of {len(audit.verdicts)} checks passed")
        lines += [
            f"  {verdict.status} {verdict.check} {verdict.title}: {verdict.evidence}"
            for verdict in audit.verdicts
            if verdict.status != "PASS"
        ]
    return "\n".join(lines)


def reason(row: Row) -> str:
    """Why a row is ranked, or not, in a line."""
    worst = [verdict for verdict in row.verdicts if verdict.status == row.status]
    if not row.attacks:
        return "no attack of the protocol was run"
    if row.status == "PASS":
        return "every check passed"
    if row.status == "OPEN":
        return f"not checked yet: {', '.join(verdict.check for verdict in worst)}"
    return "; ".join(f"{verdict.check} {row.status}: {verdict.title}" for verdict in worst)


def detection_table(entries: Sequence[Entry]) -> str:
    """Uncertainty under attack of every entry, as CSV; empty where nothing was measured."""
    lines = [_detected(one, exact=True) for entry in entries for one in entry.detections]
    return csv_text(pd.DataFrame(lines)) if lines else ""


def _surviving(row: Row, attacks: list[str]) -> dict[str, object]:
    return {
        "threat model": threat_title(row.threat.norm, row.threat.eps),
        "clean": percent(row.clean),
        **{attack: percent(row.attacks[attack]) if attack in row.attacks else "" for attack in attacks},
        "white-box": percent(row.whitebox) if row.attacks else "",
        "worst case [95 %]": percent(row.worst, interval=True),
        "attacks": row.attack_count,
        "passes x draws": f"{row.passes[0]:,} + {row.passes[1]:,}",
    }


def adaptive_attacks(entry: Entry) -> list[dict[str, object]]:
    """A line an adaptive attack that was run: how many images it broke that survive the white-box attacks."""
    lines = []
    attacks = [*ADAPTIVE_ATTACKS.values(), UNBOUNDED_ATTACK]
    helps = {adaptive.name: adaptive.help for adaptive in attacks} | {OTHER_GRADIENTS: "gradients of suite masking"}
    for row in entry.rows:
        own = {name: "an own attack" for name in row.further if is_own(name)}
        broke = {name: "other settings than the protocol's" for name in row.further if row.adaptive.get(name)}
        helps |= broke | own
    for name, text in helps.items():
        line: dict[str, object] = {"adaptive attack": name, "what it is": text}
        for row in entry.rows:
            if name in row.adaptive:
                survivors = len(row.audit.evidence.audited.surviving[row.threat])
                line[threat_title(row.threat.norm, row.threat.eps)] = row.adaptive[name] if survivors else "–"
        if len(line) > 2:
            lines.append(line)
    return lines


def detected(entry: Entry) -> str:
    """Under each threat model, how many of the adversarial examples that were planted were found; empty for none."""
    return "; ".join(
        f"{threat_title(row.threat.norm, row.threat.eps)}: {row.detection.hits} of {row.detection.count}"
        for row in entry.rows
        if row.detection is not None
    )


def _check(verdict: Verdict) -> dict[str, object]:
    return {
        "check": verdict.check,
        "asks": verdict.title,
        "status": f"**{verdict.status}**" if verdict.status != "PASS" else "PASS",
        "evidence": verdict.evidence,
    }


def _detected(one: Detection, exact: bool = False) -> dict[str, object]:
    def number(value: float | None, digits: int = 3) -> object:
        if exact:
            return math.nan if value is None else value  # a column of numbers stays one
        return "" if value is None else f"{value:.{digits}f}"

    line: dict[str, object] = {"dataset": one.dataset, "entry": one.model} if exact else {}
    line |= {"threat model": threat_title(one.threat.norm, one.threat.eps), "attacker": one.attacker}
    line |= {"images": one.images, "made wrong": one.succeeded} if exact else {"made wrong": one.succeeded}
    for name in ("nll", "entropy", "mutual_information", "ece"):
        before, after = getattr(one.clean, name), getattr(one.attacked, name)
        if exact:
            line |= {f"{name}_clean": number(before), name: number(after)}
        else:
            line[_TITLES[name]] = "" if before is None else f"{before:.3f} → {after:.3f}"
    for kind, values, scale in (("AUROC", one.auroc, 1), ("unnoticed", one.unnoticed, 1 if exact else 100)):
        for measure in MEASURES:
            title = f"{kind}, {measure}"
            line[title] = number(None if measure not in values else scale * values[measure], 1 if scale == 100 else 3)
    return line


_TITLES = {name: name.replace("_", " ") for name in Level.__dataclass_fields__} | {"nll": "NLL", "ece": "ECE"}
