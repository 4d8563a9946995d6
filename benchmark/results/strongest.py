"""AutoAttack on a row, and how far the nearest adversarial images are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from functools import cached_property

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
from benchmark.plan.nearest import broken_under
from benchmark.plan.stronger_attacks import AUTOATTACK_PARTS
from benchmark.results.evidence import Evidence
from benchmark.results.share import Share


def autoattack(evidence: Evidence, threat: ThreatModel, whitebox: Set[int], count: int) -> Share | None:
    """What is left by the four parts of AutoAttack at their official budgets, each on what those before it left.

    whitebox: of `count` images those that survive the white-box attacks. None where a part was not run on all of them.
    """
    left = set(whitebox)
    for name in AUTOATTACK_PARTS:
        records = evidence.of_adaptive(name, threat)
        if left - {example for record in records for example in record.examples}:
            return None
        left -= set[int]().union(*(record.broken for record in records))
    return Share(len(left), count)


@dataclass(frozen=True)
class Distances:
    """Image -> how far its nearest adversarial image is at most, in the norm, over all attacks that count.

    0 for an image that is misclassified as it is, infinite for one of which none was found.
    """

    of: Mapping[int, float]

    @property
    def median(self) -> float:
        """Half of the images have a nearer one; infinite where more than half have none."""
        return statistics.median(self.of.values())

    @cached_property
    def curve(self) -> list[tuple[float, float]]:
        """(eps, share of images that survive there), a step down at each distance; the first at eps 0."""
        ordered = sorted(self.of.values())
        steps = {0.0: len(ordered)}  # those that are misclassified as they are fall at 0
        for place, distance in enumerate(ordered, 1):
            if math.isfinite(distance):
                steps[distance] = len(ordered) - place
        return [(eps, left / len(ordered)) for eps, left in steps.items()]


def distances_of(evidence: Evidence, images: Collection[int]) -> Distances | None:
    """Of these images. None where no attack looked for the nearest image of each of them.

    An image that any attack breaks at some eps has one that is no further: on wide posteriors attacks that look for the
    nearest, through draws that are not the judge's, may find none where another does.
    """
    found = dict.fromkeys(images, math.inf)
    looked = set[int]()
    for name, adaptive in ADAPTIVE_ATTACKS.items():
        if adaptive.is_nearest and evidence.norm in adaptive.norms:
            for record in evidence.adaptive.get(name, []):
                looked |= set(record.examples)
                for image, distance in record.distances.items():
                    if image in found:
                        found[image] = min(found[image], distance)
    if not images or not looked >= set(images):
        return None
    for threat in evidence.surviving:
        for record in evidence.counted(threat):
            for image in broken_under(record, threat) & found.keys():
                found[image] = min(found[image], record.distances[image], threat.eps)
    return Distances(found)
