"""How many images are likely to survive the white-box attacks, before all of these have run. Pure.

Most adaptive attacks are run on the surviving images, so their time depends on this number most.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.cells import Cell
from benchmark.protocol import eps_grid

if TYPE_CHECKING:
    from benchmark.records.record import Record

# For an entry without records: the share of its images that survive, and how likely any image of a shard survives. The
# zoo's entries come to 0.46 and 0.98 at the smaller eps of the protocol in either norm, 0.15 and 0.5 at the larger.
_SMALLER, _LARGER = (0.45, 0.95), (0.15, 0.5)


class Survivors(NamedTuple):
    """images: how many of a shard are likely to survive if any does. chance: how likely it is that any does."""

    images: float
    chance: float


class Expected(NamedTuple):
    """cell: one that is likely to follow, on a likely number of images. times: how many such cells are likely."""

    cell: Cell
    times: float


@dataclass
class _Shard:
    """The white-box attacks on a shard so far.

    right: images that were right before every attack. broken: images that some attack broke. attacks: their names.
    """

    right: Set[int] | None = None
    broken: set[int] = field(default_factory=set)
    attacks: set[str] = field(default_factory=set)
    failed: bool = False

    def survivors(self, count: int) -> Survivors:
        """Where FGSM alone has run, fewer are likely: other attacks break most of few images, and few of many."""
        if self.failed:  # no adaptive attack follows
            return Survivors(0.0, 0.0)
        surviving = len((self.right or set()) - self.broken)
        if self.attacks > {"fgsm"} or "fgsm" not in self.attacks:
            return Survivors(surviving, float(surviving > 0))
        guess = surviving * math.sqrt(surviving / count)
        return Survivors(max(1.0, guess), 1 - math.exp(-guess / 2))


class Survival:
    """The shards that were attacked, by their records, and from these an estimate for the other shards."""

    def __init__(self) -> None:
        self._shards: dict[tuple[str, ThreatModel], dict[tuple[int, int], _Shard]] = defaultdict(dict)

    def learn(self, record: Record) -> None:
        """Take in a record; only those of white-box attacks count."""
        cell = record.cell
        if not record.role.is_white_box or record.role.further:
            return
        shards = self._shards[cell.model, cell.attack.threat]
        shard = shards.setdefault((cell.start, cell.stop), _Shard())
        shard.right = record.right if shard.right is None else shard.right & record.right
        shard.broken |= record.broken
        shard.attacks.add(cell.attack.name)
        shard.failed |= not record.complete

    def survivors(self, model: str, dataset: str, threat: ThreatModel, start: int, stop: int) -> Survivors:
        """Of a shard: from its records; without any, from the entry's other shards, other entries, and the zoo's."""
        of_entry = self._shards.get((model, threat), {})
        if (start, stop) in of_entry:
            return of_entry[start, stop].survivors(stop - start)
        guess = _SMALLER if threat.eps <= eps_grid(dataset)[threat.norm][0] else _LARGER
        for sources in (
            [shards for (_, other), shards in self._shards.items() if other == threat],
            [of_entry],
        ):
            attacked = [(key, shard) for shards in sources for key, shard in shards.items()]
            shares = [(shard.survivors(key[1] - key[0]), key[1] - key[0]) for key, shard in attacked]
            guess = (
                (guess[0] + sum(one.images * one.chance / count for one, count in shares)) / (1 + len(shares)),
                (guess[1] + sum(one.chance for one, _ in shares)) / (1 + len(shares)),
            )
        images = guess[0] * (stop - start)
        return Survivors(images / guess[1] if guess[1] else 0.0, guess[1])
