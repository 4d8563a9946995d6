"""Of the adversarial examples that were planted, those that the attack found (`benchmark.evaluation.planted`)."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.cells import Reading
from benchmark.results.evidence import Evidence
from benchmark.results.share import Share


@dataclass(frozen=True)
class Detection:
    """found: of the examples that are certainly there and that random points do not find, those that the attack finds.

    None where there are none. images: in how many balls one was to be planted. by_chance: those that random points
    find. of_logits: whether the logits are what the planted readout reads.
    """

    found: Share | None
    images: int
    by_chance: int
    of_logits: bool


def detection_of(evidence: Evidence, threat: ThreatModel) -> Detection | None:
    """None where no example was to be planted under the threat model."""
    found = count = images = by_chance = 0
    of_logits = False
    records = evidence.reading(Reading.PLANTED, threat)
    for record in records:
        if record.planting is not None:
            counted = set(record.planting.planted) - set(record.planting.by_chance)
            found, count = found + len(counted & record.broken), count + len(counted)
            images, by_chance = images + len(record.examples), by_chance + len(record.planting.by_chance)
            of_logits |= record.planting.of_logits
    return Detection(Share(found, count) if count else None, images, by_chance, of_logits) if images else None
