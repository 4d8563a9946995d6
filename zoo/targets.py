"""What a gradient can be taken of, and in what precision. Pure, so that planning a run needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

GradientTarget = Literal[
    "expected", "single-draw", "resampled", "mean-loss", "mean-logit", "mean-weights", "propagation"
]
GRADIENT_TARGETS: tuple[GradientTarget, ...] = get_args(GradientTarget)

# Gradients that take one pass of one network, however many draws there are.
OF_ONE_NETWORK: tuple[GradientTarget, ...] = ("single-draw", "resampled", "mean-weights", "propagation")

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class Gradient:
    """What a gradient is of. Two that are equal are the same function of images and labels, for the same draws.

    target: the quantity; see `GRADIENT_TARGETS`.
    precision: of the networks' layers; outputs are combined in float32 or better in any case.
    source: the zoo entry that it is of; None for the attacked one itself, otherwise it is a transfer.
    logit_scale, logit_shift: every draw's logits times the one plus the other: to see whether gradients vanish.
    Raises ValueError for an unknown target or precision, or a scale or shift that would leave no logits.
    """

    target: GradientTarget = "expected"
    precision: Precision = "float32"
    source: str | None = None
    logit_scale: float = 1.0
    logit_shift: float = 0.0

    def __post_init__(self) -> None:
        if self.target not in GRADIENT_TARGETS:
            raise ValueError(f"no gradient target {self.target!r}; there are: {', '.join(GRADIENT_TARGETS)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"no precision {self.precision!r}; there are: {', '.join(PRECISIONS)}")
        if not (math.isfinite(self.logit_scale) and self.logit_scale > 0 and math.isfinite(self.logit_shift)):
            raise ValueError(f"logits cannot be scaled by {self.logit_scale} and shifted by {self.logit_shift}")
