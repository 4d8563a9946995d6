"""Intervals, paired tests, ranks and calibration against formulas written out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.statistics import expected_calibration_error, mcnemar, shared_ranks, wilson


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
