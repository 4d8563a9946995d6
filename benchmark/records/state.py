"""What is kept of an entry's hidden state: how networks that were built anew answer, and what they remember."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Passage:
    """Some images, answered twice: after one history and after another.

    images: how many. reversed: on how many of them one of the two is right and the other wrong. beyond: on how many
    they differ by more than rounding.
    difference: largest difference of a log-probability, on the image where it is most beyond rounding, and the
    rounding that there may be.
    """

    images: int
    reversed: int
    beyond: int
    difference: float
    rounding: float

    def __str__(self) -> str:
        what = f"log-probabilities differ by {self.difference:g}, by rounding up to {self.rounding:g}"
        return f"other answers on {self.beyond} of {self.images} images, {self.reversed} verdicts reversed, {what}"


@dataclass(frozen=True)
class State:
    """What networks that were built anew show of an entry's state; see `benchmark.evaluation.state`.

    passages: name -> both answers compared. failed: name of a passage -> what the network raised in it.
    weights: parameters and buffers in which two builds differ. attributes: what else differs between them.
    remembers: parameters, buffers and attributes that depend on more than the last pass.
    draws: global generators that a pass takes numbers from. optimises: what a pass differentiates or steps.
    copies: whether histories were in copies of the process, so that what networks share is told apart, too.
    """

    passages: dict[str, Passage] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    weights: list[str] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    remembers: list[str] = field(default_factory=list)
    draws: list[str] = field(default_factory=list)
    optimises: list[str] = field(default_factory=list)
    copies: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> State:
        return cls(**{**fields, "passages": {name: Passage(**one) for name, one in fields["passages"].items()}})
