"""From records to ranked rows: everything a leaderboard shows is computed here, from per-example outcomes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from benchmark.agreement import weakest
from benchmark.outcomes import (
    Configuration,
    configuration,
    is_standard,
    merged_agreement,
    outcome_frame,
    survivors,
    without_subsumed,
)
from benchmark.protocol import ATTACKS
from benchmark.record import Record
from benchmark.statistics import expected_calibration_error, mcnemar, shared_ranks, wilson
from benchmark.validity import Evidence, Verdict, verdicts, worst_status


@dataclass(frozen=True)
class Share:
    """hits of count examples, with the Wilson 95 % interval."""

    hits: int
    count: int

    @property
    def value(self) -> float:
        return self.hits / self.count

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.hits, self.count)


@dataclass(frozen=True)
class Uncertainty:
    """Means over examples, under the judge: NLL and predictive entropy in nats, expected calibration error."""

    nll: float
    entropy: float
    ece: float


@dataclass(frozen=True)
class Row:
    """One configuration under one threat model.

    An image that is misclassified as it is counts as broken by every attack: the original lies in the ball.
    attacks: per attack, the worst case over libraries, per example. worst: over attacks too. own: the same under
    the attacker's own draws. survivors: example -> whether it stands in the worst case.
    clean_uncertainty, uncertainty: on clean images, and on each example's most harmful image.
    passes: (forward, backward) per example times draws, all attacks, in the library that needs most.
    rank: None if the verdict keeps the row out of the ranking.
    """

    configuration: Configuration
    family: str
    clean: Share
    attacks: Mapping[str, Share]
    worst: Share
    own: Share
    survivors: dict[int, bool]
    clean_uncertainty: Uncertainty
    uncertainty: Uncertainty
    agreement: Mapping[str, str]
    passes: tuple[int, int]
    verdicts: list[Verdict]
    rank: int | None = None

    @property
    def status(self) -> str:
        return worst_status(self.verdicts)


@dataclass(frozen=True)
class Board:
    """All rows of one data set and threat model, best first, unranked ones last."""

    dataset: str
    norm: str
    eps: float
    rows: list[Row]

    def paired_tests(self) -> list[tuple[Row, Row, int, int, float]]:
        """(first, second, only first stands, only second stands, McNemar p) on the examples both have."""
        tests = []
        for index, first in enumerate(self.rows):
            for second in self.rows[index + 1 :]:
                common = first.survivors.keys() & second.survivors.keys()
                only_first = sum(first.survivors[e] and not second.survivors[e] for e in common)
                only_second = sum(second.survivors[e] and not first.survivors[e] for e in common)
                tests.append((first, second, only_first, only_second, mcnemar(only_first, only_second)))
        return tests


def build_boards(records: Iterable[Record]) -> list[Board]:
    """Boards for every data set, norm and eps > 0 among the records with standard attacks."""
    grouped: dict[Configuration, list[Record]] = defaultdict(list)
    for record in without_subsumed(records):
        if is_standard(record.cell.attack):
            grouped[configuration(record)].append(record)
    rows: dict[tuple[str, str, float], list[Row]] = defaultdict(list)
    for config, group in grouped.items():
        outcomes = outcome_frame(group)
        found = verdicts(Evidence(group, outcomes))
        threats = {(record.cell.dataset, record.cell.attack.threat) for record in group}
        for dataset, threat in threats:
            if threat.eps > 0:
                part = [record for record in group if record.cell.attack.threat == threat]
                frame = outcomes[(outcomes["norm"] == threat.norm) & (outcomes["eps"] == threat.eps)]
                if len(frame):
                    rows[dataset, threat.norm, threat.eps].append(_row(config, part, frame, found))
    return [Board(*key, _ranked(rows[key])) for key in sorted(rows, key=_board_order)]


def _row(config: Configuration, records: list[Record], frame: pd.DataFrame, found: list[Verdict]) -> Row:
    by_attack = survivors(frame).groupby(["attack", "example"])[["correct", "own"]].all()
    # Only examples that met every attack of the row count, so that all its columns speak of the same images.
    met = by_attack["correct"].unstack("attack").dropna().index
    frame = frame[frame["example"].isin(met)]
    by_attack = by_attack[by_attack.index.get_level_values("example").isin(met)]
    by_example = by_attack.groupby("example").all()
    clean = frame.drop_duplicates("example")
    harmful = frame.sort_values("log_p", kind="stable").drop_duplicates("example")
    attacks = [attack for attack in ATTACKS if attack in by_attack.index.get_level_values("attack")]
    agreement = {
        spec.name: weakest(pair.level for pair in comparisons)
        for (_, spec), comparisons in merged_agreement(records).items()
        if comparisons
    }
    return Row(
        configuration=config,
        family=records[0].family,
        clean=_share(clean["clean_correct"]),
        attacks={attack: _share(by_attack.loc[attack]["correct"]) for attack in attacks},
        worst=_share(by_example["correct"]),
        own=_share(by_example["own"]),
        survivors={int(example): bool(stands) for example, stands in by_example["correct"].items()},  # type: ignore[call-overload]
        clean_uncertainty=_uncertainty(clean, "clean_"),
        uncertainty=_uncertainty(harmful, ""),
        agreement={attack: agreement[attack] for attack in attacks if attack in agreement},
        passes=_passes(records),
        verdicts=found,
    )


def _share(outcomes: pd.Series[bool]) -> Share:
    return Share(int(outcomes.sum()), len(outcomes))


def _uncertainty(frame: pd.DataFrame, prefix: str) -> Uncertainty:
    return Uncertainty(
        nll=float(-frame[f"{prefix}log_p"].mean()),
        entropy=float(frame[f"{prefix}entropy"].mean()),
        ece=expected_calibration_error(frame[f"{prefix}confidence"], frame[f"{prefix}correct"]),
    )


def _passes(records: list[Record]) -> tuple[int, int]:
    forwards: dict[str, int] = {}
    backwards: dict[str, int] = {}
    for record in records:
        name = record.cell.attack.name
        for outcome in record.outcomes.values():
            forwards[name] = max(forwards.get(name, 0), outcome.forwards)
            backwards[name] = max(backwards.get(name, 0), outcome.backwards)
    return sum(forwards.values()), sum(backwards.values())


def _ranked(rows: list[Row]) -> list[Row]:
    """Best first; rows whose verdict is FAIL or ERROR have no rank and come last."""
    rows = sorted(rows, key=lambda row: (-row.worst.value, row.configuration.model, row.configuration.attack_draws))
    eligible = [row for row in rows if row.status in ("PASS", "FLAG")]
    ranks = shared_ranks([row.worst.interval for row in eligible])
    ranked = [replace(row, rank=rank) for row, rank in zip(eligible, ranks, strict=True)]
    return ranked + [row for row in rows if row not in eligible]


def _board_order(key: tuple[str, str, float]) -> tuple[str, int, float]:
    dataset, norm, eps = key
    return dataset, ("linf", "l2").index(norm), eps
