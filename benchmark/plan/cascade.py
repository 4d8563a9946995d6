"""The strong attacks, one after the other, each on what survives everything before it. Pure: no torch.

They cost most, and find something only where everything else has failed. So each is tried on a few images under one
eps first, and on all under every eps where one of these falls. Those that cost most of all wait for a suspicion: that
an attack found more than a point of what every attack by the network's own gradient had left, be it without a
gradient, by another network's, or a strong one. Suite `thorough` tries all from the start. Of several shards the few
are the first of all images that survive, so that a run on more images tries the same ones.

What a strong attack is run on depends on the outcomes of those before it, and on nothing else: the same records give
the same cells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attack import AdaptiveAttack
from benchmark.plan.cells import Cell
from benchmark.plan.nearest import broken_under, says_of
from benchmark.plan.stronger_attacks import AUTOATTACK_PARTS

if TYPE_CHECKING:
    from benchmark.records.record import Record

PROBE = 10  # images that a strong attack is tried on
SUSPICIOUS = 0.01  # share of images, of which no more may fall to chance

Shards = Mapping[tuple[int, int], tuple[int, ...]]  # shard -> images, in the order in which they are used
Expand = Callable[[AdaptiveAttack, AttackSpec, Shards], list[Cell]]


@dataclass
class Cascade:
    """The strong attacks on one network in one norm.

    surviving: threat model, the smallest eps first -> the images that survive the white-box attacks.
    records: those that there are, by their cells. expand: from an attack and images to its cells.
    thorough: whether all images are attacked from the start, and by the parts of AutoAttack also those that only other
        attacks broke, so that its number can be told.
    suspected: whether an attack has found more than it should, or all are wanted whatever others find.
    alive: of the surviving images those that everything so far left. left: the same of AutoAttack's parts alone.
    """

    surviving: Mapping[ThreatModel, Shards]
    records: Mapping[Cell, Record]
    expand: Expand
    thorough: bool = False
    suspected: bool = False
    alive: dict[ThreatModel, set[int]] = field(init=False)
    left: dict[ThreatModel, set[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.alive = {threat: set(chain(*shards.values())) for threat, shards in self.surviving.items()}
        self.left = {threat: set(images) for threat, images in self.alive.items()}

    def suspect(self, cells: Iterable[Cell]) -> None:
        """Whether one of these cells broke more than a point of its images among those that are alive."""
        for record in (self.records[cell] for cell in cells if cell in self.records):
            most = SUSPICIOUS * (record.cell.stop - record.cell.start)
            self.suspected |= any(
                len(broken_under(record, threat) & alive) > most
                for threat, alive in self.alive.items()
                if says_of(record.cell, threat)
            )

    def take(self, cells: Iterable[Cell], autoattack: bool = False) -> None:
        """Note what the records of some cells broke. autoattack: whether they are of one of AutoAttack's parts."""
        for record in (self.records[cell] for cell in cells):
            for threat in self.alive:
                if says_of(record.cell, threat):
                    broken = broken_under(record, threat)
                    self.alive[threat] -= broken
                    self.left[threat] -= broken if autoattack else set()

    def cells(self, strong: Sequence[tuple[AdaptiveAttack, AttackSpec]]) -> list[Cell]:
        """The cells of the strong attacks, as far as the records let them be known."""
        found: list[Cell] = []
        by_name: dict[str, list[AttackSpec]] = {}
        for adaptive, attack in strong:
            by_name.setdefault(adaptive.name, []).append(attack)
        attacks = {adaptive.name: adaptive for adaptive, _ in strong}
        for name, specs in by_name.items():
            if attacks[name].on_suspicion and not (self.suspected or self.thorough):
                continue
            wanted = self._of(attacks[name], specs)
            found += wanted
            if any(cell not in self.records for cell in wanted):
                break  # what the next is run on is not known yet
            self.suspect(wanted)
            self.take(wanted, name in AUTOATTACK_PARTS)
        return found

    def _of(self, adaptive: AdaptiveAttack, attacks: Sequence[AttackSpec]) -> list[Cell]:
        """An attack's cells under every eps: on the first images, and on the others where one of the first fell."""
        tried = telling({threat: len(images) for threat, images in self.alive.items()}, PROBE)
        probes = {
            attack: self.expand(adaptive, attack, _first(self._in_order(threats, self.alive), PROBE))
            for attack in attacks
            if (threats := self._threats(adaptive, attack)) and (self.thorough or tried in threats)
        }
        fell = any(self._falls(cell, self._threats(adaptive, attack)) for attack in probes for cell in probes[attack])
        if not (fell or self.thorough):
            return [cell for cells in probes.values() for cell in cells]
        return [cell for attack in attacks for cell in self._on_every_image(adaptive, attack)]

    def _on_every_image(self, adaptive: AdaptiveAttack, attack: AttackSpec) -> list[Cell]:
        threats = self._threats(adaptive, attack)
        alive = self._in_order(threats, self.alive)
        first, every = _first(alive, PROBE), alive
        if self.thorough and adaptive.name in AUTOATTACK_PARTS:
            every = self._in_order(threats, {threat: self.alive[threat] | self.left[threat] for threat in threats})
        rest = _without(every, set(chain(*first.values())))
        return self.expand(adaptive, attack, first) + self.expand(adaptive, attack, rest)

    def _threats(self, adaptive: AdaptiveAttack, attack: AttackSpec) -> list[ThreatModel]:
        """The threat models that an attack says something of."""
        return list(self.surviving) if adaptive.is_nearest else [attack.threat]

    def _falls(self, cell: Cell, threats: Iterable[ThreatModel]) -> bool:
        """Whether an image falls that everything before left."""
        record = self.records.get(cell)
        return record is not None and any(broken_under(record, threat) & self.alive[threat] for threat in threats)

    def _in_order(self, threats: Iterable[ThreatModel], images: Mapping[ThreatModel, set[int]]) -> Shards:
        """By shard, the images under some of the threat models, those of the smallest eps first."""
        found: dict[tuple[int, int], dict[int, None]] = {}
        for threat in threats:
            for shard, surviving in self.surviving[threat].items():
                found.setdefault(shard, {}).update(dict.fromkeys(e for e in surviving if e in images[threat]))
        return {shard: tuple(found[shard]) for shard in sorted(found) if found[shard]}


def telling(alive: Mapping[ThreatModel, int], wanted: int) -> ThreatModel | None:
    """The threat model under which a few images tell most: of the largest eps that leaves as many as `wanted`.

    There an attack that finds something finds most. Where all leave fewer, the one that leaves most.
    alive: threat model, the smallest eps first -> how many images survive. None where there is no image.
    """
    enough = [threat for threat, images in alive.items() if images >= wanted]
    return enough[-1] if enough else max(alive, key=lambda threat: alive[threat], default=None)


def _first(shards: Shards, count: int) -> Shards:
    """The first images of all shards together."""
    found: dict[tuple[int, int], tuple[int, ...]] = {}
    for shard, images in shards.items():
        if count > 0:
            found[shard] = images[:count]
            count -= len(found[shard])
    return found


def _without(shards: Shards, gone: Collection[int]) -> Shards:
    kept = {shard: tuple(image for image in images if image not in gone) for shard, images in shards.items()}
    return {shard: images for shard, images in kept.items() if images}
