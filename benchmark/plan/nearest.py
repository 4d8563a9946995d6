"""What an attack that looks for the nearest adversarial image says of every eps: it breaks the image from there on.

The distance of the image that it found is in its record, rounded to four digits. An image counts as broken at an eps
only if whatever was rounded to that distance lies in the ball. Pure: no torch.
"""

from __future__ import annotations

import functools
from collections.abc import Set
from decimal import Decimal
from typing import TYPE_CHECKING

from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.protocol import EVERYWHERE

if TYPE_CHECKING:
    from benchmark.plan.cells import Cell
    from benchmark.records.outcome import Outcome
    from benchmark.records.record import Record

DIGITS = 4  # of a distance in a record


def is_of_every_eps(attack: AttackSpec) -> bool:
    """Whether it looks for the nearest adversarial image and no eps bounds it."""
    return attack.method.nearest and attack.threat.eps == EVERYWHERE[attack.threat.norm]


def says_of(cell: Cell, threat: ThreatModel) -> bool:
    """Whether a cell attacks under a threat model, or under every one of its norm."""
    return cell.attack.threat == threat or (is_of_every_eps(cell.attack) and cell.attack.threat.norm == threat.norm)


def broken_under(record: Record, threat: ThreatModel) -> Set[int]:
    """The examples that a record breaks under a threat model of which it says something."""
    if is_of_every_eps(record.cell.attack):
        return {example for example, distance in record.distances.items() if distance <= threat.eps}
    return record.broken


def is_within(record: Record, outcome: Outcome, place: int, threat: ThreatModel) -> bool:
    """Whether an image of a record's lies in a threat model's ball, of which the record says something."""
    return not is_of_every_eps(record.cell.attack) or rounded_up(outcome.distance[place]) <= threat.eps


@functools.lru_cache(maxsize=100_000)  # distances have few digits, and come again and again
def rounded_up(distance: float) -> float:
    """The largest number that is rounded to a distance of four significant digits.

    >>> rounded_up(0.0), rounded_up(0.03137), rounded_up(1.234)
    (0.0, 0.031375, 1.2345)
    """
    if distance == 0:  # below the smallest number there is nothing to be rounded
        return 0.0
    written = Decimal(repr(distance))
    return float(written + Decimal(5).scaleb(written.adjusted() - DIGITS))
