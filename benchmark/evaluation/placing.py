"""How a run's cells share the cores: several processes with a thread each, or one with every thread. By measurement.

The records are the same but for rounding (`benchmark.evaluation.executors`), so that nothing but time is chosen here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from benchmark.evaluation.forecast import Forecast
from benchmark.evaluation.probe import forecast_for, measured_pace, with_threads
from benchmark.plan.cells import Cell, Subject

if TYPE_CHECKING:
    from benchmark.evaluation.evaluator import Evaluator
    from benchmark.records.store import Store

SHORT = 30.0  # seconds of work that are not worth the start of processes, which import torch anew
_START = 6.0  # seconds until a process works
_IN_TURN = 0.8  # share of several processes' time in which all of them have a cell: phases end with a long one


def chosen_workers(
    subjects: Sequence[Subject],
    waiting: Sequence[Cell],
    evaluator: Evaluator,
    store: Store,
    later: Callable[[Forecast], float],
) -> tuple[int, Forecast]:
    """How many processes finish first, 1 or as many as torch has threads; and the forecast of cells there.

    waiting: the cells that are known. later: the seconds of those that are likely to follow.
    """
    cores = torch.get_num_threads()
    if cores > 1 and waiting and evaluator.machine.device == "cpu":
        forecast = forecast_for(subjects, waiting, evaluator, 1, store)
        seconds = [forecast.seconds(cell) for cell in waiting]
        total = sum(seconds) + later(forecast)
        apart = _START + total / (1 + _IN_TURN * (cores - 1))
        if total >= SHORT and apart < total / gain_of_threads(_costliest(waiting, seconds), evaluator, cores):
            return cores, forecast
    return 1, forecast_for(subjects, waiting, evaluator, cores, store)


def gain_of_threads(cells: Sequence[Cell], evaluator: Evaluator, threads: int) -> float:
    """How many times faster cells of one network are with so many threads than with one; 1 if it fails.

    Not its gradients alone: what libraries do between them takes one thread.
    """
    seconds = []
    for count in (1, threads):
        with with_threads(count):
            pace = measured_pace(cells[0], evaluator)
        if pace is None:
            return 1.0
        seconds.append(sum(map(Forecast({cells[0].model: pace}).seconds, cells)))
    return max(1.0, seconds[0] / seconds[1])


def _costliest(waiting: Sequence[Cell], seconds: Sequence[float]) -> list[Cell]:
    """The cells of the entry that takes most of the time."""
    by_model: dict[str, float] = defaultdict(float)
    for cell, of_cell in zip(waiting, seconds, strict=True):
        by_model[cell.model] += of_cell
    costliest = max(by_model, key=lambda model: by_model[model])
    return [cell for cell in waiting if cell.model == costliest]
