"""Every row of every board in one table, which the browser sorts and filters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmark.attacks.methods import METHOD_OF
from benchmark.attacks.spec import format_eps
from benchmark.reports.bars import Bar
from benchmark.reports.network_report import posterior
from benchmark.reports.overview import short
from benchmark.reports.shares import of_audit, percent
from benchmark.reports.site.frame import Frame, slug
from benchmark.reports.tables import labelled
from benchmark.results.audits import Audit
from benchmark.results.boards import Board
from benchmark.results.checks import ALL
from benchmark.results.rows import Row
from benchmark.results.share import Share

COLUMNS = {  # name in addresses -> title; after `clean` comes a column an attack
    "rank": "rank",
    "network": "network",
    "worst": "worst case",
    "drawn": "0 to 100",
    "certified": "certified",
    "whitebox": "white-box",
    "clean": "clean",
    "own": "judge's own draws",
    "autoattack": "AutoAttack",
    "verdict": "verdict",
    "dataset": "data set",
    "norm": "norm",
    "eps": "eps",
    "images": "images",
    "family": "family",
    "posterior": "posterior",
    "cost": "passes × draws",
}
FILTERS = ("dataset", "norm", "eps", "images", "family", "kind", "verdict")
UNRANKED = 9999  # the place of a row without a rank
HIDDEN = ("own", "autoattack", "cost", "posterior")  # until they are asked for


def boards_page(boards: Sequence[Board], frame: Frame) -> bytes:
    """The boards, and the evidence behind every verdict."""
    lines = [_line(row, board) for board in boards for row in board.rows]
    audits = {evidence_id(row): row.audit for board in boards for row in board.rows}
    return frame.page(
        "boards.html",
        "boards.html",
        "Boards",
        "Robust accuracy of every network under every threat model, with intervals, shared ranks and verdicts.",
        lines=lines,
        columns=_columns(boards),
        methods=_methods(boards),
        hidden=HIDDEN,
        filters=[(name, FILTER_TITLES[name], _values(name, lines)) for name in FILTERS],
        first=_first(boards),
        evidence=[_evidence(name, audit) for name, audit in audits.items()],
    )


def _methods(boards: Sequence[Board]) -> list[str]:
    return list(dict.fromkeys(METHOD_OF[name].name for board in boards for row in board.rows for name in row.attacks))


def _columns(boards: Sequence[Board]) -> dict[str, str]:
    columns: dict[str, str] = {}
    bounded = any(row.certified for board in boards for row in board.rows)
    for name, title in COLUMNS.items():
        if name != "certified" or bounded:
            columns[name] = title
        if name == "clean":
            columns |= {method: method for method in _methods(boards)}
    return columns


FILTER_TITLES = {
    "dataset": "Data set",
    "norm": "Norm",
    "eps": "eps",
    "images": "Images",
    "family": "Family",
    "kind": "Posterior",
    "verdict": "Verdict",
}


def evidence_id(row: Row) -> str:
    """The anchor of the evidence behind a row's verdict."""
    return f"v-{slug(labelled(row))}-{row.threat.norm}-{row.configuration.attack_draws}"


def _line(row: Row, board: Board) -> dict[str, object]:
    dataset = board.dataset
    return {
        "configuration": row.configuration,
        "network": short(labelled(row), dataset),
        "label": labelled(row),
        "dataset": dataset,
        "norm": board.norm,
        "eps": format_eps(board.eps),
        "eps_value": board.eps,
        "images": len(board.images[1]),
        "family": row.family,
        "kind": str(row.audit.evidence.kind.value),
        "posterior": posterior(row),
        "rank": row.rank,
        "clean": percent(row.clean),
        "bar": Bar.of(row.worst, row.whitebox, row.certified),
        "certified": of_audit(row.certified, row),
        "certified_at": _certified_at(row),
        "whitebox": percent(row.whitebox),
        "attacks": {METHOD_OF[name].name: percent(share) for name, share in row.attacks.items()},
        "own": of_audit(row.readings.deterministic, row),
        "autoattack": "" if row.autoattack is None else of_audit(row.autoattack, row),
        "cost": sum(row.passes),
        "verdict": row.status,
        "evidence": evidence_id(row),
        "order": {
            "rank": UNRANKED if row.rank is None else row.rank,
            "worst": row.worst.value,
            "certified": _place(row.certified),
            "own": _place(row.readings.deterministic),
            "autoattack": _place(row.autoattack),
            "eps": board.eps,
            "images": len(board.images[1]),
            "cost": sum(row.passes),
            "verdict": row.status,
        },
    }


def _place(share: Share | None) -> float:
    """Where a row stands in a column that not every row has a share in: those without below 0."""
    return -1.0 if share is None else share.value


def _certified_at(row: Row) -> str:
    """At which eps the certified share is: the row's, or a smaller one, with its share, where nothing is at the row's.

    Empty where no bounds were computed, or where they show nothing at any eps.
    """
    found, eps = row.bounded, row.threat.eps
    if found is None:
        return ""
    if found.below(eps).hits:
        return f"at eps {format_eps(eps)}"
    smaller = [radius for radius in found.tried if radius < eps and found.below(radius).hits]
    return f"{percent(found.below(smaller[-1]))} at eps {format_eps(smaller[-1])}" if smaller else ""


def _values(name: str, lines: Iterable[dict[str, object]]) -> list[str]:
    values = {str(line[name]): line["eps_value"] if name == "eps" else line[name] for line in lines}
    return sorted(values, key=lambda value: (values[value],))


def _first(boards: Sequence[Board]) -> dict[str, str]:
    """What is shown at first: the board with most networks, of those the one of most images."""
    if not boards:
        return {}
    board = max(boards, key=lambda board: (len(board.rows), len(board.images[1])))
    return {
        "dataset": board.dataset,
        "norm": board.norm,
        "eps": format_eps(board.eps),
        "images": str(len(board.images[1])),
    }


def _evidence(name: str, audit: Audit) -> dict[str, object]:
    """The checks that ask for a look with their numbers, the others by name."""
    asking = [verdict for verdict in audit.verdicts if verdict.status != "PASS"]
    return {
        "id": name,
        "configuration": audit.configuration,
        "title": f"{audit.configuration.model}, {audit.evidence.norm}",
        "status": audit.status,
        "asking": [{"verdict": verdict, "consequence": ALL[verdict.check].consequence} for verdict in asking],
        "passed": [verdict for verdict in audit.verdicts if verdict.status == "PASS"],
    }
