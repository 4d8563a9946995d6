"""What a run's forecast begins with: how fast its networks are here, and what earlier runs on this machine measured."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from benchmark.evaluation.forecast import GRADIENT, Forecast, Pace, images
from benchmark.evaluation.machine import Machine
from benchmark.plan.cells import Cell, Subject
from benchmark.records.record import Record, device_name
from zoo import ZooEntry
from zoo.datasets import dataset_spec
from zoo.seeding import derive_seed, private_generator

if TYPE_CHECKING:
    from benchmark.evaluation.evaluator import Evaluator
    from benchmark.records.store import Store

EARLIER = 400  # records that are read for what they measured: half a second
_ENOUGH = 8  # records of an entry with which its network need not be measured
_SECONDS = 0.4  # that measuring a network may take
_FEW = 8  # images that it is measured with at least: with one, a call's own time cannot be told apart


def forecast_for(
    subjects: Sequence[Subject], waiting: Sequence[Cell], evaluator: Evaluator, threads: int, store: Store
) -> Forecast:
    """A forecast of cells that have not begun. threads: of each process that evaluates them."""
    first = {cell.model: cell for cell in reversed(waiting)}
    each = EARLIER // max(1, len(first))
    here = partial(_from_here, machine=evaluator.machine, threads=threads)
    earlier = [record for model in first for record in filter(here, store.recent(model, each))]
    records = Counter(record.cell.model for record in earlier)
    paces = {subject.model: Pace.by_cost(subject.cost) for subject in subjects}
    with with_threads(threads):
        for model, cell in first.items():
            if records[model] < _ENOUGH and (pace := measured_pace(cell, evaluator)) is not None:
                paces[model] = pace
    return Forecast(paces, earlier)


@contextlib.contextmanager
def with_threads(count: int) -> Iterator[None]:
    """So many threads of torch in the block, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measured_pace(cell: Cell, evaluator: Evaluator) -> Pace | None:
    """The pace of a cell's network: gradients of the expected prediction, of one image and of as many as it has.

    The images are noise, and fewer where a gradient of all would take long. None for a network that fails on them: the
    records of its cells will say how, and the run goes on as they do.
    """
    try:
        return _measured_pace(cell, evaluator.entry(cell.model), evaluator.machine)
    except Exception:  # whatever a user's network raises: its cells record it as an error, here it only has no pace
        return None


def _measured_pace(cell: Cell, entry: ZooEntry, machine: Machine) -> Pace:
    network = entry.predictor(cell.attack_draws, derive_seed("pace"), device=machine.device, stack=machine.stack)
    shape = dataset_spec(cell.dataset).shape
    x = torch.rand(images(cell), *shape, generator=private_generator("pace")).to(machine.device)
    y = torch.zeros(len(x), dtype=torch.long, device=machine.device)

    def seconds(count: int) -> float:
        began = time.perf_counter()
        _, gradient = network.value_and_gradient(x[:count], y[:count])
        gradient.sum().item()  # a GPU has only been told to compute
        return time.perf_counter() - began

    seconds(1)  # what is done once
    few = min(len(x), _FEW)
    seconds(few)
    count = min(len(x), max(few, round(_SECONDS / 4 * few / seconds(few))))  # of many an image takes longer
    rounds: list[tuple[float, float]] = []
    until = time.perf_counter() + _SECONDS
    while not rounds or time.perf_counter() < until:
        rounds.append((seconds(1), seconds(count)))
    # the mean: where others use the machine, too, cells are held up as often as these
    one, all_ = (statistics.fmean(times) for times in zip(*rounds, strict=True))
    passes = GRADIENT * network.draws
    image = all_ if count == 1 else max(all_ - one, one / 10) / (count - 1)
    return Pace(max(0.0, one - image), image / passes)


def _from_here(record: Record, machine: Machine, threads: int) -> bool:
    found = record.provenance
    return (found.get("device"), found.get("threads")) == (device_name(machine.device), threads)
