"""How many draws an attacker needs: they are doubled until more of them find no more. Pure: no torch.

Frozen draws are overfitted where a posterior is wide, and few fresh ones at each step may still not be enough. The
attack with draws of each step's own is therefore climbed rung by rung, on the same images: the images that survive a
number of draws survive all smaller ones, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from benchmark.protocol import ATTACK_DRAWS, JUDGE_DRAWS

if TYPE_CHECKING:
    from benchmark.records.record import Record

GAIN = 0.01  # share of images that a doubling breaks where it is no gain
DOUBLINGS = 2  # in a row that must gain no more
# draws of each step; more than judge are not taken
RUNGS = tuple(ATTACK_DRAWS * 2**doubling for doubling in range(8) if ATTACK_DRAWS * 2**doubling <= JUDGE_DRAWS)


@dataclass(frozen=True)
class Ladder:
    """Robust accuracy against the draws of each step.

    survivors: draws -> how many images survive the white-box attacks and every rung up to that one.
    count: of all images that were attacked.
    """

    survivors: Mapping[int, int]
    count: int

    @property
    def gains(self) -> list[int]:
        """How many images each doubling broke."""
        return [before - after for before, after in pairwise(self.survivors.values())]

    @property
    def converged(self) -> bool:
        """Whether the last doublings in a row gained little, or no image is left that could be gained."""
        last = self.gains[-DOUBLINGS:]
        settled = len(last) == DOUBLINGS and all(gain <= GAIN * self.count for gain in last)
        return settled or 0 in self.survivors.values()

    @property
    def wanted(self) -> tuple[int, ...]:
        """The rungs that are to be climbed: those that may show convergence first, then one more at a time."""
        climbed = max(len(self.survivors), DOUBLINGS + 1)
        more = len(self.survivors) >= climbed and not self.converged
        return RUNGS[: climbed + more]


def ladder(surviving: Set[int], broken: Mapping[int, Set[int]], count: int) -> Ladder:
    """surviving: the images that survive the white-box attacks. broken: draws -> the images that this rung broke.

    Rungs count from the lowest on, up to the first that was not climbed.
    """
    survivors, alive = {}, set(surviving)
    for draws in RUNGS:
        if draws not in broken:
            break
        alive -= broken[draws]
        survivors[draws] = len(alive)
    return Ladder(survivors, count)


def climbed(surviving: Set[int], records: Iterable[Record], count: int) -> Ladder:
    """The ladder as far as complete records of its attack show it: a rung needs all `surviving` images attacked."""
    attacked: dict[int, set[int]] = {}
    broken: dict[int, set[int]] = {}
    for record in records:
        attacked.setdefault(record.cell.attack_draws, set()).update(record.examples)
        broken.setdefault(record.cell.attack_draws, set()).update(record.broken)
    return ladder(surviving, {draws: images for draws, images in broken.items() if surviving <= attacked[draws]}, count)
