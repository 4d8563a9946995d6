"""What draws of a posterior are for. Pure: no torch."""

from __future__ import annotations

from typing import Literal

from benchmark.plan.cells import Cell, Reading
from zoo.seeding import derive_seed

Purpose = Literal["attack", "judge", "other judge", "independent"]  # of draws


def purposes_of(cell: Cell) -> dict[str, Purpose]:
    """The draws that the attacker has, and those that judge."""
    return {
        "attack": "judge" if cell.reading.is_of_the_judge else "attack",
        "judge": "other judge" if cell.reading is Reading.OTHER_JUDGE else "judge",
    }


def draws_seed(model: str, purpose: Purpose, seed: int) -> int:
    """What draws are derived from: name, purpose and seed alone, so that they are the same for every shard."""
    return derive_seed(purpose, model, seed)
