"""How many processes a run takes: what is measured of the network decides, and records are the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from benchmark.evaluation import placing
from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.forecast import Forecast, Pace
from benchmark.evaluation.machine import Machine
from benchmark.evaluation.placing import SHORT, chosen_workers, gain_of_threads
from benchmark.plan.cells import Cell, Selection, Subject
from benchmark.plan.suites import SUITES
from benchmark.protocol import standard_attack
from benchmark.records.store import Store
from zoo import ZooEntry

SUBJECT = Subject("mnist/lenet", "mnist", 10_000, deterministic=True)
CELLS = SUITES["whitebox"].cells([SUBJECT], Selection())


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The choice on a machine of four cores, from a work's seconds with one thread and what threads gain."""

    def chosen(seconds: float, gain: float, device: str = "cpu", cores: int = 4) -> int:
        of_each = Pace(0.0, 1e-4)
        total = sum(Forecast({SUBJECT.model: of_each}, []).seconds(cell) for cell in CELLS)
        monkeypatch.setattr(placing, "forecast_for", lambda *_: Forecast({SUBJECT.model: of_each}, []))
        monkeypatch.setattr(placing, "gain_of_threads", lambda *_: gain)
        monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
        evaluator = Evaluator()
        evaluator.machine = Machine(device)
        with Store(None) as store:
            workers, _ = chosen_workers([SUBJECT], CELLS, evaluator, store, lambda _: seconds - total)
            return workers

    return chosen


def test_processes_are_taken_where_threads_gain_less(choose: Callable[..., int]) -> None:
    assert choose(600, gain=1.5) == 4
    assert choose(600, gain=3.9) == 1  # nearly as fast as four, and no process has to be started


def test_short_work_stays_in_this_process(choose: Callable[..., int]) -> None:
    assert choose(SHORT - 1, gain=1.0) == 1
    assert choose(10 * SHORT, gain=1.0) == 4


def test_there_is_nothing_to_choose_on_one_core_or_a_gpu(choose: Callable[..., int]) -> None:
    assert choose(600, gain=1.0, cores=1) == 1
    assert choose(600, gain=1.0, device="cuda") == 1


def test_the_gain_is_measured_and_leaves_the_threads_as_they_were(small_entry: ZooEntry) -> None:
    cell = Cell(small_entry.name, "mnist", standard_attack("fgsm", 0.1), 0, 20)
    before = torch.get_num_threads()
    assert gain_of_threads([cell], Evaluator(entries={small_entry.name: small_entry}), 2) >= 1
    assert torch.get_num_threads() == before


def test_what_takes_one_thread_gains_nothing(small_entry: ZooEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients twice as fast: twice where they are all, and not at all where libraries take the time."""
    cell = Cell(small_entry.name, "mnist", standard_attack("pgd-linf", 0.1), 0, 100)
    for image, least, most in ((1.0, 1.99, 2.0), (1e-9, 1.0, 1.01)):
        paces = iter([Pace(0.0, image), Pace(0.0, image / 2)])
        monkeypatch.setattr(placing, "measured_pace", lambda *_, paces=paces: next(paces))
        assert least <= gain_of_threads([cell], Evaluator(), 2) <= most
