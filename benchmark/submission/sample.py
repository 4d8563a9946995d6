"""Which cells are run again: a random tenth, drawn when the check runs, and what escapes it. Pure."""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Sequence
from typing import TypeVar

TENTH = 0.1
Item = TypeVar("Item")


def fresh_seed() -> int:
    """From the operating system's randomness: nobody can know it before the check runs."""
    return secrets.randbits(63)


def sample_size(count: int, share: float = TENTH) -> int:
    """How many of so many cells are run again: at least one."""
    return min(count, max(1, math.ceil(share * count)))


def sampled(items: Sequence[Item], seed: int, share: float = TENTH) -> list[Item]:
    """The cells that are run again, all equally likely; for the same seed the same ones."""
    return random.Random(seed).sample(list(items), sample_size(len(items), share))  # noqa: S311 - the seed is secret


def escape_probability(count: int, forged: int, drawn: int) -> float:
    """How likely none of `forged` of `count` cells is among `drawn`.

    >>> round(escape_probability(150, 15, 15), 3)
    0.19
    """
    return math.comb(count - forged, drawn) / math.comb(count, drawn)
