"""Statements about networks that curves can decide, each with the p-values for and against it.

The words of the paper become numbers here, chosen before its grids were run:

robust, vulnerable: at the largest eps of the small grid, the share of all images that an attack breaks is below, or
    above, `MARGIN`;
better on average: an image survives at more of a grid's eps, all four attacks together;
much lower: by `MUCH` points or more;
almost zero: below `ALMOST_ZERO` at the largest eps of the large grid;
fails on clean images: below `FAILS`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmark.papers.judging import Decided
from benchmark.papers.robustness_of_bayesian_approach.curves import Curve
from benchmark.papers.robustness_of_bayesian_approach.suite import GRIDS
from benchmark.protocol import ATTACKS
from benchmark.statistics import mcnemar, mean_above, paired_difference, share_below

MARGIN, MUCH, ALMOST_ZERO, FAILS = 0.10, 0.05, 0.05, 0.50

CurveOf = Callable[[str, str], Curve | None]  # model, attack -> its curve under one protocol


Statement = Callable[[CurveOf], Decided | None]  # None: not measured


def loses(model: str, attack: str, *, little: bool) -> Statement:
    """An attack at the end of the small grid breaks less (with `little` false, more) than `MARGIN` of all images."""
    eps = GRIDS["small"][-1]
    words = "breaks less" if little else "does not break less"
    return _share_is_below(
        f"{attack} at eps {eps:g} {words} than {100 * MARGIN:g} % of the images of {model}",
        (model, attack),
        lambda curve: curve.at(0.0) & ~curve.at(eps),
        MARGIN,
        holds=little,
    )


def drops_to_zero(model: str, attack: str) -> Statement:
    """At the end of the large grid less than `ALMOST_ZERO` of the images survive."""
    eps = GRIDS["large"][-1]
    return _share_is_below(
        f"under {attack} at eps {eps:g} less than {100 * ALMOST_ZERO:g} % of the images of {model} survive",
        (model, attack),
        lambda curve: curve.at(eps),
        ALMOST_ZERO,
    )


def fails_on_clean_images(model: str) -> Statement:
    """Clean accuracy below `FAILS`."""
    return _share_is_below(
        f"{model} is right on less than {100 * FAILS:g} % of the clean images",
        (model, "fgsm"),
        lambda curve: curve.at(0.0),
        FAILS,
    )


def _share_is_below(
    statement: str,
    of: tuple[str, str],
    counted: Callable[[Curve], NDArray[np.bool_]],
    margin: float,
    *,
    holds: bool = True,
) -> Statement:
    """The share of a curve's images that are counted is below the margin, or, with `holds` false, is not."""

    def decide(curve_of: CurveOf) -> Decided | None:
        if (curve := curve_of(*of)) is None:
            return None
        hits, count = int(counted(curve).sum()), len(curve.examples)
        below, above = share_below(hits, count, margin)
        numbers = f"{hits} of {count} ({100 * hits / count:.1f} %)"
        return Decided(statement, numbers, *((below, above) if holds else (above, below)))

    return decide


def better_on_clean_images(first: str, second: str) -> Statement:
    """Exact McNemar test on the images that both have."""

    def decide(curve_of: CurveOf) -> Decided | None:
        if (pair := _clean(curve_of, first, second)) is None:
            return None
        one, other = pair
        only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
        return Decided(
            f"{first} is right on more clean images than {second}",
            f"{one.sum()} against {other.sum()} of {len(one)}; only the first {only_first}, "
            f"only the second {only_second}",
            mcnemar(only_first, only_second, "greater"),
            mcnemar(only_first, only_second, "less"),
        )

    return decide


def much_worse_on_clean_images(first: str, second: str) -> Statement:
    """The first is right on fewer clean images, by `MUCH` of all or more; t-test of the paired difference."""

    def decide(curve_of: CurveOf) -> Decided | None:
        if (pair := _clean(curve_of, first, second)) is None:
            return None
        one, other = pair
        return Decided(
            f"{first} is right on fewer clean images than {second}, by {100 * MUCH:g} points or more",
            f"{one.sum()} against {other.sum()} of {len(one)}",
            *mean_above(other.astype(int) - one.astype(int), MUCH),
        )

    return decide


def _clean(curve_of: CurveOf, first: str, second: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """For either network, whether each clean image that both have is right; None if one was not measured."""
    a, b = curve_of(first, "fgsm"), curve_of(second, "fgsm")
    if a is None or b is None:
        return None
    _, at_a, at_b = np.intersect1d(a.examples, b.examples, return_indices=True)
    return a.at(0.0)[at_a], b.at(0.0)[at_b]


def better_on_average(first: str, second: str, grid: str) -> Statement:
    """Paired permutation test on the number of (attack, eps) at which each image survives."""
    most = len(ATTACKS) * sum(eps > 0 for eps in GRIDS[grid])

    def decide(curve_of: CurveOf) -> Decided | None:
        counts = []
        for model in (first, second):
            curves = [curve_of(model, attack) for attack in ATTACKS]
            areas = [curve.count_over(GRIDS[grid]) for curve in curves if curve is not None]
            if len(areas) < len(ATTACKS):
                return None
            counts.append(sum(areas[1:], areas[0]).dropna())
        one, other = counts[0].align(counts[1], join="inner")
        mean, p_greater, p_less = paired_difference(one.to_numpy(), other.to_numpy())
        return Decided(
            f"{first} is better than {second} on average over the {grid} grid",
            f"{100 * one.mean() / most:.1f} against {100 * other.mean() / most:.1f} % of {len(one)} images, "
            f"difference {100 * mean / most:+.1f} points",
            p_greater,
            p_less,
        )

    return decide
