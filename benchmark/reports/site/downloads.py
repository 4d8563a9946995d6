"""All numbers as files: CSV, JSON, the records, and every figure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from benchmark.reports.site.frame import Frame
from benchmark.reports.tables import labelled
from benchmark.results.boards import Board
from benchmark.results.rows import Row
from benchmark.results.share import Share

BOARDS = "downloads/boards.json"


def downloads_page(files: Mapping[str, bytes], frame: Frame) -> bytes:
    """What there is to download. files: those of the site, by path."""
    kinds: dict[str, list[dict[str, object]]] = {"tables": [], "records": [], "figures": []}
    for path, content in sorted(files.items()):
        kind = _kind(path)
        if kind is not None:
            name = re.sub("^(reports|records|downloads|figures)/", "", path)
            kinds[kind].append({"path": path, "name": name, "size": _size(len(content)), "about": ABOUT.get(name, "")})
    return frame.page(
        "downloads.html",
        "downloads.html",
        "Downloads",
        "Tables, records and figures of the leaderboards as files.",
        **kinds,
    )


ABOUT = {
    "boards.json": "every row of every board, exact counts and intervals",
    "agreement.csv": "every pair of libraries under every attack",
    "curves.csv": "accuracy against eps under one attack each",
    "detection.csv": "uncertainty under attack, and whether it gives the attack away",
    "draws.csv": "accuracy against the attacker's posterior draws",
    "masking.csv": "every gradient target under one judge",
    "readings.csv": "readings of networks with posterior draws",
}


def _kind(path: str) -> str | None:
    if path.startswith("records/"):
        return "records"
    return {"csv": "tables", "json": "tables", "png": "figures"}.get(path.rsplit(".", 1)[-1])


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{max(1, round(count / 1e3))} kB"


def boards_json(boards: Sequence[Board]) -> bytes:
    """The boards with exact counts: a list of boards, each with its rows."""
    content = [
        {
            "dataset": board.dataset,
            "norm": board.norm,
            "eps": board.eps,
            "images": len(board.images[1]),
            "rows": [_row(row) for row in board.rows],
        }
        for board in boards
    ]
    return (json.dumps(content, indent=1) + "\n").encode()


def _row(row: Row) -> dict[str, object]:
    return {
        "network": labelled(row),
        "family": row.family,
        "posterior": str(row.audit.evidence.kind.value),
        "rank": row.rank,
        "clean": _share(row.clean),
        "worst_case": _share(row.worst),
        "whitebox": _share(row.whitebox),
        "certified": None if row.certified is None else _share(row.certified),
        "attacks": {name: _share(share) for name, share in row.attacks.items()},
        "verdict": row.status,
        "attack_draws": row.configuration.attack_draws,
        "judge_draws": row.configuration.judge_draws,
        "fingerprint": row.configuration.fingerprint,
        "data": row.configuration.data,
        "protocol": row.configuration.protocol,
    }


def _share(share: Share) -> dict[str, object]:
    low, high = share.interval
    return {"survives": share.hits, "images": share.count, "low": low, "high": high}
