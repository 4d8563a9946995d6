"""The predictions that cells attack and are judged by, kept from one cell to the next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import NamedTuple

from benchmark.evaluation.machine import Machine
from benchmark.plan.cells import Cell, Reading
from benchmark.plan.purposes import Purpose, draws_seed
from zoo import ZooEntry
from zoo.kind import Kind
from zoo.prediction.expected import ExpectedPrediction
from zoo.targets import Gradient

KEPT_BYTES = 2 << 30  # of weights in predictors that are kept for later cells; 64 draws of AlexNet have half a gigabyte


class PredictorKey(NamedTuple):
    """Which draws of which entry, and which gradient of their prediction. half: of the members, where it is of one."""

    entry: str
    purpose: Purpose
    draws: int
    seed: int
    gradient: Gradient
    half: int | None


class Predictors(OrderedDict[PredictorKey, ExpectedPrediction]):
    """Predictors in the order in which they were used last."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine

    def of(self, entry: ZooEntry, purpose: Purpose, cell: Cell, gradient: Gradient = Gradient()) -> ExpectedPrediction:
        """The entry's prediction over the draws of a purpose."""
        key = self._key(entry, purpose, cell, gradient)
        if key not in self:
            self[key] = self._built(entry, key)
        self.move_to_end(key)
        return self[key]

    def new(self, entry: ZooEntry, purpose: Purpose, cell: Cell, most: int | None = None) -> ExpectedPrediction:
        """The same, built anew, whatever is kept: it has seen no image of an attack.

        most: draws that are enough, where any number can be drawn.
        """
        key = self._key(entry, purpose, cell, Gradient())
        fewer = cell.kind is Kind.CONTINUOUS
        return self._built(entry, key._replace(draws=min(key.draws, most or key.draws)) if fewer else key)

    def _built(self, entry: ZooEntry, key: PredictorKey) -> ExpectedPrediction:
        seed, machine = draws_seed(entry.name, key.purpose, key.seed), self._machine
        return entry.predictor(key.draws, seed, key.gradient, machine.device, machine.stack, key.half)

    def _key(self, entry: ZooEntry, purpose: Purpose, cell: Cell, gradient: Gradient) -> PredictorKey:
        judges = purpose in ("judge", "other judge")
        draws = cell.judge_draws if judges else cell.attack_draws
        # a transfer's source is attacked through all that it has
        half = _half(cell, judges) if entry.name == cell.model else None
        return PredictorKey(entry.name, purpose, draws, cell.seed, gradient, half)

    def forget(self, used: Collection[int]) -> list[ExpectedPrediction]:
        """Give up those that were not used for longest until the rest fits; those that are gone.

        used: ids of a cell's own, which stay whatever their size: the next cell would have to draw them again.
        """
        sizes = {key: _bytes(prediction) for key, prediction in self.items()}
        others = [key for key, prediction in self.items() if id(prediction) not in used]
        gone = []
        while others and sum(sizes.values()) > KEPT_BYTES:
            oldest = others.pop(0)
            del sizes[oldest]
            gone.append(self.pop(oldest))
        return gone


def _half(cell: Cell, judges: bool) -> int | None:
    """Which half of the members judges, or attacks; None where all do."""
    if cell.reading is Reading.SAMPLE:
        return int(judges)
    return int(not judges) if cell.reading is Reading.OTHER_JUDGE and cell.kind is Kind.FINITE else None


def _bytes(prediction: ExpectedPrediction) -> int:
    return sum(value.numel() * value.element_size() for value in prediction.parameters())
