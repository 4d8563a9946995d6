"""The page about the checks: what each asks, and which caught which of the networks that are built to fool them."""

from __future__ import annotations

import json
from pathlib import Path

from benchmark.pages import render_page
from benchmark.tables import markdown
from benchmark.validity import CHECKS, CONSEQUENCES, TITLES, load_checks

SOURCE = "broken.json"  # what `python -m examples.broken` wrote into the folder of studies
_MARKS = {"PASS": "·", "OPEN": "open", "FLAG": "flag", "FAIL": "**FAIL**", "ERROR": "**ERROR**"}


def validity_page(studies: Path) -> str:
    """studies: the folder that holds what `examples.broken` wrote."""
    load_checks()
    found: dict[str, dict[str, object]] = {}
    if (path := studies / SOURCE).is_file():
        found = json.loads(path.read_text())
    honest = {name: entry for name, entry in found.items() if not entry["must"]}
    broken = {name: entry for name, entry in found.items() if entry["must"]}
    return render_page(
        "validity.md",
        checks=markdown({"check": n, "asks": TITLES[n], "if not": CONSEQUENCES[n]} for n in CHECKS),
        broken=markdown(_line(name, entry) for name, entry in broken.items()),
        honest=markdown(_line(name, entry) for name, entry in honest.items()),
        drops=markdown(_drop(name, entry) for name, entry in found.items()),
        images=", ".join(dict.fromkeys(str(entry["images"]) for entry in found.values())),
    )


def _line(name: str, entry: dict[str, object]) -> dict[str, object]:
    """A check that must catch a network and does is underlined by its word; one that does not says so."""
    verdicts: dict[str, list[str]] = entry["verdicts"]  # type: ignore[assignment]
    must: list[str] = entry["must"]  # type: ignore[assignment]
    line: dict[str, object] = {"network": name}
    if must:
        line |= {"defect": entry["defect"], "named": ", ".join(must)}
    for check in CHECKS:
        status = verdicts[check][0]
        missed = check in must and status not in ("FAIL", "ERROR")
        line[check] = f"{_MARKS[status]} (missed)" if missed else _MARKS[status]
    return line


def _drop(name: str, entry: dict[str, object]) -> dict[str, object]:
    whitebox: dict[str, int] = entry["whitebox"]  # type: ignore[assignment]
    worst: dict[str, int] = entry["worst"]  # type: ignore[assignment]
    return {"network": name, **{threat: f"{whitebox[threat]} → {worst[threat]}" for threat in whitebox}}
