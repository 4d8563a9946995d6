"""What the bench computes from what runs told; the runs themselves are nobody's to test."""

from __future__ import annotations

import pytest

from benchmark.bench.forecast import ByPasses, Run, Told, at, passes, rows, watched
from benchmark.plan.cells import Cell
from benchmark.protocol import LIBRARIES, standard_attack

TOLD = [Told(100.0, 20.0, None), Told(101.0, 19.0, 50.0), Told(105.0, 2.5, 10.0), Told(110.0, 0.0, 0.0)]


def test_what_was_told_is_compared_with_the_time_that_was_left() -> None:
    table = rows(TOLD)
    assert [row["of the run"] for row in table] == ["10 %", "25 %", "50 %", "75 %"]
    assert table[2] == {
        "of the run": "50 %",
        "left [s]": "5.0",
        "told [s]": "2.5",
        "told / true": "0.50",
        "passes x cost [s]": "10.0",
        "passes x cost / true": "2.00",
    }
    assert rows([Told(0.0, 1.0, None), Told(4.0, 0.0, None)])[0]["passes x cost / true"] == "–"


def test_between_two_moments_what_is_told_falls_evenly() -> None:
    assert at(TOLD, 103.0).forecast == pytest.approx((19.0 + 2.5) / 2)
    assert at(TOLD, 103.0).by_passes == 48.0
    assert at(TOLD, 100.5).by_passes is None
    assert at(TOLD, 110.0).forecast == 0.0


def test_the_old_reckoning_goes_by_the_speed_so_far() -> None:
    cells = [Cell("a", "mnist", standard_attack("bim", 0.1), start, start + 100, LIBRARIES, 1, 1) for start in (0, 100)]
    large = Cell("b", "mnist", standard_attack("bim", 0.1), 0, 100, LIBRARIES, 1, 1)
    old = ByPasses({"a": 1, "b": 8}, [*cells, large], began=10.0)
    assert old.left(11.0) is None
    old.finish(cells[0])
    assert old.left(12.0) == pytest.approx(2.0 * 9)
    assert passes(cells[0]) == 100 * (3 * 10 + 4 * 2)


def test_a_real_run_is_watched_to_its_end() -> None:
    from benchmark.reports import console

    before = console.console
    try:
        log = watched(Run("smoke", ("mnist/logistic",), 5))
    finally:
        console.console = before
    assert log[-1].forecast == 0
    assert log[-1].by_passes == 0
    assert all(told.forecast >= 0 for told in log)
    assert [told.now for told in log] == sorted(told.now for told in log)
