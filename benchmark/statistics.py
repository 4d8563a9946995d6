"""Intervals, paired tests and shared ranks. SciPy does the statistics; this fixes which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from benchmark.protocol import CONFIDENCE, ECE_BINS


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Wilson 95 % interval of a share. Raises ValueError for an empty sample."""
    if count < 1:
        raise ValueError("an interval needs at least one example")
    interval = binomtest(hits, count).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided McNemar p-value from the discordant counts of a paired comparison; 1 if there are none."""
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def shared_ranks(intervals: Sequence[tuple[float, float]]) -> list[int]:
    """Rank of each entry: one more than the number of entries whose interval lies wholly above its own.

    >>> shared_ranks([(0.8, 0.9), (0.7, 0.85), (0.1, 0.2)])
    [1, 1, 3]
    """
    return [1 + sum(low > high for low, _ in intervals) for _, high in intervals]


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = ECE_BINS) -> float:
    """ECE over equal-width bins (Guo et al. 2017): share-weighted |accuracy - mean confidence|."""
    conf: NDArray[np.float64] = np.asarray(confidence, float)
    hit: NDArray[np.float64] = np.asarray(correct, float)
    index = np.clip(np.ceil(conf * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(index, hit - conf, minlength=bins)
    return float(np.abs(gaps).sum() / len(conf))
