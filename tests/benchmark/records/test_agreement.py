"""Agreement levels at their thresholds, and that shards add up."""

from __future__ import annotations

import pytest
import torch

from benchmark.records.agreement import Comparison, compare_libraries, meets, merged, weakest


def comparison(close: int = 0, only_first: int = 0, only_second: int = 0, examples: int = 100) -> Comparison:
    return Comparison(
        "a", "b", 1000, close, 0.5, examples, tuple(range(only_first)), tuple(range(50, 50 + only_second))
    )


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (comparison(close=1000), "identical"),
        (comparison(close=999), "identical"),
        (comparison(close=998), "same-verdict"),
        (comparison(only_first=1, only_second=1), "same-verdict"),
        (comparison(only_first=2, only_second=1), "statistical"),  # 3 of 100 differ, McNemar p = 1
        (comparison(only_first=7), "statistical"),  # p = 2 / 2^7 = 0.0156
        (comparison(only_first=8), "disagree"),  # p = 2 / 2^8 = 0.0078
        (comparison(only_first=9, only_second=9), "statistical"),
    ],
)
def test_levels(found: Comparison, level: str) -> None:
    assert found.level == level


def test_counts_are_those_of_the_images() -> None:
    a = torch.zeros(3, 1, 2, 2)
    b = a.clone()
    b[0, 0, 0, 0], b[1, 0, 0, 0] = 2e-6, 0.25
    (pair,) = compare_libraries({"a": a, "b": b}, {"a": [True, True, False], "b": [True, False, True]}, [10, 20, 30])
    assert (pair.pixels, pair.close, pair.max_difference, pair.examples) == (12, 10, 0.25, 3)
    assert (pair.only_first, pair.only_second) == ((20,), (30,))
    assert len(compare_libraries(dict.fromkeys("abc", a), dict.fromkeys("abc", [True] * 3), [1, 2, 3])) == 3


def test_shards_add_up() -> None:
    total = merged([comparison(close=1000), comparison(close=500, only_first=3)])
    assert (total.pixels, total.close, total.examples, len(total.only_first)) == (2000, 1500, 200, 3)
    assert total.level == "same-verdict"


def test_order_of_levels() -> None:
    assert weakest(["identical", "statistical", "same-verdict"]) == "statistical"
    assert weakest([]) == "identical"
    assert meets("identical", "same-verdict")
    assert not meets("statistical", "same-verdict")
