"""A row of a leaderboard: what was found of one entry under one threat model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmark.attacks.spec import ThreatModel
from benchmark.outcomes import Configuration
from benchmark.statistics import wilson
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
