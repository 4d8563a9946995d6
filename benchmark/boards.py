"""From records to ranked rows: everything a leaderboard shows is computed here, from per-example outcomes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import pandas as pd

from benchmark.agreement import weakest
from benchmark.attacks.spec import ThreatModel
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
from benchmark.statistics import corrected, expected_calibration_error, images_to_separate, mcnemar, wilson
from benchmark.trials import trial_of
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
    attacks: per attack of the protocol, the worst case over libraries, per example. whitebox: over those attacks, too.
    own: the same under the attacker's own draws.
    worst: over all that was ever tried within the threat model. survivors: example -> whether it stands in that.
    trials: name -> how many images that stand in `whitebox` a trial broke, of those that run by the name together.
    clean_uncertainty, uncertainty: on clean images, and on each example's most harmful image.
    tried: how many attacks there were, each library's counted once.
    passes: (forward, backward) per example times draws, over all of them, each in the library that needs most.
    evidence: what the verdicts were made from.
    rank: None if the verdict keeps the row out of the ranking.
    """

    configuration: Configuration
    threat: ThreatModel
    family: str
    clean: Share
    attacks: Mapping[str, Share]
    whitebox: Share
    own: Share
    worst: Share
    survivors: dict[int, bool]
    trials: Mapping[str, int]
    clean_uncertainty: Uncertainty
    uncertainty: Uncertainty
    agreement: Mapping[str, str]
    tried: int
    passes: tuple[int, int]
    evidence: Evidence
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

    def paired_tests(self) -> list[Paired]:
        """Every two rows."""
        return paired_tests(self.rows)


@dataclass(frozen=True)
class Paired:
    """Two rows on the images that both have.

    only_first, only_second: images that stand in one of them alone, of `count`.
    p: exact McNemar test. corrected: the same for all pairs of the board together.
    needed: images that would separate the two with 80 % power if they differ as they do here; None if they do not.
    """

    first: Row
    second: Row
    only_first: int
    only_second: int
    count: int
    p: float
    corrected: float
    needed: int | None

    @property
    def better(self) -> Row | None:
        """The row that is more robust, at 5 % of false calls; None where the data cannot say."""
        if self.corrected >= 0.05:
            return None
        return self.first if self.only_first > self.only_second else self.second


def paired_tests(rows: Sequence[Row]) -> list[Paired]:
    """All pairs of rows that have images in common, with p-values corrected for their number."""
    counts = []
    for first, second in combinations(rows, 2):
        if common := first.survivors.keys() & second.survivors.keys():
            only_first = sum(first.survivors[e] and not second.survivors[e] for e in common)
            only_second = sum(second.survivors[e] and not first.survivors[e] for e in common)
            counts.append((first, second, only_first, only_second, len(common)))
    p_values = [mcnemar(only_first, only_second) for _, _, only_first, only_second, _ in counts]
    return [
        Paired(*pair, p, adjusted, images_to_separate(*pair[2:]))
        for pair, p, adjusted in zip(counts, p_values, corrected(p_values), strict=True)
    ]


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
        evidence = Evidence(group, outcome_frame(group), known[same_judge(group[0])])
        found = verdicts(evidence)
        for dataset, threat in {(record.cell.dataset, record.cell.attack.threat) for record in group}:
            frame = evidence.outcomes
            frame = frame[(frame["norm"] == threat.norm) & (frame["eps"] == threat.eps)]
            if len(frame):
                rows[dataset, threat.norm, threat.eps].append(_row(config, threat, evidence, frame, found))
    return [Board(*key, _ranked(rows[key])) for key in sorted(rows, key=_board_order)]


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
    everything = records + [record for record in evidence.others if record.cell.attack.threat == threat]
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
        tried=len(_passes(everything)),
        passes=tuple(map(sum, zip(*_passes(everything).values(), strict=True))),  # type: ignore[arg-type]
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
            here = broken.setdefault(name, set())
            for outcome in record.outcomes.values():
                pairs = zip(record.examples, outcome.correct, strict=outcome.error is None)
                here.update(example for example, correct in pairs if not correct and example in left)
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


def _ranked(rows: list[Row]) -> list[Row]:
    """Best first; rows whose verdict is FAIL or ERROR have no rank and come last.

    A row's rank is one more than the number of rows that are certainly more robust.
    """
    rows = sorted(rows, key=lambda row: (-row.worst.value, row.configuration.model, row.configuration.attack_draws))
    eligible = [row for row in rows if row.status not in ("FAIL", "ERROR")]
    beaten = Counter(id(pair.second if pair.better is pair.first else pair.first) for pair in separated(eligible))
    ranked = [replace(row, rank=1 + beaten[id(row)]) for row in eligible]
    return ranked + [row for row in rows if row not in eligible]


def separated(rows: Sequence[Row]) -> list[Paired]:
    """The pairs of rows that the data can tell apart."""
    return [pair for pair in paired_tests(rows) if pair.better is not None]


def _board_order(key: tuple[str, str, float]) -> tuple[str, int, float]:
    dataset, norm, eps = key
    return dataset, ("linf", "l2").index(norm), eps
