"""What a gradient can be taken of, and in what precision. Names only, so that planning a run needs no torch."""

from __future__ import annotations

from typing import Literal, get_args

GradientTarget = Literal[
    "expected", "single-draw", "resampled", "mean-loss", "mean-logit", "mean-weights", "propagation"
]
GRADIENT_TARGETS: tuple[GradientTarget, ...] = get_args(GradientTarget)

# Gradients that take one pass of one network, however many draws there are.
OF_ONE_NETWORK: tuple[GradientTarget, ...] = ("single-draw", "resampled", "mean-weights", "propagation")

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
