"""What a cell's work depends on beside its images: that of cells with the same key is shared. Pure: no torch."""

from __future__ import annotations

from typing import NamedTuple

from benchmark.attacks.methods import Goal
from benchmark.plan.cells import Reading
from zoo.targets import Gradient


class Shard(NamedTuple):
    """Which images of which entry."""

    model: str
    start: int
    stop: int
    only: tuple[int, ...] | None


class GradientsKey(NamedTuple):
    """What gradients on one shard depend on beside the images. goal: it decides which labels they are of."""

    attack_draws: int
    seed: int
    gradient: Gradient
    goal: Goal
    reading: Reading


class JudgedKey(NamedTuple):
    """What outcomes on one shard depend on beside the images."""

    attack_draws: int
    judge_draws: int
    seed: int
    reading: Reading
