"""What a run says while it goes on."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Sequence

import pytest
from rich.console import Console

from benchmark.attacks.spec import AttackSpec
from benchmark.evaluation.forecast import Forecast, Pace
from benchmark.evaluation.outlook import Outlook
from benchmark.papers.robustness_of_bayesian_approach.suite import PAPER_SUITE
from benchmark.plan.cells import Cell, Selection, Subject
from benchmark.plan.suites import SUITES
from benchmark.plan.survival import Expected
from benchmark.protocol import standard_attack
from benchmark.records.record import Record
from benchmark.reports import console
from benchmark.reports.progress import Progress
from tests.benchmark.synthetic import Clock, measured

SMALL, LARGE = (Subject(f"mnist/{name}", "mnist", 10_000, True) for name in ("small", "large"))
PACES = {"mnist/small": Pace(0.0, 1e-4), "mnist/large": Pace(0.0, 9e-4)}
LONG = "mnist/my_package.models.deep:bayesian_resnet_factory"


def finished(cell: Cell, seconds: float) -> Record:
    return measured(cell, seconds, 0.0)


def test_a_long_run_says_what_is_left_entry_by_entry(capsys: pytest.CaptureFixture[str]) -> None:
    """Shares of the time by what the attacks compute and what a pass takes; time left by what was measured."""
    cells = PAPER_SUITE.cells([SMALL, LARGE], Selection(examples=1000, libraries=("foolbox",)))
    small, large = ([cell for cell in cells if cell.model == subject.model] for subject in (SMALL, LARGE))
    clock, reckoned = Clock(), Forecast(PACES)
    with Progress("paper", Outlook(Forecast(PACES), clock=clock)) as progress:
        progress.begin(cells, cells)
        for cell in small:
            progress.start(cell)
            clock.now += 2 * reckoned.seconds(cell)
            progress.finish(cell, finished(cell, 2 * reckoned.seconds(cell)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "mnist/small: 760 of 760 cells to do, 11 % of the time"
    assert lines[1].strip() == "mnist/large: 760 of 760 cells to do, 89 % of the time"
    hours, minutes = map(int, re.findall(r"(\d+) (?:h|min)", lines[-1]))
    assert 60 * hours + minutes == pytest.approx(2 * sum(reckoned.seconds(cell) for cell in large) / 60, rel=0.1)
    with Progress("paper", Outlook(Forecast(PACES))) as progress:
        progress.begin(cells, large[:1])
    assert "1519 of 1520 cells are stored already" in capsys.readouterr().out


def test_the_second_phase_is_counted_apart_until_it_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    cells = SUITES["adaptive"].cells([SMALL], Selection(examples=20))
    following = [Expected(cell, 1.0) for cell in cells[:3]]
    with Progress("adaptive", Outlook(Forecast(PACES), follow_up=lambda _: following)) as progress:
        progress.begin(cells[5:7], cells[5:7])
        progress.start(cells[5])
        progress.finish(cells[5], finished(cells[5], 0.1))
        progress.settle()
        progress.begin(cells[:2], cells[:2])
        progress.start(cells[0])
        progress.finish(cells[0], finished(cells[0], 0.1))
    said = [line.split("]")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert said == ["[1/2+~3", "[2/4"]


def test_a_cell_of_another_process_is_said_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    cells = SUITES["smoke"].cells([SMALL], Selection())
    with Progress("smoke", Outlook(Forecast(PACES))) as progress:
        progress.begin(cells, cells)
        for cell in cells:
            progress.finish(cell)
    lines = capsys.readouterr().out.splitlines()
    assert all("stored by another process" in line for line in lines[-len(cells) :])
    assert lines[-1].endswith("stored by another process")  # nothing is left, and nothing is said of it


def shown(monkeypatch: pytest.MonkeyPatch, width: int, cells: Sequence[Cell]) -> str:
    """The bar as a terminal of that width shows it while the cells run."""
    terminal = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    monkeypatch.setattr(console, "console", terminal)
    later = dataclasses.replace(cells[0], attack=standard_attack("pgd-l2", 2.0))
    progress = Progress(
        "whitebox", Outlook(Forecast({LONG: Pace(0.0, 0.2)}), follow_up=lambda _: [Expected(later, 60)])
    )
    progress.begin(cells, cells)
    progress.start(cells[0])
    terminal.file = io.StringIO()
    terminal.print(progress.bar.get_renderable())
    return terminal.file.getvalue().rstrip("\n")


@pytest.mark.parametrize("width", [60, 72, 80, 100, 200])
def test_in_a_narrow_terminal_the_label_is_cut_and_not_the_time(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    attack: AttackSpec = standard_attack("pgd-l2", 1.0)
    cells = [Cell(LONG, "mnist", attack, start, start + 10) for start in range(0, 840, 10)]
    line = shown(monkeypatch, width, cells)
    assert len(line) <= width
    assert "\n" not in line
    assert "whitebox" in line
    assert "0/84+~60" in line
    assert " h " in line.split(" left")[0]
    assert line.split(" left")[0].endswith(" min")
    assert ("…" in line) == (width < 140)
    assert (cells[0].label in line) == (width >= 140)
