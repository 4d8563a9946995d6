"""What a run says while it goes on."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark import console
from benchmark.cells import Selection, Subject
from benchmark.console import Progress
from benchmark.suites import SUITES
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


def test_a_long_run_says_what_is_left_entry_by_entry(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shares of the time by passes and by the cost of a pass; time left from what was done, in the same measure."""
    subjects = [
        Subject("mnist/small", "mnist", 10_000, True, cost=1),
        Subject("mnist/large", "mnist", 10_000, True, cost=9),
    ]
    cells = SUITES["paper"].cells(subjects, Selection(examples=100))
    small, large = ([cell for cell in cells if cell.model == subject.model] for subject in subjects)
    now = 1000.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    with Progress("paper", cells, cells, {subject.model: subject.cost for subject in subjects}) as progress:
        for cell in small:
            progress.start(cell)
            now += 1.0
            progress.finish(cell)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "mnist/small: 76 of 76 cells to do, 10 % of the time"
    assert lines[1].strip() == "mnist/large: 76 of 76 cells to do, 90 % of the time"
    assert lines[-1].endswith("1.0 s, 11 min 24 s left")  # nine times the 76 s that the small one took
    with Progress("paper", cells, large[:1], {}):
        pass
    assert "151 of 152 cells are stored already" in capsys.readouterr().out
