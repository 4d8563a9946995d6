"""The audit of one entry: what was tried, what each check found, and what a reader may conclude."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.attacks.spec import format_eps
from benchmark.boards import Board, rows_of
from benchmark.detection import MEASURES, Detection, Level, detections
from benchmark.pages import NOTICE, render_page
from benchmark.protocol import ATTACKS
from benchmark.record import Record
from benchmark.rows import Row
from benchmark.tables import audit_file, csv_text, markdown, percent, span, threat_title, verdicts_by_norm
from benchmark.trials import TRIALS, UNBOUNDED_TRIAL
from benchmark.validity import CONSEQUENCES, Verdict

Rows = Sequence[tuple[Board, Row]]


def audit_pages(boards: Sequence[Board], folder: Path) -> dict[Path, str]:
    """A page for every row's entry, below the folder."""
    return {folder / audit_file(config.model): audit_page(rows) for config, rows in rows_of(boards).items()}


def audit_page(rows: Rows, notice: str | None = NOTICE) -> str:
    """All that is known of one entry. rows: its rows on the boards it is on, at least one."""
    _, first = rows[0]
    attacks: list[str] = [attack for attack in ATTACKS if any(attack in row.attacks for _, row in rows)]
    by_norm = {board.norm: row for board, row in rows}
    return render_page(
        "audit.md",
        notice=notice,
        entry=first.configuration.model,
        status=verdicts_by_norm(rows),
        sentence=conclusion(rows),
        norms=[
            {
                "name": norm,
                "ranked": "not ranked" if row.rank is None else "ranked",
                "reason": reason(row),
                "checks": markdown(_check(verdict) for verdict in row.verdicts),
                "concerns": [
                    f"**{verdict.check}**: {CONSEQUENCES[verdict.check]}"
                    for verdict in row.verdicts
                    if verdict.status not in ("PASS", "OPEN")
                ],
            }
            for norm, row in by_norm.items()
        ],
        images=span(row.worst.count for _, row in rows),
        attacks=", ".join(attacks),
        standing=markdown(_standing(board, row, attacks) for board, row in rows),
        trials=markdown(_trials(rows)),
        detection=markdown(_detected(one) for one in found_detections(rows)),
    )


def conclusion(rows: Rows) -> str:
    """What a reviewer may quote: norm by norm, in the words of the worst status."""
    name, sentences = rows[0][1].configuration.model, []
    for norm in dict.fromkeys(board.norm for board, _ in rows):
        own = [(board, row) for board, row in rows if board.norm == norm]
        first = own[0][1]
        figures = "; ".join(
            f"{percent(row.worst, interval=True)} % at eps {format_eps(board.eps)} ({percent(row.whitebox)} % under the"
            " white-box attacks alone)"
            for board, row in own
        )
        measured = (
            f"What stands of {span(row.worst.count for _, row in own)} images under all that was tried: {figures}."
        )
        failed = "; ".join(f"{v.check}, {v.title}: {v.evidence}" for v in first.verdicts if v.status == first.status)
        said = {
            "PASS": f"No check found a reason to disbelieve the figures of {name} in {norm}.",
            "OPEN": f"Nothing speaks against the figures of {name} in {norm} so far, but not all was checked.",
            "FLAG": f"No check failed on {name} in {norm}, but some ask for a look.",
            "ERROR": f"{name} was not evaluated in {norm}: an attack did not run, which says nothing about the "
            f"network, and its figures do not count until it has. {failed}.",
        }.get(first.status, f"The accuracy of {name} under {norm} attacks is no evidence of robustness. {failed}.")
        sentences.append(f"{said} {measured}")
    return "\n\n".join(sentences)


def reason(row: Row) -> str:
    """Why a row is ranked, or not, in a line."""
    worst = [verdict for verdict in row.verdicts if verdict.status == row.status]
    if row.status == "PASS":
        return "every check passed"
    if row.status == "OPEN":
        return f"not checked yet: {', '.join(verdict.check for verdict in worst)}"
    return "; ".join(f"{verdict.check} {row.status}: {verdict.title}" for verdict in worst)


def found_detections(rows: Rows) -> list[Detection]:
    """Of the entry whose rows these are."""
    board, row = rows[0]
    return detections(row.configuration.model, board.dataset, tried_in_all(rows))


def tried_in_all(rows: Rows) -> dict[str, list[Record]]:
    """Trial -> its records in either norm."""
    tried: dict[str, dict[str, Record]] = {}
    for evidence in {board.norm: row.evidence for board, row in rows}.values():
        for trial, records in evidence.tried.items():
            tried.setdefault(trial, {}).update({record.key: record for record in records})
    return {trial: list(records.values()) for trial, records in tried.items()}


def detection_table(boards: Sequence[Board]) -> str:
    """Uncertainty under attack of every entry, as CSV; empty where nothing was measured."""
    lines = [_detected(one, exact=True) for rows in rows_of(boards).values() for one in found_detections(rows)]
    return csv_text(pd.DataFrame(lines)) if lines else ""


def _standing(board: Board, row: Row, attacks: list[str]) -> dict[str, object]:
    return {
        "threat model": threat_title(board.norm, board.eps),
        "clean": percent(row.clean),
        **{attack: percent(row.attacks[attack]) if attack in row.attacks else "" for attack in attacks},
        "white-box": percent(row.whitebox),
        "worst case [95 %]": percent(row.worst, interval=True),
        "attacks": row.tried,
        "passes x draws": f"{row.passes[0]:,} + {row.passes[1]:,}",
    }


def _trials(rows: Rows) -> list[dict[str, object]]:
    lines = []
    named = [*TRIALS.values(), UNBOUNDED_TRIAL]
    helps = {trial.name: trial.help for trial in named} | {"other gradients": "gradients of suite masking"}
    for name, text in helps.items():
        line: dict[str, object] = {"trial": name, "what it is": text}
        for board, row in rows:
            if name in row.trials:
                line[threat_title(board.norm, board.eps)] = row.trials[name] if row.whitebox.hits else "–"
        if len(line) > 2:
            lines.append(line)
    return lines


def _check(verdict: Verdict) -> dict[str, object]:
    return {
        "check": verdict.check,
        "asks": verdict.title,
        "status": f"**{verdict.status}**" if verdict.status != "PASS" else "PASS",
        "evidence": verdict.evidence,
    }


def _detected(one: Detection, exact: bool = False) -> dict[str, object]:
    def number(value: float | None, digits: int = 3) -> object:
        return "" if value is None else value if exact else f"{value:.{digits}f}"

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
