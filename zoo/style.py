"""One visual language for all figures: colour and marker are the network, line and filling the family.

The colours go from dark to light, so that grey print tells networks apart, too; the markers differ besides.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import seaborn as sns

matplotlib.use("Agg")
sns.set_theme(style="whitegrid", context="paper", palette="colorblind")

Colour = tuple[float, float, float] | str

COLUMN = 3.5  # inches: the width of a column of print
_PALETTE = sns.color_palette("colorblind")

NETWORKS: dict[str, tuple[Colour, str]] = {
    "lenet": ((0.0, 0.17, 0.40), "o"),
    "alexnet": (_PALETTE[3], "s"),
    "3conv3fc": (_PALETTE[9], "^"),
    "lenet-adversarial": (_PALETTE[1], "v"),
    "lenet-certified": (_PALETTE[6], "<"),
    "mlp": (_PALETTE[2], "D"),
    "mlp-50": (_PALETTE[4], "X"),
    # the same network's posteriors, in shades of its colour
    "hmc-mlp": ((0.75, 0.10, 0.50), ">"),
    "sghmc-mlp": ((0.45, 0.15, 0.45), "p"),
    "swag-mlp": ((0.65, 0.25, 0.60), "h"),
    "dropout-mlp": ((0.30, 0.10, 0.45), "d"),
    "ensemble-mlp": ((0.60, 0.50, 0.80), "*"),
    "logistic": (_PALETTE[7], "P"),
    "logistic-ap2": ((0.35, 0.35, 0.35), "8"),
}
ARCHITECTURES = ("lenet", "alexnet", "3conv3fc", "mlp", "logistic")
_OTHER: tuple[Colour, str] = (_PALETTE[7], "P")

TARGETS: dict[str, tuple[Colour, str]] = {
    "expected": ("black", "o"),
    "single-draw": (_PALETTE[0], "P"),
    "resampled": (_PALETTE[9], "X"),
    "mean-loss": (_PALETTE[3], "s"),
    "mean-logit": (_PALETTE[2], "^"),
    "mean-weights": (_PALETTE[1], "D"),
    "propagation": (_PALETTE[4], "v"),
}


def network_of(entry: str) -> str:
    """`lenet` of `mnist/bayesian-lenet`."""
    return entry.split("/")[1].removeprefix("bayesian-")


def architecture_of(entry: str) -> str:
    """Of `ARCHITECTURES`, that which a word of its name says: `mlp` of `mnist/hmc-mlp`; `other` where none does."""
    words = entry.split("/")[1].split("-")
    return next((one for one in ARCHITECTURES if one in words), "other")


def network_style(entry: str) -> tuple[Colour, str]:
    """Colour and marker of an entry's network."""
    return NETWORKS.get(network_of(entry), _OTHER)


def family_line(family: str) -> tuple[float, Sequence[float]]:
    """Solid for a frequentist network, dashed for a Bayesian one."""
    return (0, ()) if family == "frequentist" else (0, (4, 1.6))
