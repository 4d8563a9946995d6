"""The readings of a random network under one threat model, beside the headline.

The headline is the limit predictor under everything that was tried: other draws judge than the attacker has. A network
that is deployed with fixed draws, or whose attacker can estimate the average as well as the judge, is read off the
judge's own draws (`deterministic`); one that answers each query by one draw is read draw by draw. Monte-Carlo samples
are deployed as what they are, so that all of them are attacked and judge; as a sample of the limit, half attacks half.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.cells import Reading
from benchmark.records.record import Record
from benchmark.results.evidence import Evidence
from benchmark.results.share import Share
from zoo.kind import Kind

SUBMISSIONS = (1, 10, 100)  # of one image, each answered by one draw; an attacker needs one wrong answer


@dataclass(frozen=True)
class OneDraw:
    """Accuracy where each query is answered by one of the judge's draws at random, on the most harmful images known.

    of: submissions -> the expected share of images that are right in every one of so many. majority: of the images that
    most draws are right on.
    """

    of: Mapping[int, float]
    majority: Share


@dataclass(frozen=True)
class Readings:
    """The readings of an entry under a threat model, None for what was not measured.

    survivors: image -> whether it survives every attack under the threat model.
    """

    evidence: Evidence
    threat: ThreatModel
    survivors: Mapping[int, bool]

    @property
    def headline(self) -> Share:
        """The worst case over all attacks."""
        return Share(sum(self.survivors.values()), len(self.survivors))

    @cached_property
    def deterministic(self) -> Share | None:
        """The same, and on the judge's own draws; the headline where nothing is drawn."""
        return _deterministic(self.evidence, self._of(Reading.DETERMINISTIC), self.survivors)

    @cached_property
    def sample(self) -> Share | None:
        """Half of Monte-Carlo samples attacked, judged by the other half."""
        return _worst(self._of(Reading.SAMPLE), self.survivors)

    @cached_property
    def one_draw(self) -> OneDraw | None:
        """Each query answered by one draw."""
        judged = [*_with_votes(self.evidence, self.threat), *self._of(Reading.OTHER_JUDGE)]
        return one_draw(self._of(Reading.SAMPLE) or judged, self.survivors)

    @cached_property
    def reversals(self) -> Share | None:
        """Verdicts that another judge reverses, of how many."""
        return _reversals(self.evidence, self._of(Reading.OTHER_JUDGE))

    def _of(self, reading: Reading) -> list[Record]:
        return self.evidence.reading(reading, self.threat)


def _deterministic(evidence: Evidence, records: list[Record], survivors: Mapping[int, bool]) -> Share | None:
    if not survivors:
        return None
    alive = {image for image, survives in survivors.items() if survives}
    if evidence.kind is Kind.CONTINUOUS:
        attacked = {image for record in records for image in record.examples}
        if alive - attacked:
            return None
        alive -= {image for record in records for image in record.broken}
    return Share(len(alive), len(survivors))


def _worst(records: list[Record], images: Mapping[int, bool]) -> Share | None:
    """Of the images that every attack was run on, those that survive them all."""
    if not records:
        return None
    by_attack: dict[object, set[int]] = {}
    wrong = set[int]()
    for record in records:
        by_attack.setdefault(record.cell.attack, set()).update(record.examples)
        wrong |= record.broken | (set(record.examples) - record.right)
    attacked = set.intersection(*by_attack.values()) & set(images)
    return Share(len(attacked - wrong), len(attacked)) if attacked else None


def _with_votes(evidence: Evidence, threat: ThreatModel) -> list[Record]:
    return [record for record in [*evidence.under(threat), *evidence.extra] if record.cell.attack.threat == threat]


def one_draw(records: Iterable[Record], images: Mapping[int, bool]) -> OneDraw | None:
    """Of these images, by the votes on them that records have; None where not every image has votes."""
    examples, lowest, majority = [], [], []
    for record in records:
        for outcome in (record.clean, *record.outcomes.values()):
            if outcome.error is None and len(right := outcome.array("right_draws")):
                examples.append(record.examples)
                lowest.append(right / record.cell.judge_draws)
                majority.append(outcome.array("majority") == record.labels)
    voted, places = np.unique(np.concatenate(examples or [[]]), return_inverse=True)
    wanted = np.fromiter(images, np.int64)
    if not images or not np.isin(wanted, voted).all():
        return None
    least, always = np.ones(len(voted)), np.ones(len(voted), bool)
    np.minimum.at(least, places, np.concatenate(lowest))
    np.logical_and.at(always, places, np.concatenate(majority))
    at = np.searchsorted(voted, wanted)
    return OneDraw(
        {count: float((least[at] ** count).mean()) for count in SUBMISSIONS},
        Share(int(always[at].sum()), len(images)),
    )


def _reversals(evidence: Evidence, records: list[Record]) -> Share | None:
    """Of the same images, made by the same attack, those on which the two judges differ."""
    reversed_, count = 0, 0
    verdicts_of = functools.cache(evidence.verdicts_of)  # of all shards, and asked for shard by shard
    for record in records:
        (library,) = record.cell.libraries
        verdicts = verdicts_of(record.cell.attack, library, "judge")
        pairs = [
            (right, verdicts[image])
            for image, right in zip(record.examples, record.outcomes[library].correct, strict=True)
            if image in verdicts
        ]
        reversed_ += sum(first != second for first, second in pairs)
        count += len(pairs)
    return Share(reversed_, count) if count else None
