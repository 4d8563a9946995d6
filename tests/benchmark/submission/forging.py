"""How a forger changes a submission and hides it: records edited, keys and checksums made to fit."""

from __future__ import annotations

import hashlib
import json
import lzma
import math
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmark.plan.cells import Cell
from benchmark.records.record import cell_key

Fields = dict[str, Any]


def fields_of(path: Path) -> Fields:
    return json.loads(lzma.decompress(path.read_bytes()))


def reseal(folder: Path) -> None:
    """Checksums in the registration, and on the card, of what lies there now."""
    about = json.loads((folder / "submission.json").read_text())
    weights = folder / "network.safetensors"
    if weights.is_file():
        card = json.loads((folder / "network.json").read_text())
        card["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
        (folder / "network.json").write_text(json.dumps(card))
    for name in about["files"]:
        if (folder / name).is_file():
            about["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "submission.json").write_text(json.dumps(about))


def edit(folder: Path, change: Callable[[list[Fields]], None]) -> None:
    """Change the records file by file, so that checksums hold."""
    for path in sorted(folder.glob("records/*/*.xz")):
        fields = fields_of(path)
        change(fields["records"])
        path.write_bytes(lzma.compress(json.dumps(fields).encode()))
    reseal(folder)


def about(folder: Path, **changes: object) -> None:
    """Change what the submission says of itself."""
    path = folder / "submission.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def rekey(record: Fields) -> None:
    record["key"] = cell_key(Cell.from_json(record["cell"]), record["fingerprints"], record["provenance"]["packages"])


def of(records: list[Fields], name: str, eps: float) -> Iterator[Fields]:
    """The records of an attack by the network's own gradient."""
    for record in records:
        attack = record["cell"]["attack"]
        if (attack["name"], attack["threat"]["eps"]) == (name, eps) and "source" not in attack:
            yield record


def broken(record: Fields, library: str) -> list[int]:
    """Places of images that are right as they are and broken by a library."""
    before, after = record["clean"]["correct"], record["outcomes"][library]["correct"]
    return [place for place, (a, b) in enumerate(zip(before, after, strict=True)) if (a, b) == ("1", "0")]


def make_right(outcome: Fields, place: int, label: int) -> None:
    """A verdict changed with all that hangs on it in the outcome."""
    for name in ("correct", "correct_attacker"):
        outcome[name] = outcome[name][:place] + "1" + outcome[name][place + 1 :]
    outcome["predicted"][place] = label
    outcome["confidence"][place], outcome["log_p"][place] = 0.6, float(f"{math.log(0.6):.4g}")
    outcome["entropy"][place] = 0.85


def make_agree(record: Fields) -> None:
    """The libraries' comparisons, made to fit their outcomes."""
    pairs = list(combinations(record["cell"]["libraries"], 2))
    for comparison, (first, second) in zip(record["agreement"], pairs, strict=True):
        a, b = (record["outcomes"][one]["correct"] for one in (first, second))
        for only, (x, y) in (("only_first", (a, b)), ("only_second", (b, a))):
            comparison[only] = [e for e, p, q in zip(record["examples"], x, y, strict=True) if (p, q) == ("1", "0")]
