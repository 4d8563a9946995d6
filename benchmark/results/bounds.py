"""What no attack can break, from bounds, beside what attacks broke: robust accuracy as an interval that none leaves."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from benchmark.attacks.methods import Norm
from benchmark.plan.cells import Reading
from benchmark.records.record import Record
from benchmark.results.configuration import Configuration, configuration
from benchmark.results.evidence import Evidence
from benchmark.results.share import Share
from zoo.kind import Kind

# readings whose verdicts are of the draws that bounds are of
_OF_THE_JUDGE = (Reading.HEADLINE, Reading.DETERMINISTIC, Reading.REBUILT, Reading.CERTIFIED)


@dataclass(frozen=True)
class Bounded:
    """The images of which bounds were computed, of one network in one norm; other images do not count.

    configuration, family, kind: of the network. draws: of its posterior, which judge, or members.
    certified: image -> the largest eps that was tried at which no attack breaks it; 0 for none.
    broken: image -> how far at most the nearest image is that any attack found, also on the judge's own draws, and that
        the judge takes for another label; 0 for one that is misclassified as it is, infinite where none was found.
    tried: the eps of the bounds, and of attacks on the same draws beside them, the smallest first. At a larger one only
        images were bounded that were certified before.
    attacked: whether any attack was run, or the images were classified as they are and no more.
    seconds: of computing the bounds, each on the machine that did, as busy as it was.
    """

    configuration: Configuration
    family: str
    kind: Kind
    dataset: str
    norm: Norm
    draws: int
    certified: Mapping[int, float]
    broken: Mapping[int, float]
    tried: tuple[float, ...]
    attacked: bool
    seconds: float

    def below(self, eps: float) -> Share:
        """The images that no attack breaks at an eps, as far as bounds show it."""
        return Share(sum(radius >= eps for radius in self.certified.values()), len(self.certified))

    def above(self, eps: float) -> Share:
        """The images that no attack broke at an eps, as far as attacks were run."""
        return Share(sum(distance > eps for distance in self.broken.values()), len(self.broken))

    @cached_property
    def crossed(self) -> dict[int, tuple[float, float]]:
        """Image -> the eps at which it is certified, and the smaller one at which it was broken. There must be none."""
        return {
            image: (radius, self.broken[image])
            for image, radius in self.certified.items()
            if radius > 0 and self.broken[image] <= radius
        }


def bounded_networks(records: Iterable[Record]) -> list[Bounded]:
    """One for every network, norm and number of draws that bounds were computed of."""
    of_network: dict[tuple[object, ...], list[Record]] = defaultdict(list)
    for record in records:
        of_network[configuration(record).network].append(record)
    return [
        _bounded(certificates, group)
        for group in of_network.values()
        for certificates in _by_norm_and_draws(group)
        if certificates
    ]


def bounded_in(evidence: Evidence, images: Collection[int] | None = None) -> Bounded | None:
    """That of an entry in a norm. images: those that count; None for all. None where there are no bounds of any."""
    judges = evidence.records[0].cell.judge_draws
    for certificates in _by_norm_and_draws(evidence.readings):
        if certificates[0].cell.judge_draws == judges:
            found = _bounded(certificates, [*evidence.records, *evidence.extra, *evidence.readings], images)
            return found if found.certified else None
    return None


def _by_norm_and_draws(records: Iterable[Record]) -> list[list[Record]]:
    """The complete records of bounds that belong together."""
    found: dict[tuple[Norm, int], list[Record]] = defaultdict(list)
    for record in records:
        if record.certificate is not None:
            found[record.cell.attack.threat.norm, record.cell.judge_draws].append(record)
    return list(found.values())


def _bounded(certificates: list[Record], records: Iterable[Record], images: Collection[int] | None = None) -> Bounded:
    first = certificates[0]
    norm, judges = first.cell.attack.threat.norm, first.cell.judge_draws
    certified = {image: 0.0 for one in certificates for image in one.examples if images is None or image in images}
    for one in certificates:
        for image in certified.keys() & set(one.certified):
            certified[image] = max(certified[image], one.cell.attack.threat.eps)
    by_the_judge = [
        record
        for record in records
        if record.cell.reading in _OF_THE_JUDGE
        and record.cell.judge_draws == judges
        and (record.cell.attack.threat.norm == norm or not record.role.budget)
    ]
    broken = dict.fromkeys(certified, math.inf)
    for record in by_the_judge:
        for image in broken.keys() & record.distances.keys():
            if math.isfinite(distance := record.distances[image]):
                # it lies in the ball, whatever its distance was rounded to
                broken[image] = min(broken[image], distance, record.cell.attack.threat.eps)
    return Bounded(
        configuration(first),
        first.family,
        first.cell.kind,
        first.cell.dataset,
        norm,
        judges,
        certified,
        broken,
        tuple(sorted({one.cell.attack.threat.eps for one in by_the_judge if one.cell.reading is Reading.CERTIFIED})),
        any(record.role.budget and record.certificate is None for record in by_the_judge),
        sum(float(one.provenance["seconds"]) for one in certificates),
    )
