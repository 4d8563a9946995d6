"""Which attacks decide: few break, together, whatever any attack breaks. Pure: no torch.

An audit tries every attack on its first images, a random sample of the split. Most attacks break nothing there that
others leave. So images beyond the audit's meet the white-box attacks and then those alone that decided: the one that
broke most among the audit's images first, next the one that broke most of what is left, until nothing more is broken
(greedy set cover), each on what those before it leave. A few run on all further images, whatever they broke.

What that may miss is known: of n audited images none is broken by the other attacks alone, so that they break at most
3 in n of further ones (95 %); and check V30 compares the accuracy on further images with that on the audit's.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, NamedTuple

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
from benchmark.plan.cascade import Shards
from benchmark.plan.cells import Cell
from benchmark.plan.nearest import broken_under, says_of
from benchmark.plan.roles import role_of
from benchmark.protocol import SHARD

if TYPE_CHECKING:
    from benchmark.records.record import Record


class Tried(NamedTuple):
    """An adaptive attack whatever the eps; of one name the source of a transfer and the draws tell several apart."""

    name: str
    source: str | None
    draws: int


def tried(cell: Cell) -> Tried | None:
    """The adaptive attack that a cell is, where what it breaks counts in the worst case."""
    role = role_of(cell)
    if role.adaptive is None or not role.counts_in_worst_case:
        return None
    return Tried(role.adaptive.name, cell.attack.source, cell.attack_draws)


def decisive(
    surviving: Mapping[ThreatModel, Set[int]], records: Iterable[Record], draws: int, classes: int
) -> dict[ThreatModel, list[Tried]]:
    """Threat model -> the attacks that decided there, and those that are run in any case.

    surviving: the audited images that survive the white-box attacks. records: of adaptive attacks on audited images.
    draws: the attacker's. classes: of the data set; some attacks need more than two.
    """
    broken: dict[ThreatModel, dict[Tried, set[int]]] = {threat: defaultdict(set) for threat in surviving}
    for record in records:
        if (of := tried(record.cell)) is not None:
            for threat, images in surviving.items():
                if says_of(record.cell, threat):
                    broken[threat][of] |= broken_under(record, threat) & images
    return {threat: cover(broken[threat], _always(threat, draws, classes)) for threat in surviving}


def _always(threat: ThreatModel, draws: int, classes: int) -> list[Tried]:
    """The attacks that are run in any case, also where no image of the audit was left for them."""
    return [
        Tried(name, None, draws)
        for name, one in ADAPTIVE_ATTACKS.items()
        if one.always and threat.norm in one.norms and one.attack(threat).method.classes <= classes
    ]


def cover(broken: Mapping[Tried, Set[int]], always: Sequence[Tried] = ()) -> list[Tried]:
    """The fewest attacks, greedily, that break what all of them break; of equally good ones the first in the suite.

    broken: attack -> images. always: those that are chosen whatever they break: first, or, where they cost most, last.
    """
    order = list(ADAPTIVE_ATTACKS)
    candidates = sorted(broken, key=lambda one: (order.index(one.name), one.source or "", one.draws))
    chosen: list[Tried] = []
    left = set[int]().union(*broken.values()).difference(*(broken.get(one, ()) for one in always))
    while left:
        best = max(candidates, key=lambda one: len(broken[one] & left))
        chosen.append(best)
        left -= broken[best]
    last = [one for one in always if ADAPTIVE_ATTACKS[one.name].on == "strong"]
    return [*(one for one in always if one not in last), *chosen, *last]


def beyond(
    decided: Mapping[ThreatModel, Sequence[Tried]],
    surviving: Mapping[ThreatModel, Shards],
    records: Mapping[Cell, Record],
    expand: Callable[[Tried, ThreatModel, Shards], list[Cell]],
) -> list[Cell]:
    """The cells of the attacks that decided, on further images, as far as the records let them be known.

    surviving: the further images that survive the white-box attacks, by their shards. expand: from an attack under a
    threat model and images to its cells.
    """
    alive = {
        threat: {image: shard for shard, images in shards.items() for image in images}
        for threat, shards in surviving.items()
    }
    cells: list[Cell] = []
    waiting: set[ThreatModel] = set()  # threat models under which it is not known yet what the next is run on
    for one, threats in _in_turn(decided):
        images = {image: shard for threat in threats for image, shard in alive.get(threat, {}).items()}
        wanted = [] if waiting & set(threats) else expand(one, threats[0], packed(images))
        cells += wanted
        if waiting & set(threats) or any(cell not in records for cell in wanted):
            waiting |= set(threats)
            continue
        for threat in threats:
            for cell in wanted:
                for image in broken_under(records[cell], threat):
                    alive.get(threat, {}).pop(image, None)
    return cells


def _in_turn(decided: Mapping[ThreatModel, Sequence[Tried]]) -> Iterator[tuple[Tried, list[ThreatModel]]]:
    """Attacks and the threat models that they are run for: of those that look for the nearest image all at once."""
    every_eps: dict[Tried, list[ThreatModel]] = defaultdict(list)
    for threat, attacks in decided.items():
        for one in attacks:
            if ADAPTIVE_ATTACKS[one.name].is_nearest:
                every_eps[one].append(threat)
    yield from every_eps.items()
    for threat, attacks in decided.items():
        yield from ((one, [threat]) for one in attacks if one not in every_eps)


def packed(images: Mapping[int, tuple[int, int]]) -> Shards:
    """Few images of each of many shards in full batches: a cell is of up to a shard's number of them.

    images: image -> its shard. A cell's start and stop are those of its first image's shard and its last's; its key
    names its images, and an image's outcome depends on who shares its batch by rounding alone.
    """
    order = sorted(images, key=lambda image: (images[image], image))
    batches = [order[first : first + SHARD] for first in range(0, len(order), SHARD)]
    return {(images[batch[0]][0], images[batch[-1]][1]): tuple(batch) for batch in batches}


def audited_count(count: int, audited: int) -> int:
    """How many of `count` images the audit takes: as many as are asked for, in whole shards."""
    return min(count, SHARD * math.ceil(audited / SHARD))
