"""Intervals, paired tests and shared ranks. SciPy does the statistics; this fixes which."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.stats import binomtest, bootstrap, false_discovery_control, norm, permutation_test, t, ttest_1samp

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


_LEAST_P = 1e-100  # no smaller p-value is told
# Of shares of a variance, their degrees of freedom and a distance in errors the quantile of an interval, and a p-value.
_Reference = Callable[[NDArray[np.float64], NDArray[np.float64], float], tuple[float, float]]


class Estimate(NamedTuple):
    """A mean over trainings and images, its 95 % interval, and the p-value of it being zero."""

    mean: float
    low: float
    high: float
    p: float

    def percent(self, form: str = ".1f") -> str:
        """Such as `39.3 [30, 48]`, or of a difference with `+z.1f` `+5.7 [0, 11]`. form: of the mean; z: no -0."""
        return f"{100 * self.mean:{form}} [{100 * self.low:z.0f}, {100 * self.high:z.0f}]"


def over_trainings(right: ArrayLike) -> Estimate:
    """The accuracy of a kind of network, of which T were trained and judged on the same N images: right (T, N).

    Trainings and images are both drawn at random, and crossed. The mean's variance is that of trainings, of which there
    are few, and that of images without their rest, (MS_images - MS_rest) / (T N) (Searle, Casella and McCulloch 1992,
    "Variance Components", chapter 4); the quantile that it is multiplied by is the average of Student's for each, by
    their shares (Cochran and Cox 1957, "Experimental Designs", section 4.14): it errs to the safe side, where another
    would fall short of its level, for accuracies of few trainings are skewed.
    Raises ValueError for less than two trainings or images.
    """
    found = _crossed(right)
    return _estimate(found.mean, [found.trainings, found.images - found.rest], found.degrees, _cautious)


def difference_over_trainings(first: ArrayLike, second: ArrayLike) -> Estimate:
    """The difference of two kinds of networks, trained independently, on the same images: (T, N) and (S, N).

    As `over_trainings`; what an image adds to both cancels, and so does the skew: the degrees of freedom are
    Satterthwaite's (1946, "An approximate distribution of estimates of variance components"), as in software for mixed
    models. Far out, where many tests are corrected, the cautious quantile would call a tenth of what it may, or less.
    Raises ValueError also for other images.
    """
    a, b = _crossed(first), _crossed(second)
    if a.of_images.shape != b.of_images.shape:
        raise ValueError(f"a paired difference needs the same images, not {len(a.of_images)} and {len(b.of_images)}")
    of_images = float((a.of_images - b.of_images).var(ddof=1)) / len(a.of_images)
    parts = [a.trainings, b.trainings, of_images - a.rest - b.rest]
    return _estimate(a.mean - b.mean, parts, [a.degrees[0], *b.degrees], _satterthwaite)


class _Crossed(NamedTuple):
    """trainings, images, rest: mean squares over T N, which are parts of the variance of the mean.

    degrees: of freedom, of trainings and images.    of_images: (N,) means over trainings.
    """

    mean: float
    trainings: float
    images: float
    rest: float
    degrees: list[float]
    of_images: NDArray[np.float64]


def _crossed(right: ArrayLike) -> _Crossed:
    values: NDArray[np.float64] = np.asarray(right, float)
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"two trainings and two images are the least, (T, N), not {values.shape}")
    (count, images), mean = values.shape, float(values.mean())
    of_trainings, of_images = values.mean(1), values.mean(0)
    rest = values - of_trainings[:, None] - of_images[None] + mean
    return _Crossed(
        mean,
        float(of_trainings.var(ddof=1)) / count,
        float(of_images.var(ddof=1)) / images,
        float((rest**2).sum()) / ((count - 1) * (images - 1)) / values.size,
        [count - 1.0, images - 1.0],
        of_images,
    )


def _estimate(mean: float, parts: Sequence[float], degrees: Sequence[float], reference: _Reference) -> Estimate:
    """parts: of the mean's variance, each with its degrees of freedom; one that is estimated below zero is zero."""
    shares = np.clip(parts, 0, None)
    if (variance := float(shares.sum())) <= 0:  # nothing varies
        return Estimate(mean, mean, mean, float(mean == 0))
    error = math.sqrt(variance)
    reach, p = reference(shares / variance, np.asarray(degrees), abs(mean) / error)
    return Estimate(mean, mean - reach * error, mean + reach * error, p)


def _satterthwaite(shares: NDArray[np.float64], degrees: NDArray[np.float64], far: float) -> tuple[float, float]:
    """The quantile of an interval, and the p-value of a mean that is so many errors from zero."""
    freedom = 1 / float((shares**2 / degrees).sum())
    return float(t.isf((1 - CONFIDENCE) / 2, freedom)), float(2 * t.sf(far, freedom))


def _cautious(shares: NDArray[np.float64], degrees: NDArray[np.float64], far: float) -> tuple[float, float]:
    """The same by the mean of Student's quantiles."""

    def quantile(level: float) -> float:
        return float(shares @ t.isf(level / 2, degrees))

    reach = quantile(1 - CONFIDENCE)
    if far == 0 or far > quantile(_LEAST_P):
        return reach, _LEAST_P if far else 1.0
    # the level at which the interval would end at zero
    return reach, math.exp(brentq(lambda log: quantile(math.exp(log)) - far, math.log(_LEAST_P), 0.0))
