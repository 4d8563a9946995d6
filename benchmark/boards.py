"""From records to ranked rows: everything a leaderboard shows is computed here, from per-example outcomes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import pandas as pd

from benchmark.agreement import Comparison, weakest
from benchmark.attacks.spec import AttackSpec
from benchmark.protocol import ATTACKS, standard_attack
from benchmark.record import Record
from benchmark.statistics import expected_calibration_error, mcnemar, shared_ranks, wilson
from benchmark.suites import Cell
from benchmark.validity import Evidence, Verdict, verdicts, worst_status


@dataclass(frozen=True)
class Configuration:
    """What makes two results of a zoo entry comparable: a leaderboard row is one of these per threat model."""

    model: str
    fingerprint: str
    attack_draws: int
    judge_draws: int
    seed: int


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


def is_standard(record: Record) -> bool:
    """Whether the record's attack is the protocol's own, as leaderboards demand."""
    spec = record.cell.attack
    return spec == standard_attack(spec.name, spec.threat.eps)


def without_subsumed(records: Iterable[Record]) -> list[Record]:
    """Drop records whose examples and libraries are part of another record of the same attack.

    Of two records of the very same cell (made with other library versions, say) the one finished last stays.
    """
    kept: dict[tuple[Configuration, AttackSpec], list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: str(record.provenance.get("finished"))):
        same = kept[configuration(record), record.cell.attack]
        same[:] = [other for other in same if not _covers(record.cell, other.cell)]
        if not any(_covers(other.cell, record.cell) for other in same):
            same.append(record)
    return [record for same in kept.values() for record in same]


def _covers(cell: Cell, other: Cell) -> bool:
    return cell.start <= other.start and other.stop <= cell.stop and set(other.libraries) <= set(cell.libraries)


def configuration(record: Record) -> Configuration:
    """The leaderboard row a record belongs to."""
    cell = record.cell
    return Configuration(cell.model, record.fingerprints["model"], cell.attack_draws, cell.judge_draws, cell.seed)


def build_boards(records: Iterable[Record]) -> list[Board]:
    """Boards for every data set, norm and eps > 0 among the records with standard attacks."""
    grouped: dict[Configuration, list[Record]] = defaultdict(list)
    for record in without_subsumed(records):
        if is_standard(record):
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


def merged_agreement(records: Iterable[Record]) -> dict[tuple[str, str], Comparison]:
    """(first, second library) -> comparison over all given records."""
    pairs: dict[tuple[str, str], list[Comparison]] = defaultdict(list)
    for record in records:
        for pair in record.agreement:
            pairs[pair.first, pair.second].append(pair)
    return {libraries: reduce(add, comparisons) for libraries, comparisons in pairs.items()}


def _row(config: Configuration, records: list[Record], frame: pd.DataFrame, found: list[Verdict]) -> Row:
    by_attack = frame.groupby(["attack", "example"])[["correct", "own"]].all()
    # Only examples that met every attack of the row count, so that all its columns speak of the same images.
    met = by_attack["correct"].unstack("attack").dropna().index
    frame = frame[frame["example"].isin(met)]
    by_attack = by_attack[by_attack.index.get_level_values("example").isin(met)]
    by_example = by_attack.groupby("example").all()
    clean = frame.drop_duplicates("example")
    harmful = frame.sort_values("log_p", kind="stable").drop_duplicates("example")
    attacks = [attack for attack in ATTACKS if attack in by_attack.index.get_level_values("attack")]
    agreement: dict[str, str] = {
        attack: weakest(pair.level for pair in merged_agreement(_of_attack(records, attack)).values())
        for attack in attacks
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
        agreement=agreement,
        passes=_passes(records),
        verdicts=found,
    )


def _of_attack(records: list[Record], attack: str) -> list[Record]:
    return [record for record in records if record.cell.attack.name == attack]


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
