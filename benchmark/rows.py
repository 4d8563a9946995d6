"""A row of a leaderboard: what was found of one entry under one threat model."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import pandas as pd

from benchmark.agreement import weakest
from benchmark.attacks.spec import ThreatModel
from benchmark.outcomes import Configuration, merged_agreement, survivors
from benchmark.protocol import ATTACKS
from benchmark.record import Record
from benchmark.statistics import expected_calibration_error, wilson
from benchmark.trials import trial_of
from benchmark.validity import Evidence, Verdict, worst_status


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
    """One configuration under one threat model. verdicts: of the checks, on what is known of it in the norm.

    An image that is misclassified as it is counts as broken by every attack: the original lies in the ball.
    attacks: per attack of the protocol, the worst case over libraries, per example. whitebox: over those attacks, too.
    own: the same under the attacker's own draws.
    worst: over all that was ever tried within the threat model. survivors: example -> whether it stands in that.
    trials: name -> how many images that stand in `whitebox` a trial broke, of those that run by the name together.
    clean_uncertainty, uncertainty: on clean images, and on each example's most harmful image.
    tried: how many attacks there were, each library's counted once.
    passes: (forward, backward) per example times draws, over all of them, each in the library that needs most.
    evidence: what the verdicts were made from.
    attacked: images that met every attack; a board whose rows have fewer in common shows this one on those.
    reference: whether it is the project's own and only stands beside a user's rows.
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
    attacked: int
    reference: bool = False
    rank: int | None = None

    @property
    def status(self) -> str:
        return worst_status(self.verdicts)

    @property
    def is_whole(self) -> bool:
        """Whether it is on all the images that were attacked."""
        return len(self.survivors) == self.attacked

    @property
    def images(self) -> tuple[str, frozenset[int]]:
        """What it is on: the fingerprint of the data and indices into the test split."""
        return self.configuration.data, frozenset(self.survivors)


def measured_row(
    config: Configuration,
    threat: ThreatModel,
    evidence: Evidence,
    found: list[Verdict],
    reference: bool = False,
    images: Set[int] | None = None,
) -> Row | None:
    """The row of a configuration under a threat model; None if no image met every attack. found: the verdicts.

    images: the row is restricted to these; its verdicts, attacks and passes remain those of all.
    """
    frame = evidence.outcomes[evidence.outcomes["eps"] == threat.eps]
    if not len(frame):
        return None
    by_attack = survivors(frame).groupby(["attack", "example"])[["correct", "own"]].all()
    # Only examples that met every attack of the row count, so that all its columns speak of the same images.
    met = by_attack["correct"].unstack("attack").dropna().index
    attacked = len(met)
    met = met if images is None else met[met.isin(images)]
    if not len(met):
        return None
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
        attacked=attacked,
        reference=reference,
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
