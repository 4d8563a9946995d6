"""The records on one entry in one norm: checks judge them, and rows are made from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
from benchmark.plan.cells import Reading
from benchmark.plan.ladder import Ladder, climbed
from benchmark.plan.nearest import broken_under, says_of
from benchmark.plan.roles import surviving_examples
from benchmark.records.agreement import Comparison
from benchmark.records.outcome import joined
from benchmark.records.parts import Health
from benchmark.records.record import Record
from benchmark.results.configuration import Configuration, merged_agreement
from benchmark.results.frames import IDENTITY, latest, tidy, worst_by_image
from zoo.kind import Kind

SAME_ANSWER = 1e-6  # nats of entropy between the answers to two images

_COLUMNS = (
    *IDENTITY,
    *(f"{clean}{name}" for clean in ("", "clean_") for name in ("correct", "correct_attacker")),
    *(f"{clean}{name}" for clean in ("", "clean_") for name in ("log_p", "entropy", "confidence")),
)


@dataclass(frozen=True)
class Evidence:
    """The records on one entry in one norm: gradients that lead far in linf may lead nowhere in l2.

    records: of the protocol's attacks, the columns of its rows; where none ran, of what was run in their place.
    extra: all other records of the same network under the same judge: at eps = 0, adaptive attacks, other settings.
    readings: records whose attacker knows more of the judge's draws, or is judged by others.
    """

    records: list[Record]
    extra: list[Record] = field(default_factory=list)
    readings: list[Record] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        """Of what kind the entry's posterior is."""
        return self.records[0].cell.kind

    @property
    def norm(self) -> Norm:
        """The norm of its attacks; those at eps = 0 are in either norm."""
        return self.records[0].cell.attack.threat.norm

    @cached_property
    def audited(self) -> Evidence:
        """The evidence on the images that met every attack, which checks judge by; itself where all of them did.

        That are the first ones, and those shards of others that met every adaptive attack that the first did. Strong
        attacks do not count, which are tried on a few images and go where one of these falls.
        """
        images = self._audited_images
        if all(images.issuperset(record.examples) for record in self.records):
            return self
        return Evidence(*(_on(images, records) for records in (self.records, self.extra, self.readings)))

    @cached_property
    def further(self) -> dict[ThreatModel, set[int]]:
        """Threat model -> the images beyond the audit's."""
        return {
            threat: {image for record in self.under(threat) for image in record.examples} - self._audited_images
            for threat in self.surviving
        }

    @cached_property
    def _audited_images(self) -> set[int]:
        shards = {(one.cell.start, one.cell.stop): set(one.examples) for one in self.records if one.role.whole}
        first = {image for (start, _), images in shards.items() if start == 0 for image in images}
        tried: dict[tuple[object, ...], set[int]] = {}
        on_first: dict[tuple[object, ...], Record] = {}
        for record in [*self.extra, *self.readings]:
            adaptive = record.role.adaptive
            if adaptive is not None and adaptive.on != "strong" and adaptive.images is None:
                attack = record.cell.attack, record.cell.attack_draws, record.cell.reading
                tried.setdefault(attack, set()).update(record.examples)
                if first.issuperset(record.examples):
                    on_first[attack] = record

        def met_every_attack(images: set[int]) -> bool:
            return all(
                tried[attack].issuperset(
                    images
                    if (threat := record.cell.attack.threat) not in self.surviving or record.role.whole
                    else images & self.surviving[threat]
                )
                for attack, record in on_first.items()
            )

        return first.union(*(images for images in shards.values() if met_every_attack(images)))

    @cached_property
    def outcomes(self) -> pd.DataFrame:
        """Outcomes of the protocol's attacks, a line per attack, eps, library and image; see `results.frames.tidy`."""
        return latest(tidy(self.records, _COLUMNS, categories=True))

    @cached_property
    def by_image(self) -> pd.DataFrame:
        """The worst of all libraries, a line per attack, eps and image; see `results.frames.worst_by_image`."""
        return worst_by_image(self.outcomes)

    @cached_property
    def agreement(self) -> dict[tuple[Configuration, AttackSpec], list[Comparison]]:
        """A comparison for every pair of libraries, attack by attack, over all shards."""
        return merged_agreement(self.records)

    @cached_property
    def healths(self) -> list[Health]:
        """What the network shows without an attack, a shard of images each.

        The record of FGSM at eps 0 carries it, wherever it was measured.
        """
        return [record.health for record in self.extra if record.health is not None]

    @cached_property
    def surviving(self) -> dict[ThreatModel, set[int]]:
        """Threat model -> the images that survive every attack of the protocol."""
        surviving = {record.cell.attack.threat: set[int]() for record in self.records}
        for (_, threat), shards in surviving_examples(self.records).items():
            surviving[threat].update(example for examples in shards.values() for example in examples)
        return surviving

    @cached_property
    def images(self) -> dict[ThreatModel, int]:
        """Threat model -> how many images were attacked."""
        attacked: dict[ThreatModel, set[int]] = {}
        for record in self.records:
            attacked.setdefault(record.cell.attack.threat, set()).update(record.examples)
        return {threat: len(examples) for threat, examples in attacked.items()}

    @cached_property
    def adaptive(self) -> dict[str, list[Record]]:
        """Adaptive attack -> its complete records."""
        by_name: dict[str, list[Record]] = {}
        for record in self.extra:
            if record.complete and (adaptive := record.role.adaptive) is not None:
                by_name.setdefault(adaptive.name, []).append(record)
        return by_name

    def of_adaptive(self, name: str, threat: ThreatModel) -> list[Record]:
        """The complete records of an adaptive attack that say something of a threat model."""
        return [record for record in self.adaptive.get(name, []) if says_of(record.cell, threat)]

    @cached_property
    def beyond_draws(self) -> dict[ThreatModel, set[int]]:
        """Of the `surviving` images, those that survive fresh draws, too.

        What fresh draws break says that few frozen ones are not the network, and nothing of steps, starts or rounding.
        """
        return self.beyond(["fresh draws"])

    @cached_property
    def _broken_by(self) -> dict[tuple[str, ThreatModel], set[int]]:
        """Adaptive attack and threat model -> the images that it breaks there."""
        return {
            (name, threat): set[int]().union(*(broken_under(one, threat) for one in self.of_adaptive(name, threat)))
            for name in self.adaptive
            for threat in self.surviving
        }

    @cached_property
    def ladders(self) -> dict[ThreatModel, Ladder]:
        """Threat model -> robust accuracy against the draws of each step, as far as all surviving images were attacked.

        Those do not count that were not, and that another attack broke. Threat models without a rung are left out.
        """
        found = {}
        for threat, survivors in self.surviving.items():
            rungs = [one for one in self.adaptive.get("fresh draws", []) if one.cell.attack.threat == threat]
            attacked = {image for rung in rungs for image in rung.examples}
            found[threat] = climbed(survivors & (attacked | self.alive[threat]), rungs, self.images[threat])
        return {threat: ladder for threat, ladder in found.items() if ladder.survivors}

    def reading(self, reading: Reading, threat: ThreatModel) -> list[Record]:
        """The complete records of one reading under one threat model, of its adaptive attacks."""
        return [
            record
            for record in self.readings
            if record.complete
            and (record.cell.reading, record.cell.attack.threat) == (reading, threat)
            and record.role.adaptive is not None
        ]

    def verdicts_of(self, attack: AttackSpec, library: str, by: Literal["judge", "attacker"]) -> dict[int, bool]:
        """Image -> whether it survives one of the protocol's attacks in one library, on the draws of either."""
        field = "correct" if by == "judge" else "correct_attacker"
        return {
            image: right
            for record in self.records
            if record.cell.attack == attack and library in record.outcomes
            for image, right in zip(record.examples, getattr(record.outcomes[library], field), strict=False)
        }

    @cached_property
    def beyond_gradients(self) -> dict[ThreatModel, set[int]]:
        """Of the `surviving` images, those that survive every adaptive attack by the network's own gradient, too.

        Strong ones do not count: they attack what those without gradients left, so that verdicts would depend on the
        suite.
        """
        return self.beyond_gradients_but()

    def beyond_gradients_but(self, *names: str) -> dict[ThreatModel, set[int]]:
        """The same, but that these adaptive attacks do not count."""
        own = (one for one in ADAPTIVE_ATTACKS.values() if one.gradient == "own" and one.on != "strong")
        return self.beyond(adaptive.name for adaptive in own if adaptive.name not in names)

    def beyond(self, attacks: Iterable[str]) -> dict[ThreatModel, set[int]]:
        """Of the `surviving` images, those that survive these adaptive attacks, too."""
        names = list(attacks)
        return {
            threat: images.difference(*(self._broken_by.get((name, threat), ()) for name in names))
            for threat, images in self.surviving.items()
        }

    @cached_property
    def is_constant(self) -> bool:
        """Whether the network gives one answer, a label with an entropy, to images of several classes.

        It is then as accurate as chance, and no attack could change that.
        """
        classes = {label for record in self.records for label in record.labels}
        clean = [record.clean for record in self.records if record.clean.error is None]
        one_label = len(np.unique(joined(clean, "predicted"))) == 1
        return one_label and len(classes) > 1 and bool(np.ptp(joined(clean, "entropy")) <= SAME_ANSWER)

    def under(self, threat: ThreatModel) -> list[Record]:
        """The records of the protocol's attacks under one threat model."""
        return [record for record in self.records if record.cell.attack.threat == threat]

    def counted(self, threat: ThreatModel) -> list[Record]:
        """The records that the worst case under a threat model is over, as far as a library ran.

        Of those that say of every eps what they break only images within this one count (`benchmark.plan.nearest`).
        """
        return [
            record
            for record in self.records + self.extra
            if says_of(record.cell, threat) and any(one.error is None for one in record.outcomes.values())
        ]

    def broken_beyond(self, threat: ThreatModel, images: set[int]) -> dict[str, set[int]]:
        """Attack beyond the columns, as `Role.called` says -> which of the images it broke."""
        return {called: broken & images for called, broken in self._broken_by_extra[threat].items()}

    @cached_property
    def _broken_by_extra(self) -> dict[ThreatModel, dict[str, set[int]]]:
        broken = {threat: dict[str, set[int]]() for threat in self.surviving}
        for record in self.extra:
            for threat, by_attack in broken.items():
                if says_of(record.cell, threat):
                    by_attack.setdefault(record.role.called, set()).update(broken_under(record, threat))
        return broken

    def outside(self, threat: ThreatModel) -> dict[str, int]:
        """Own attack -> how many of its images are outside ball or box, and so count for nothing."""
        left = Counter[str]()
        for record in [*self.records, *self.extra]:
            if record.cell.attack.is_own and record.cell.attack.threat == threat:
                left[record.cell.attack.name] += sum(len(outcome.violations) for outcome in record.outcomes.values())
        return {name: count for name, count in left.items() if count}

    def survivors(self, threat: ThreatModel) -> dict[int, bool]:
        """Image -> whether it survives every attack under a threat model, of the images that all columns attacked."""
        attacked: dict[str, set[int]] = {}
        for record in self.under(threat):
            attacked.setdefault(record.cell.attack.name, set()).update(record.examples)
        alive = self.alive[threat]
        return {image: image in alive for image in sorted(set.intersection(*attacked.values()))}

    @cached_property
    def alive(self) -> dict[ThreatModel, set[int]]:
        """Threat model -> the images that survive every attack that counts under it."""
        return {
            threat: surviving - set[int]().union(*self.broken_beyond(threat, surviving).values())
            for threat, surviving in self.surviving.items()
        }


def _on(images: set[int], records: Iterable[Record]) -> list[Record]:
    """The records that are on these images alone."""
    return [record for record in records if images.issuperset(record.examples)]
