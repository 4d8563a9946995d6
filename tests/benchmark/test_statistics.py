"""Intervals, paired tests, ranks and calibration against formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from benchmark.statistics import (
    expected_calibration_error,
    mcnemar,
    paired_difference,
    share_below,
    shared_ranks,
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


intervals = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda ab: (min(ab), max(ab))), max_size=8)


@given(intervals)
def test_ranks_are_shared_exactly_where_intervals_overlap_the_best(found: list[tuple[float, float]]) -> None:
    for (_, high), rank in zip(found, shared_ranks(found), strict=True):
        assert rank == 1 + len([low for low, _ in found if low > high])


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
