"""Intervals, paired tests, ranks and calibration against formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm, ttest_1samp

from benchmark.statistics import (
    Estimate,
    bootstrap_mean,
    corrected,
    difference_over_trainings,
    expected_calibration_error,
    images_to_separate,
    mcnemar,
    over_trainings,
    paired_difference,
    share_below,
    wilson,
)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_the_score_interval(counts: tuple[int, int]) -> None:
    hits, n = counts
    z, p = 1.959963984540054, hits / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = wilson(hits, n)
    assert low == pytest.approx(max(0, centre - half), abs=1e-9)
    assert high == pytest.approx(min(1, centre + half), abs=1e-9)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    n, low = first + second, min(first, second)
    tail = sum(math.comb(n, k) for k in range(low + 1)) / 2**n
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail), abs=1e-12)


@given(st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=40))
def test_correction_is_benjamini_and_yekutielis(p_values: list[float]) -> None:
    """By their definition: p_(i) m c(m) / i with c(m) = sum 1/k, made monotone from the largest down, at most 1."""
    count = len(p_values)
    factor = sum(1 / k for k in range(1, count + 1))
    order = sorted(range(count), key=lambda index: p_values[index])
    expected, smallest = [0.0] * count, 1.0
    for rank in range(count, 0, -1):
        smallest = min(smallest, p_values[order[rank - 1]] * count * factor / rank)
        expected[order[rank - 1]] = smallest
    assert corrected(p_values) == pytest.approx(expected)


def test_no_tests_need_no_correction() -> None:
    assert corrected([]) == []


@pytest.mark.parametrize(("only_first", "only_second", "count"), [(19, 4, 100), (30, 20, 200), (8, 1, 300)])
def test_so_many_images_separate_two_entries_with_80_percent_power(
    only_first: int, only_second: int, count: int
) -> None:
    """Simulated: with that many images McNemar's asymptotic test rejects in 80 % of samples, within what 2,000 show."""
    needed = images_to_separate(only_first, only_second, count)
    assert needed is not None
    rng = np.random.default_rng(0)
    shares = [only_first / count, only_second / count]
    first, second, _ = rng.multinomial(needed, [*shares, 1 - sum(shares)], 2000).T
    rejected = np.abs(first - second) / np.sqrt(np.maximum(first + second, 1)) > 1.959964
    assert rejected.mean() == pytest.approx(0.8, abs=0.04)


def test_entries_without_a_difference_cannot_be_separated() -> None:
    assert images_to_separate(5, 5, 100) is None
    assert images_to_separate(0, 0, 100) is None


def test_bootstrap_interval_covers_the_mean_and_is_near_the_t_interval() -> None:
    values = np.random.default_rng(1).gamma(2.0, size=400)
    low, high = bootstrap_mean(values)
    half = 1.966 * values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)
    assert bootstrap_mean(values) == (low, high)
    assert bootstrap_mean([0.5] * 10) == (0.5, 0.5)


def test_calibration_error_by_hand() -> None:
    """Bins of width 1/2: {0.4: wrong, 0.5: right} -> |1 - 0.9| / 4; {0.9, 0.8: one right} -> |1 - 1.7| / 4."""
    assert expected_calibration_error([0.4, 0.5, 0.9, 0.8], [0, 1, 1, 0], bins=2) == pytest.approx(0.1 / 4 + 0.7 / 4)
    assert expected_calibration_error([1.0, 1.0], [1, 1]) == 0
    assert expected_calibration_error([1.0, 1.0], [0, 0]) == 1


def test_an_empty_sample_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least one"):
        wilson(0, 0)


@given(st.integers(0, 60), st.integers(60, 400), st.floats(0.02, 0.98))
def test_shares_are_tested_by_the_exact_binomial(hits: int, count: int, margin: float) -> None:
    below, above = share_below(hits, count, margin)
    assert below == pytest.approx(binom.cdf(hits, count, margin), rel=1e-6)
    assert above == pytest.approx(binom.sf(hits - 1, count, margin), rel=1e-6)


def test_the_paired_test_is_exhaustive_for_few_images() -> None:
    """Three differences that are not zero: eight exchanges, one of them as large as what is observed."""
    mean, greater, less = paired_difference([1.0, 0.5, 0.25, 0.3], [0.0, 0.0, 0.0, 0.3])
    assert mean == pytest.approx(1.75 / 4)
    assert greater == pytest.approx(1 / 8)
    assert less == pytest.approx(1.0)
    assert paired_difference([0.2, 0.7], [0.2, 0.7]) == (0.0, 1.0, 1.0)


def test_the_paired_test_keeps_its_level_and_is_symmetric() -> None:
    rng = np.random.default_rng(3)
    rejected = 0
    for _ in range(200):
        first, second = rng.random((2, 80))
        _, greater, less = paired_difference(first, second)
        _, back_greater, back_less = paired_difference(second, first)
        assert (greater, less) == pytest.approx((back_less, back_greater), abs=0.05)
        rejected += greater < 0.05
    assert rejected <= binom.ppf(0.999, 200, 0.05)


def _crossed_outcomes(rng: np.random.Generator, of_training: float, shift: float = 0.0) -> np.ndarray:
    """(3, 100) survivals: an image's and a training's normal effect, and a threshold of a normal rest."""
    images, trainings = rng.normal(size=100), of_training * rng.normal(size=3)
    return shift + images[None] + trainings[:, None] + 0.5 * rng.normal(size=(3, 100)) > 0


def _share_of(of_training: float, shift: float) -> float:
    return float(norm.cdf(shift / math.sqrt(1 + of_training**2 + 0.25)))


@pytest.mark.parametrize("of_training", [0.0, 0.3, 1.0])
def test_intervals_over_trainings_hold_their_level(of_training: float) -> None:
    """Those of one training, or of all images as if they were independent, do not where trainings differ."""
    rng, true = np.random.default_rng(0), _share_of(of_training, 0.4)
    found = [over_trainings(_crossed_outcomes(rng, of_training, 0.4)) for _ in range(600)]
    covered = np.mean([one.low <= true <= one.high for one in found])
    assert covered > 0.92
    if of_training == 1.0:
        pooled = [wilson(round(300 * one.mean), 300) for one in found]
        assert np.mean([low <= true <= high for low, high in pooled]) < 0.6


@pytest.mark.parametrize("of_training", [0.0, 0.5])
def test_kinds_that_do_not_differ_are_rarely_told_apart(of_training: float) -> None:
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(600):
        images = rng.normal(size=100)
        first, second = (
            images[None] + of_training * rng.normal(size=(3, 1)) + 0.5 * rng.normal(size=(3, 100)) > 0 for _ in range(2)
        )
        p_values.append(difference_over_trainings(first, second).p)
    assert np.mean(np.array(p_values) < 0.05) < 0.08


def test_the_test_over_trainings_has_its_level_far_out_where_many_are_corrected() -> None:
    """Too many calls and too few are both wrong: by the mean of Student's quantiles a tenth as many were made."""
    rng, rejected, level, count = np.random.default_rng(3), 0, 0.005, 4000
    for _ in range(count):
        images = rng.normal(size=100)
        first, second = (
            images + 0.05 * rng.normal(size=(3, 1)) + 0.5 * rng.normal(size=100) + 0.1 * rng.normal(size=(3, 100))
            for _ in range(2)
        )
        rejected += difference_over_trainings(first, second).p < level
    assert binom.ppf(1e-4, count, level) <= rejected <= binom.ppf(1 - 1e-4, count, 1.5 * level)


def test_kinds_that_differ_are_told_apart_by_the_images_that_they_share() -> None:
    rng = np.random.default_rng(2)
    images = rng.normal(size=100)
    first, second = (shift + images[None] + 0.1 * rng.normal(size=(3, 100)) > 0 for shift in (0.5, 0.0))
    found = difference_over_trainings(first, second)
    assert found.low > 0
    assert found.p < 0.01
    turned = difference_over_trainings(second, first)
    assert found == pytest.approx(Estimate(-turned.mean, -turned.high, -turned.low, turned.p))
    # no more is certain of either alone: what images add to both cancels in their difference
    assert found.high - found.low < over_trainings(first).high - over_trainings(first).low


def test_trainings_that_agree_have_the_interval_of_their_images() -> None:
    """The rest is then zero, and what is left the t-interval over images."""
    right = np.tile(np.arange(50) % 5 > 0, (4, 1))
    found = over_trainings(right)
    interval = ttest_1samp(right[0].astype(float), 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert over_trainings(np.ones((3, 10))) == (1.0, 1.0, 1.0, 0.0)
    assert difference_over_trainings(right, right).p == 1.0


def test_one_training_has_no_interval_over_trainings() -> None:
    with pytest.raises(ValueError, match="two trainings"):
        over_trainings(np.ones((1, 10)))
    with pytest.raises(ValueError, match="same images"):
        difference_over_trainings(np.eye(3), np.ones((3, 4)))
