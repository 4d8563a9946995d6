"""Intervals, paired tests and shared ranks. SciPy does the statistics; this fixes which."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, bootstrap, false_discovery_control, norm, permutation_test, ttest_1samp

from benchmark.protocol import CONFIDENCE, ECE_BINS

Alternative = Literal["two-sided", "less", "greater"]


@functools.lru_cache(maxsize=100_000)  # pages ask the same again and again
def wilson(hits: int, count: int) -> tuple[float, float]:
    """Wilson 95 % interval of a share. Raises ValueError for an empty sample."""
    if count < 1:
        raise ValueError("an interval needs at least one example")
    interval = binomtest(hits, count).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


@functools.lru_cache(maxsize=100_000)
def mcnemar(only_first: int, only_second: int, alternative: Alternative = "two-sided") -> float:
    """Exact McNemar p-value from the discordant counts of a paired comparison; 1 if there are none.

    alternative: `greater` tests whether the first is better, `less` whether it is worse.
    """
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant, alternative=alternative).pvalue) if discordant else 1.0


def share_below(hits: int, count: int, margin: float) -> tuple[float, float]:
    """Exact binomial p-values of (a share below `margin`, a share above it): small is evidence for it."""
    below, above = (binomtest(hits, count, margin, side).pvalue for side in ("less", "greater"))
    return float(below), float(above)


def mean_above(values: ArrayLike, margin: float) -> tuple[float, float]:
    """One-sided p-values of the t-test of a mean against `margin`: (it is above, it is below)."""
    above, below = (
        float(ttest_1samp(np.asarray(values, float), margin, alternative=side).pvalue) for side in ("greater", "less")
    )
    return above, below


def paired_difference(first: ArrayLike, second: ArrayLike) -> tuple[float, float, float]:
    """Mean of first - second over paired examples, and one-sided p-values (first greater, first less).

    A permutation test: under the null hypothesis the two values of an example may be exchanged. 1,999 exchanges from a
    fixed seed, so that the smallest p-value is 5e-4; where both are equal on every example both p-values are 1.
    """
    difference = np.asarray(first, float) - np.asarray(second, float)
    moved = difference[difference != 0]
    if not len(moved):
        return 0.0, 1.0, 1.0
    p_greater, p_less = (_sign_flips(moved.tobytes(), alternative) for alternative in ("greater", "less"))
    return float(difference.mean()), p_greater, p_less


@functools.lru_cache(maxsize=1024)  # a second each for thousands of examples, and pages ask again and again
def _sign_flips(moved: bytes, alternative: str) -> float:
    found = permutation_test(
        (np.append(np.frombuffer(moved), 0.0),),  # SciPy asks for two values at least; a zero changes nothing
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=1999,
        batch=256,
        alternative=alternative,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def corrected(p_values: Sequence[float]) -> list[float]:
    """p-values of many tests, adjusted so that calling those below 5 % differences is wrong in 5 % of the calls.

    Benjamini and Yekutieli 2001: it holds however the tests depend on each other, as those of one set of images do.
    """
    return [float(p) for p in false_discovery_control(p_values, method="by")] if len(p_values) else []


def images_to_separate(only_first: int, only_second: int, count: int, power: float = 0.8) -> int | None:
    """How many images a paired test at 5 % needs to tell two entries apart with that power, if they differ as seen.

    Connor 1987, "Sample Size for Testing Differences in Proportions for the Paired-Sample Design"; None where no
    difference was seen.
    """
    discordant, difference = (only_first + only_second) / count, abs(only_first - only_second) / count
    if difference == 0:
        return None
    level, reach = norm.ppf(1 - 0.05 / 2), norm.ppf(power)
    root = level * math.sqrt(discordant) + reach * math.sqrt(discordant - difference**2)
    return math.ceil(float(root / difference) ** 2)


def bootstrap_mean(values: ArrayLike) -> tuple[float, float]:
    """BCa bootstrap 95 % interval of a mean; the value itself where all are equal. 1,999 resamples, a fixed seed."""
    found = np.asarray(values, float)
    if len(np.unique(found)) < 2:
        return float(found.mean()), float(found.mean())
    interval = bootstrap(
        (found,), np.mean, n_resamples=1999, confidence_level=CONFIDENCE, rng=np.random.default_rng(0)
    ).confidence_interval
    return float(interval.low), float(interval.high)


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = ECE_BINS) -> float:
    """ECE over equal-width bins (Guo et al. 2017): share-weighted |accuracy - mean confidence|."""
    conf: NDArray[np.float64] = np.asarray(confidence, float)
    hit: NDArray[np.float64] = np.asarray(correct, float)
    index = np.clip(np.ceil(conf * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(index, hit - conf, minlength=bins)
    return float(np.abs(gaps).sum() / len(conf))
