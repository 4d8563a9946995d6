"""Gradient targets, a row each, and the precision of a gradient. Planning a run imports this file: no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, get_args

from zoo.combine import expected, mean_logit, mean_loss

if TYPE_CHECKING:
    from torch import Tensor


class Networks(StrEnum):
    """Which networks of a posterior a gradient is of."""

    DRAWS = "draws"
    """All draws."""
    FIRST = "first draw"
    """The first draw, whatever their number."""
    IN_TURN = "draws in turn"
    """One draw, with each gradient the next."""
    MEAN = "posterior mean"
    """The network of the posterior mean."""
    PROPAGATED = "propagation"
    """One network that propagates means and variances of its weights; its outputs are log-probabilities."""


@dataclass(frozen=True)
class Target:
    """A gradient target: what a gradient is of.

    words: what it is, for pages, with `{draws}` where the number of the attacker's draws belongs.
    networks: which of a posterior it takes. combine: a function of `zoo.combine`, of their logits (S, B, K).
    """

    name: str
    words: str
    networks: Networks = Networks.DRAWS
    combine: Callable[[Tensor, Tensor | None], Tensor] = expected

    @property
    def of_one_network(self) -> bool:
        """Whether a gradient takes one pass of one network, however many draws there are."""
        return self.networks is not Networks.DRAWS


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(
            "expected", "-log of the averaged softmax over {draws} draws, the loss whose images the judge decides on"
        ),
        Target("single-draw", "one frozen draw", Networks.FIRST),
        Target(
            "resampled",
            "one draw, at each step another ({draws} in turn), as a network that samples its weights in every pass "
            "offers it",
            Networks.IN_TURN,
        ),
        Target(
            "mean-loss",
            "the average of the draws' losses, the usual expectation over transformations",
            combine=mean_loss,
        ),
        Target("mean-logit", "the softmax of the averaged logits", combine=mean_logit),
        Target("mean-weights", "the network with the posterior mean as its weights", Networks.MEAN),
        Target(
            "propagation",
            "the expected prediction by means and variances propagated in one pass, no draws",
            Networks.PROPAGATED,
        ),
    )
}
GRADIENT_TARGETS = tuple(TARGETS)


class Schedule(StrEnum):
    """Which draws the gradients of one attack are of."""

    FROZEN = "frozen"
    """The same at each step: an attack's own draws, which it overfits where the posterior is wide."""
    FRESH = "fresh"
    """Others at each step: the k-th gradient is of draws derived from k, so that libraries meet the same ones."""


# A source that is no entry: a network that is distilled from the attacked entry's own answers.
SURROGATE = "surrogate"

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class Gradient:
    """What a gradient is of. Two that are equal are the same function of images and labels, for the same draws.

    target: a name of `TARGETS`.
    precision: of the networks' layers; outputs are combined in float32 or better in any case.
    source: the zoo entry whose gradient is taken, for a transfer, or `SURROGATE`; None for that of the attacked entry.
    logit_scale, logit_shift: every draw's logits are multiplied and shifted by them, to see whether gradients vanish.
    schedule: which draws it is of, step by step; of all members of a finite posterior there are no others.
    Raises ValueError for an unknown target, precision or schedule, fresh draws for a target that takes no draws, or a
    scale or shift that would leave no logits.
    """

    target: str = "expected"
    precision: Precision = "float32"
    source: str | None = None
    logit_scale: float = 1.0
    logit_shift: float = 0.0
    schedule: Schedule = Schedule.FROZEN

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise ValueError(f"no gradient target {self.target!r}; there are: {', '.join(TARGETS)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"no precision {self.precision!r}; there are: {', '.join(PRECISIONS)}")
        if self.schedule not in tuple(Schedule):
            raise ValueError(f"no schedule {str(self.schedule)!r}; there are: {', '.join(Schedule)}")
        object.__setattr__(self, "schedule", Schedule(self.schedule))  # of the same text
        if self.is_fresh and TARGETS[self.target].networks not in (Networks.DRAWS, Networks.FIRST):
            raise ValueError(f"gradient target {self.target!r} takes no draws that could be fresh at each step")
        if not (math.isfinite(self.logit_scale) and self.logit_scale > 0 and math.isfinite(self.logit_shift)):
            raise ValueError(f"logits cannot be scaled by {self.logit_scale} and shifted by {self.logit_shift}")

    @property
    def is_fresh(self) -> bool:
        """Whether each gradient is of other draws than the one before."""
        return self.schedule is Schedule.FRESH

    @property
    def of_the_step(self) -> bool:
        """Whether the same image has another gradient at another step."""
        return self.is_fresh or TARGETS[self.target].networks is Networks.IN_TURN
