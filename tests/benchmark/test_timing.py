"""How durations are said."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.timing import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (303, "5 min 3 s"),
        (3599.7, "1 h 0 min"),
        (8040, "2 h 14 min"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e6))
def test_durations_are_never_off_by_more_than_what_they_leave_out(seconds: float) -> None:
    parts = {unit: int(count) for count, unit in re.findall(r"(\d+) (h|min|s)", duration(seconds))}
    said = 3600 * parts.get("h", 0) + 60 * parts.get("min", 0) + parts.get("s", 0)
    assert -0.5 <= seconds - said < (60 if "h" in parts else 0.5 + 1e-6)
