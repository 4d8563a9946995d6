"""What is kept of one library's attack: outcomes example by example, as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLAGS = ("correct", "correct_attacker")
_OF_DRAWS = (
    "mutual_information",
    "right_draws",
    "majority",
)  # left out for a network without draws, and by old records
COLUMNS: Mapping[str, np.dtype[Any]] = {
    name: np.dtype(kind)
    for kind, names in {
        "<f8": ("log_p", "entropy", "confidence", "distance", "mutual_information"),
        "<i8": ("predicted", "right_draws", "majority"),
        "?": _FLAGS,
    }.items()
    for name in names
}  # one value an example


@dataclass(frozen=True)
class Outcome:
    """One library's attack (or, under the name `clean`, none) on the examples of a cell.

    correct, predicted, log_p, entropy, confidence: per example, under the judge's draws.
    correct_attacker: per example, under the attacker's draws.
    mutual_information: per example, of label and weights under the judge's draws; empty for a network without draws.
    right_draws, majority: per example, how many of the judge's draws are right alone, and the label that most of them
        give; empty for a network without draws, and in records that are older than these fields.
    distance: per example, in the attack's norm. violations: indices outside budget or box; such an image is
        no attack, so its example keeps its clean outcome.
    forwards, backwards: passes per example times draws. seconds: wall time.
    error: what the library raised; then the lists are empty.
    """

    correct: list[bool] = field(default_factory=list)
    correct_attacker: list[bool] = field(default_factory=list)
    predicted: list[int] = field(default_factory=list)
    log_p: list[float] = field(default_factory=list)
    entropy: list[float] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    distance: list[float] = field(default_factory=list)
    violations: list[int] = field(default_factory=list)
    forwards: int = 0
    backwards: int = 0
    seconds: float = 0.0
    error: str | None = None
    mutual_information: list[float] = field(default_factory=list)
    right_draws: list[int] = field(default_factory=list)
    majority: list[int] = field(default_factory=list)

    @classmethod
    def of_columns(cls, column: Callable[[str], NDArray[Any]], others: Mapping[str, Any]) -> Outcome:
        """An outcome whose columns become lists when they are asked for, which most never are.

        column: reads one of `COLUMNS`, empty where there is none. others: the fields that are no columns.
        """
        outcome = cls.__new__(cls)
        outcome.__dict__.update(others, _column=column)
        return outcome

    def __getattr__(self, name: str) -> Any:
        """A column that is no list yet."""
        if name not in COLUMNS or "_column" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        self.__dict__[name] = values = self.array(name).tolist()
        return values

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: another process does not get the file that they are read from."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def array(self, name: str) -> NDArray[Any]:
        """(N,) a column. It is not to be changed."""
        if "_column" in self.__dict__:
            column: NDArray[Any] = self.__dict__["_column"](name)
            return column
        return np.array(getattr(self, name), COLUMNS[name])

    def to_json(self) -> dict[str, Any]:
        """The fields, truth values as a word of ones and zeros: there are millions of them."""
        fields = self.__getstate__()  # asdict would copy every number
        for name in _OF_DRAWS:
            if not fields[name]:
                del fields[name]
        for name in _FLAGS:
            fields[name] = "".join("01"[flag] for flag in fields[name])
        return fields

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Outcome:
        return cls(**{**fields, **{name: list(map("1".__eq__, fields[name])) for name in _FLAGS}})


def joined(outcomes: Iterable[Outcome], name: str) -> NDArray[Any]:
    """(N,) a column of several outcomes, one after the other."""
    return np.concatenate([np.empty(0, COLUMNS[name]), *(outcome.array(name) for outcome in outcomes)])
