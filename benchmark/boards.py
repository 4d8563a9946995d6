"""From records to ranked rows: everything a leaderboard shows is computed here, from per-example outcomes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from benchmark.agreement import weakest
from benchmark.attacks.spec import Norm, ThreatModel
from benchmark.comparison import ranked
from benchmark.outcomes import (
    Configuration,
    configuration,
    is_standard,
    merged_agreement,
    outcome_frame,
    same_judge,
    survivors,
    without_subsumed,
)
from benchmark.protocol import ATTACKS
from benchmark.record import Record
from benchmark.rows import Row, Share, Uncertainty
from benchmark.statistics import expected_calibration_error
from benchmark.trials import UNBOUNDED, trial_of
from benchmark.validity import Evidence, Verdict, verdicts


@dataclass(frozen=True)
class Board:
    """All rows of one data set and threat model, best first, unranked ones last."""

    dataset: str
    norm: str
    eps: float
    rows: list[Row]


def rows_of(boards: Iterable[Board]) -> dict[Configuration, list[tuple[Board, Row]]]:
    """Configuration -> its rows, with the boards that they are on."""
    found: dict[Configuration, list[tuple[Board, Row]]] = {}
    for board in boards:
        for row in board.rows:
            found.setdefault(row.configuration, []).append((board, row))
    return found


def build_boards(records: Iterable[Record], others: Iterable[Record] = ()) -> list[Board]:
    """Boards for every data set, norm and eps > 0 among the records with standard attacks on all their images.

    others: what else is known of the same networks; with what is no such attack among `records`, it is evidence.
    """
    grouped: dict[Configuration, list[Record]] = defaultdict(list)
    known: dict[tuple[object, ...], list[Record]] = defaultdict(list)
    met = without_subsumed(records)
    plain = {same_judge(record) for record in met if _fits_a_row(record) and trial_of(record.cell) is None}
    for record in met:
        # with other draws it is a trial of the row that has the protocol's, unless it stands alone
        if _fits_a_row(record) and (trial_of(record.cell) is None or same_judge(record) not in plain):
            grouped[configuration(record)].append(record)
        else:
            known[same_judge(record)].append(record)
    for record in others:
        known[same_judge(record)].append(record)
    rows: dict[tuple[str, str, float], list[Row]] = defaultdict(list)
    for config, group in grouped.items():
        for norm in {record.cell.attack.threat.norm for record in group}:
            evidence = _evidence(norm, group, known[same_judge(group[0])])
            found = verdicts(evidence)
            for dataset, threat in {(record.cell.dataset, record.cell.attack.threat) for record in evidence.records}:
                frame = evidence.outcomes[evidence.outcomes["eps"] == threat.eps]
                if len(frame):
                    rows[dataset, norm, threat.eps].append(_row(config, threat, evidence, frame, found))
    return [Board(*key, ranked(rows[key])) for key in sorted(rows, key=_board_order)]


def _evidence(norm: Norm, records: list[Record], others: list[Record]) -> Evidence:
    """What speaks of an entry in one norm: gradients that lead far in linf may lead nowhere in l2."""
    own = [record for record in records if record.cell.attack.threat.norm == norm]
    known = [record for record in others if record.cell.attack.threat.norm == norm or _is_of_every_norm(record)]
    return Evidence(own, outcome_frame(own), known)


def _is_of_every_norm(record: Record) -> bool:
    return record.cell.attack.threat.eps == 0 or record.cell.attack.threat == UNBOUNDED


def _fits_a_row(record: Record) -> bool:
    cell = record.cell
    return is_standard(cell.attack) and cell.attack.threat.eps > 0 and cell.only is None


def _row(
    config: Configuration, threat: ThreatModel, evidence: Evidence, frame: pd.DataFrame, found: list[Verdict]
) -> Row:
    by_attack = survivors(frame).groupby(["attack", "example"])[["correct", "own"]].all()
    # Only examples that met every attack of the row count, so that all its columns speak of the same images.
    met = by_attack["correct"].unstack("attack").dropna().index
    frame = frame[frame["example"].isin(met)]
    by_attack = by_attack[by_attack.index.get_level_values("example").isin(met)]
    by_example = by_attack.groupby("example").all()
    clean = frame.drop_duplicates("example")
    harmful = frame.sort_values("log_p", kind="stable").drop_duplicates("example")
    attacks = [attack for attack in ATTACKS if attack in by_attack.index.get_level_values("attack")]
    records = [record for record in evidence.records if record.cell.attack.threat == threat]
    agreement = {
        spec.name: weakest(pair.level for pair in comparisons)
        for (_, spec), comparisons in merged_agreement(records).items()
        if comparisons
    }
    passes = _passes(records + [record for record in evidence.others if record.cell.attack.threat == threat])
    beyond = _broken_beyond(evidence, threat, set(by_example.index[by_example["correct"]]))
    stands = by_example["correct"] & ~by_example.index.isin(set().union(*beyond.values()))
    return Row(
        configuration=config,
        threat=threat,
        family=records[0].family,
        clean=_share(clean["clean_correct"]),
        attacks={attack: _share(by_attack.loc[attack]["correct"]) for attack in attacks},
        whitebox=_share(by_example["correct"]),
        own=_share(by_example["own"]),
        worst=_share(stands),
        survivors={int(example): bool(stand) for example, stand in stands.items()},  # type: ignore[call-overload]
        trials={name: len(broken) for name, broken in beyond.items()},
        clean_uncertainty=_uncertainty(clean, "clean_"),
        uncertainty=_uncertainty(harmful, ""),
        agreement={attack: agreement[attack] for attack in attacks if attack in agreement},
        tried=len(passes),
        passes=tuple(map(sum, zip(*passes.values(), strict=True))),  # type: ignore[arg-type]
        evidence=evidence,
        verdicts=found,
    )


def _broken_beyond(evidence: Evidence, threat: ThreatModel, left: set[int]) -> dict[str, set[int]]:
    """Name -> which images of those left a trial broke, or an attack with the gradient of another target."""
    broken: dict[str, set[int]] = {}
    for record in evidence.others:
        spec = record.cell.attack
        if spec.threat == threat:
            trial = trial_of(record.cell)
            name = trial.name if trial else "other gradients" if spec.target != "expected" else "other settings"
            broken.setdefault(name, set()).update(record.broken & left)
    return broken


def _share(outcomes: pd.Series[bool]) -> Share:
    return Share(int(outcomes.sum()), len(outcomes))


def _uncertainty(frame: pd.DataFrame, prefix: str) -> Uncertainty:
    return Uncertainty(
        nll=float(-frame[f"{prefix}log_p"].mean()),
        entropy=float(frame[f"{prefix}entropy"].mean()),
        ece=expected_calibration_error(frame[f"{prefix}confidence"], frame[f"{prefix}correct"]),
    )


def _passes(records: list[Record]) -> dict[tuple[object, ...], tuple[int, int]]:
    """Attack -> forward and backward passes, in the library and the shard that need most."""
    found: dict[tuple[object, ...], tuple[int, int]] = {}
    for record in records:
        key = (record.cell.attack, record.cell.attack_draws)
        for outcome in record.outcomes.values():
            forwards, backwards = found.get(key, (0, 0))
            found[key] = max(forwards, outcome.forwards), max(backwards, outcome.backwards)
    return found


def _board_order(key: tuple[str, str, float]) -> tuple[str, int, float]:
    dataset, norm, eps = key
    return dataset, ("linf", "l2").index(norm), eps
