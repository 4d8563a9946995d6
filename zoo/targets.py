"""What a gradient can be taken of. Names only, so that planning a run needs no torch."""

from __future__ import annotations

from typing import Literal, get_args

GradientTarget = Literal["expected", "single-draw", "mean-loss", "mean-logit", "mean-weights"]
GRADIENT_TARGETS: tuple[GradientTarget, ...] = get_args(GradientTarget)
