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
class Attacked:
    """How many images survive PGD, and of how many that are right as they are.

    audited: those that the audit has asked about, as it is judged. unseen: others, of the same split.
    """

    audited: tuple[int, int]
    unseen: tuple[int, int]

    def __str__(self) -> str:
        (seen, of_seen), (unseen, of_unseen) = self.audited, self.unseen
        return f"{seen} of {of_seen} images survive PGD that the audit has asked about, {unseen} of {of_unseen} others"


@dataclass(frozen=True)
class State:
    """What networks that were built anew show of an entry's state; see `benchmark.evaluation.state`.

    passages: name -> both answers compared. failed: name of a passage -> what the network raised in it.
    weights: parameters and buffers in which two builds differ. attributes: what else differs between them.
    remembers: parameters, buffers and attributes that depend on more than the last pass.
    draws: global generators that a pass takes numbers from. optimises: what a pass differentiates or steps.
    copies: whether histories were in copies of the process, so that what networks share is told apart, too.
    attacked: PGD on images that the audit has asked about, and on others; None where the histories are measured
        elsewhere, and in records that are older than this.
    """

    passages: dict[str, Passage] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    weights: list[str] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    remembers: list[str] = field(default_factory=list)
    draws: list[str] = field(default_factory=list)
    optimises: list[str] = field(default_factory=list)
    copies: bool = True
    attacked: Attacked | None = None

    def to_json(self) -> dict[str, Any]:
        fields = asdict(self)
        if self.attacked is None:
            del fields["attacked"]
        return fields

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> State:
        later: dict[str, Any] = {}
        if "attacked" in fields:
            later["attacked"] = Attacked(**{name: tuple(counts) for name, counts in fields["attacked"].items()})
        passages = {name: Passage(**one) for name, one in fields["passages"].items()}
        return cls(**{**fields, "passages": passages, **later})
