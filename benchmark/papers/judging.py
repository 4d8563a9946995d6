"""How a claim of a paper is judged: statements with p-values for and against them, and the rule that sums them up.

What a statement is decided on is its paper's affair: curves, tables of a study, records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, get_args

SIGNIFICANT = 0.05

Judgement = Literal["confirmed", "refuted", "undecided", "not measured"]
Source = TypeVar("Source")  # what statements are decided on


@dataclass(frozen=True)
class Decided:
    """A statement with its test: our numbers, and the one-sided p-values of the tests against it and for it."""

    statement: str
    numbers: str
    p_true: float  # small: the data would be unlikely if the statement were false
    p_false: float  # small: unlikely if it were true


@dataclass(frozen=True)
class Claim(Generic[Source]):
    """where: in the paper. needed: how many statements must hold; all by default."""

    where: str
    text: str
    statements: tuple[Callable[[Source], Decided | None], ...]  # None: not measured
    figures: tuple[str, ...] = ()
    needed: int | None = None

    def judge(self, source: Source) -> tuple[Judgement, list[Decided]]:
        """Confirmed if `needed` statements hold, refuted if too many fail, each judgement at 5 %.

        With u of n statements needed, a false claim has n - u + 1 false statements at least, and one of them must be
        taken for true: each is tested at 5 % / (n - u + 1). A true one has u true statements, one of which must be
        taken for false: 5 % / u (partial conjunctions; Benjamini and Heller 2008).
        """
        tested = [statement(source) for statement in self.statements]
        decided = [one for one in tested if one is not None]
        if not tested or len(decided) < len(tested):
            return "not measured", decided
        needed = len(decided) if self.needed is None else self.needed
        hold = sum(one.p_true < SIGNIFICANT / (len(decided) - needed + 1) for one in decided)
        fail = sum(one.p_false < SIGNIFICANT / needed for one in decided)
        if hold >= needed:
            return "confirmed", decided
        return ("refuted" if len(decided) - fail < needed else "undecided"), decided


def counted(judgements: Iterable[Judgement]) -> str:
    """`3 confirmed, 1 refuted, 0 undecided`; what was not measured is named where there is any."""
    counts = Counter(judgements)
    always = ("confirmed", "refuted", "undecided")
    return ", ".join(f"{counts[name]} {name}" for name in get_args(Judgement) if name in always or counts[name])


def lines(decided: Sequence[Decided]) -> list[dict[str, object]]:
    """A table of statements, a row each."""
    return [
        {
            "statement": one.statement,
            "measured": one.numbers,
            "p, were it false": _p(one.p_true),
            "p, were it true": _p(one.p_false),
        }
        for one in decided
    ]


def _p(value: float) -> str:
    """Two digits; a p-value is never 0, but float64 may round it to 0."""
    return f"{value:.2g}" if value else "< 1e-300"
