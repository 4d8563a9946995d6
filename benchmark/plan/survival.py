"""How many images are likely to survive the white-box attacks, before all of them have run. Pure.

What follows the white-box attacks is run on the images that these leave, so that is what its time depends on most.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.cells import Cell
from benchmark.plan.roles import role_of
from benchmark.protocol import eps_grid

if TYPE_CHECKING:
    from benchmark.records.record import Record

# Of an entry of which nothing is known: the share of its images that stands, and how likely any of a shard's does. The
# zoo's own come to 0.46 and 0.98 at the smaller eps of the protocol in either norm, 0.15 and 0.5 at the larger.
_SMALLER, _LARGER = (0.45, 0.95), (0.15, 0.5)


class Standing(NamedTuple):
    """Images of a shard that may be expected to stand if any does, and how likely that is."""

    images: float
    chance: float


class Expected(NamedTuple):
    """A cell that is likely to come, on as many images as it is likely to have, and how many of its like there are."""

    cell: Cell
    times: float


@dataclass
class _Shard:
    """What attacks left so far: images that were right in all records, broken in one, and the attacks by name."""

    right: set[int] | None = None
    broken: set[int] = field(default_factory=set)
    attacks: set[str] = field(default_factory=set)
    failed: bool = False

    def standing(self, count: int) -> Standing:
        """FGSM alone leaves some that other attacks break: of few all, of many few."""
        if self.failed:  # it is not followed up
            return Standing(0.0, 0.0)
        stands = len((self.right or set()) - self.broken)
        if self.attacks > {"fgsm"} or "fgsm" not in self.attacks:
            return Standing(stands, float(stands > 0))
        guess = stands * math.sqrt(stands / count)
        return Standing(max(1.0, guess), 1 - math.exp(-guess / 2))


class Survival:
    """What is known from records of the shards that were attacked, and what that makes likely of the others."""

    def __init__(self) -> None:
        self._shards: dict[tuple[str, ThreatModel], dict[tuple[int, int], _Shard]] = defaultdict(dict)

    def learn(self, record: Record) -> None:
        """Take in a record; those that are of no white-box attack say nothing here."""
        cell = record.cell
        if not role_of(cell).is_white_box:
            return
        shards = self._shards[cell.model, cell.attack.threat]
        shard = shards.setdefault((cell.start, cell.stop), _Shard())
        right = set(itertools.compress(record.examples, record.clean.correct))
        shard.right = right if shard.right is None else shard.right & right
        shard.broken |= record.broken
        shard.attacks.add(cell.attack.name)
        shard.failed |= not record.complete

    def standing(self, model: str, dataset: str, threat: ThreatModel, start: int, stop: int) -> Standing:
        """Of a shard: from its own records, else from the entry's other shards, other entries, and the zoo's."""
        own = self._shards.get((model, threat), {})
        if (start, stop) in own:
            return own[start, stop].standing(stop - start)
        guess = _SMALLER if threat.eps <= eps_grid(dataset)[threat.norm][0] else _LARGER
        for known in (
            [shards for (_, other), shards in self._shards.items() if other == threat],
            [own],
        ):
            met = [(key, shard) for shards in known for key, shard in shards.items()]
            shares = [(shard.standing(key[1] - key[0]), key[1] - key[0]) for key, shard in met]
            guess = (
                (guess[0] + sum(found.images * found.chance / count for found, count in shares)) / (1 + len(shares)),
                (guess[1] + sum(found.chance for found, _ in shares)) / (1 + len(shares)),
            )
        images = guess[0] * (stop - start)
        return Standing(images / guess[1] if guess[1] else 0.0, guess[1])
