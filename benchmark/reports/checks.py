"""The page about the checks: what each asks, and which of them catch the networks that are built to fool them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmark.reports.page import render_page
from benchmark.reports.tables import markdown, percent, threat_title
from benchmark.results.checks import ALL
from benchmark.results.entries import Entry
from benchmark.timing import duration

SOURCE = "broken.json"  # what `python -m benchmark.selftest` wrote into the folder of studies
_MARKS = {"PASS": "·", "OPEN": "open", "FLAG": "flag", "FAIL": "**FAIL**", "ERROR": "**ERROR**"}


def validity_page(studies: Path, entries: Sequence[Entry]) -> str:
    """studies: the folder that holds what `benchmark.selftest` wrote."""
    broken: dict[str, dict[str, object]] = {}
    if (path := studies / SOURCE).is_file():
        broken = json.loads(path.read_text())
    audited = [entry for entry in entries if next(iter(entry.audits.values())).evidence.adaptive]
    return render_page(
        "validity.md",
        checks=markdown({"check": c.name, "asks": c.title, "if not": c.consequence} for c in ALL.values()),
        broken=markdown(_line(name, entry) for name, entry in broken.items()),
        drops=markdown(_drop(name, entry) for name, entry in broken.items()),
        entries=markdown(_entry(entry) for entry in audited),
        moved=markdown(_moved(entry) for entry in audited),
        times=markdown(_times(entry) for entry in audited),
        images=", ".join(dict.fromkeys(str(entry["images"]) for entry in broken.values())),
    )


def _line(name: str, entry: dict[str, object]) -> dict[str, object]:
    """What the checks say of a broken network; a check that must catch it and does not is marked."""
    verdicts: dict[str, list[str]] = entry["verdicts"]  # type: ignore[assignment]
    must: list[str] = entry["must"]  # type: ignore[assignment]
    line: dict[str, object] = {"network": name, "defect": entry["defect"], "named": ", ".join(must)}
    for check in ALL:
        if check not in verdicts:  # it is newer than the study
            line[check] = ""
            continue
        status = verdicts[check][0]
        missed = check in must and status not in ("FAIL", "ERROR")
        line[check] = f"{_MARKS[status]} (missed)" if missed else _MARKS[status]
    return line


def _entry(entry: Entry) -> dict[str, object]:
    """What the checks say of an entry, each in the norm where it is worst."""
    worst = entry.verdicts
    return {"entry": entry.name, **{check: _MARKS[worst[check].status] for check in ALL}}


def _drop(name: str, entry: dict[str, object]) -> dict[str, object]:
    whitebox: dict[str, int] = entry["whitebox"]  # type: ignore[assignment]
    worst: dict[str, int] = entry["worst"]  # type: ignore[assignment]
    return {"network": name, **{threat: f"{whitebox[threat]} → {worst[threat]}" for threat in whitebox}}


def _moved(entry: Entry) -> dict[str, object]:
    """By threat model: accuracy under the white-box and under all attacks, and the adaptive attack that broke most."""
    line: dict[str, object] = {"entry": entry.name}
    for row in entry.rows:
        most = max(row.adaptive, key=lambda name: row.adaptive[name], default="")
        by = f" ({most})" if row.adaptive.get(most) else ""
        title = threat_title(row.threat.norm, row.threat.eps)
        line[title] = f"{percent(row.whitebox)} → {percent(row.worst)}{by}"
    return line


def _times(entry: Entry) -> dict[str, object]:
    """Wall time of an entry's white-box attacks and of its audit, and which adaptive attacks took most of that."""
    whitebox = {record.key: record for record in entry.white_box}.values()
    seconds: dict[str, float] = {}
    for name, records in entry.adaptive.items():
        seconds[name] = sum(record.provenance["seconds"] for record in records)
    total, longest = sum(seconds.values()), sorted(seconds, key=lambda name: -seconds[name])[:3]
    return {
        "entry": entry.name,
        "white-box attacks": duration(sum(record.provenance["seconds"] for record in whitebox)),
        "adaptive attacks": duration(total),
        "of that": ", ".join(f"{name} {100 * seconds[name] / total:.0f} %" for name in longest),
    }
