"""The page about the checks: what each asks, and which caught which of the networks that are built to fool them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmark.boards import Board, rows_of
from benchmark.pages import render_page
from benchmark.pages.audit import Rows, tried_in_all
from benchmark.tables import markdown, percent, threat_title
from benchmark.timing import duration
from benchmark.validity import CONSEQUENCES, TITLES, load_checks, worst_verdicts

SOURCE = "broken.json"  # what `python -m examples.broken` wrote into the folder of studies
_MARKS = {"PASS": "·", "OPEN": "open", "FLAG": "flag", "FAIL": "**FAIL**", "ERROR": "**ERROR**"}


def validity_page(studies: Path, boards: Sequence[Board]) -> str:
    """studies: the folder that holds what `examples.broken` wrote."""
    names = load_checks()
    broken: dict[str, dict[str, object]] = {}
    if (path := studies / SOURCE).is_file():
        broken = json.loads(path.read_text())
    audited = [rows for rows in rows_of(boards).values() if rows[0][1].evidence.tried]
    return render_page(
        "validity.md",
        checks=markdown({"check": n, "asks": TITLES[n], "if not": CONSEQUENCES[n]} for n in names),
        broken=markdown(_line(name, entry) for name, entry in broken.items()),
        drops=markdown(_drop(name, entry) for name, entry in broken.items()),
        entries=markdown(_entry(rows) for rows in audited),
        moved=markdown(_moved(rows) for rows in audited),
        times=markdown(_times(rows) for rows in audited),
        images=", ".join(dict.fromkeys(str(entry["images"]) for entry in broken.values())),
    )


def _line(name: str, entry: dict[str, object]) -> dict[str, object]:
    """What the checks say of a broken network; one that must catch it and does not is marked."""
    verdicts: dict[str, list[str]] = entry["verdicts"]  # type: ignore[assignment]
    must: list[str] = entry["must"]  # type: ignore[assignment]
    line: dict[str, object] = {"network": name, "defect": entry["defect"], "named": ", ".join(must)}
    for check in load_checks():
        status = verdicts[check][0]
        missed = check in must and status not in ("FAIL", "ERROR")
        line[check] = f"{_MARKS[status]} (missed)" if missed else _MARKS[status]
    return line


def _entry(rows: Rows) -> dict[str, object]:
    """What the checks say of an entry, each in the norm where it is worst."""
    worst = worst_verdicts(verdict for _, row in rows for verdict in row.verdicts)
    statuses = {check: _MARKS[worst[check].status] for check in load_checks()}
    return {"entry": rows[0][1].configuration.model, **statuses}


def _drop(name: str, entry: dict[str, object]) -> dict[str, object]:
    whitebox: dict[str, int] = entry["whitebox"]  # type: ignore[assignment]
    worst: dict[str, int] = entry["worst"]  # type: ignore[assignment]
    return {"network": name, **{threat: f"{whitebox[threat]} → {worst[threat]}" for threat in whitebox}}


def _moved(rows: Rows) -> dict[str, object]:
    """By threat model: what stands under the white-box attacks, under all that was tried, and what broke most."""
    line: dict[str, object] = {"entry": rows[0][1].configuration.model}
    for board, row in rows:
        most = max(row.trials, key=lambda name: row.trials[name], default="")
        by = f" ({most})" if row.trials.get(most) else ""
        line[threat_title(board.norm, board.eps)] = f"{percent(row.whitebox)} → {percent(row.worst)}{by}"
    return line


def _times(rows: Rows) -> dict[str, object]:
    """Wall time of an entry's white-box attacks and of its audit, and which trials took most of that."""
    evidences = {board.norm: row.evidence for board, row in rows}.values()
    whitebox = {record.key: record for evidence in evidences for record in evidence.records}.values()
    seconds: dict[str, float] = {}
    for name, records in tried_in_all(rows).items():
        seconds[name] = sum(record.provenance["seconds"] for record in records)
    total, longest = sum(seconds.values()), sorted(seconds, key=lambda name: -seconds[name])[:3]
    return {
        "entry": rows[0][1].configuration.model,
        "white-box attacks": duration(sum(record.provenance["seconds"] for record in whitebox)),
        "trials": duration(total),
        "of that": ", ".join(f"{name} {100 * seconds[name] / total:.0f} %" for name in longest),
    }
