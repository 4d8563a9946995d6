"""Records of many cells as one: which of them count, their outcomes as a frame, their agreement over all shards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from benchmark.agreement import Comparison
from benchmark.attacks.spec import AttackSpec
from benchmark.cells import Cell
from benchmark.protocol import ATTACK_DRAWS, ATTACKS, JUDGE_DRAWS, LIBRARIES, eps_grid, standard_attack
from benchmark.record import Record
from zoo.targets import Gradient


@dataclass(frozen=True)
class Configuration:
    """What makes two results of a zoo entry comparable: a leaderboard row is one of these per threat model.

    data, protocol: fingerprint of the images and version of the protocol; results across them never mix. Library
    versions are not part of it: of one cell run under several, the record finished last counts.
    """

    model: str
    fingerprint: str
    data: str
    protocol: str
    attack_draws: int
    judge_draws: int
    seed: int


def same_judge(record: Record) -> tuple[object, ...]:
    """What two records share that speak of the same network on the same images under the same judge."""
    config = configuration(record)
    return config.model, config.fingerprint, config.data, config.protocol, config.judge_draws, config.seed


def is_standard(spec: AttackSpec, target: str = "expected") -> bool:
    """Whether an attack is the protocol's own with the gradient of `target`; leaderboards demand `expected`."""
    return spec.name in ATTACKS and spec == standard_attack(spec.name, spec.threat.eps, Gradient(target))


def has_protocol_draws(cell: Cell) -> bool:
    """Whether a cell has the draws and the seed that leaderboards, curves and matrices are made of."""
    return (cell.attack_draws, cell.judge_draws) in ((1, 1), (ATTACK_DRAWS, JUDGE_DRAWS)) and cell.seed == 0


def is_ruled(cell: Cell) -> bool:
    """Whether a cell is of a board's eps, in every library, with the protocol's draws and seed."""
    threat = cell.attack.threat
    on_board = cell.libraries == LIBRARIES and cell.only is None and threat.eps in eps_grid(cell.dataset)[threat.norm]
    return on_board and has_protocol_draws(cell)


def last_finished(records: Iterable[Record]) -> str:
    """When the last of some records was finished."""
    return max(str(record.provenance["finished"]) for record in records)


def without_subsumed(records: Iterable[Record]) -> list[Record]:
    """Drop records whose examples and libraries are part of another record of the same attack.

    Of two records of the very same cell (made with other library versions, say) a complete one is preferred, then
    the one finished last.
    """
    kept: dict[tuple[Configuration, AttackSpec], list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: (record.complete, str(record.provenance["finished"]))):
        same = kept[configuration(record), record.cell.attack]
        same[:] = [other for other in same if not _covers(record.cell, other.cell)]
        if not any(_covers(other.cell, record.cell) for other in same):
            same.append(record)
    return [record for same in kept.values() for record in same]


def _covers(cell: Cell, other: Cell) -> bool:
    within = cell.start <= other.start and other.stop <= cell.stop
    images = cell.only is None or (other.only is not None and set(other.only) <= set(cell.only))
    return within and images and set(other.libraries) <= set(cell.libraries)


def configuration(record: Record) -> Configuration:
    """The leaderboard row a record belongs to."""
    cell = record.cell
    return Configuration(
        cell.model,
        record.fingerprints["model"],
        record.fingerprints["data"],
        str(record.provenance["protocol"]),
        cell.attack_draws,
        cell.judge_draws,
        cell.seed,
    )


def outcome_frame(records: Iterable[Record]) -> pd.DataFrame:
    """A row per example, attack, eps and library; where two records hold the same one, the later counts.

    Columns: attack, norm, eps, library, example, correct, own (attacker's draws), log_p, entropy, confidence,
    and the clean_ versions of the last five.
    """
    parts = []
    for record in records:
        spec, clean = record.cell.attack, record.clean
        for library, outcome in record.outcomes.items():
            if outcome.error is None:
                columns: dict[str, object] = {
                    "attack": spec.name,
                    "norm": spec.threat.norm,
                    "eps": spec.threat.eps,
                    "library": library,
                    "example": record.examples,
                }
                for prefix, source in (("", outcome), ("clean_", clean)):
                    columns |= {
                        f"{prefix}correct": source.correct,
                        f"{prefix}own": source.correct_attacker,
                        f"{prefix}log_p": source.log_p,
                        f"{prefix}entropy": source.entropy,
                        f"{prefix}confidence": source.confidence,
                    }
                parts.append(pd.DataFrame(columns))
    if not parts:
        return pd.DataFrame({name: [] for name in ("attack", "norm", "eps", "library", "example", "correct")})
    identity = ["attack", "norm", "eps", "library", "example"]
    # sorted, so that sums and ties come out the same whatever order the records were read in
    return pd.concat(parts).drop_duplicates(identity, keep="last").sort_values(identity, ignore_index=True)


def survivors(frame: pd.DataFrame) -> pd.DataFrame:
    """The outcomes with `correct` and `own` true only where the clean image is right, too."""
    return frame.assign(correct=frame["correct"] & frame["clean_correct"], own=frame["own"] & frame["clean_own"])


def merged_agreement(records: Iterable[Record]) -> dict[tuple[Configuration, AttackSpec], list[Comparison]]:
    """Per configuration and attack one comparison for every pair of libraries, over all shards."""
    pairs: dict[tuple[Configuration, AttackSpec], dict[tuple[str, str], Comparison]] = defaultdict(dict)
    for record in records:
        merged = pairs[configuration(record), record.cell.attack]
        for pair in record.agreement:
            libraries = pair.first, pair.second
            merged[libraries] = merged[libraries] + pair if libraries in merged else pair
    return {of: list(merged.values()) for of, merged in pairs.items()}
