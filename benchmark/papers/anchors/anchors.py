"""Published numbers, and ours beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.plan.cells import Reading
from benchmark.records.record import Record
from benchmark.results.frames import latest, surviving, tidy
from benchmark.results.share import Share

TUTORIAL = "PyTorch FGSM tutorial"
MADRY = "Madry et al. 2018"


@dataclass(frozen=True)
class Anchor:
    """value: published robust accuracy. attack, steps, eps: of the published attack. entry: ours to compare with it."""

    source: str
    value: float
    attack: str
    eps: float
    entry: str
    name: str = "fgsm"
    steps: int = 1


_TUTORIAL_CURVE = {0.05: 0.943, 0.1: 0.851, 0.15: 0.683, 0.2: 0.430, 0.25: 0.208, 0.3: 0.087}

ANCHORS: tuple[Anchor, ...] = (
    *(Anchor(TUTORIAL, value, "FGSM", eps, "mnist/lenet") for eps, value in _TUTORIAL_CURVE.items()),
    Anchor("undefended LeNet", 0.0, "PGD, 40 × 0.01", 0.3, "mnist/lenet", "pgd-linf", 40),
    Anchor(MADRY, 0.964, "FGSM", 0.3, "mnist/lenet-adversarial"),
    Anchor(MADRY, 0.925, "PGD-100; ours 40 × 0.01", 0.3, "mnist/lenet-adversarial", "pgd-linf", 40),
)


def compare_with_published(records: Sequence[Record]) -> list[tuple[Anchor, Share | None]]:
    """Each anchor with our share of surviving images, None where it was not measured. records: as in `Results`."""
    of_entries = [record for record in records if record.cell.model in {anchor.entry for anchor in ANCHORS}]
    return [(anchor, _measured(anchor, of_entries)) for anchor in ANCHORS]


def _measured(anchor: Anchor, records: Sequence[Record]) -> Share | None:
    matching = [
        record
        for record in records
        if record.cell.model == anchor.entry
        and (record.cell.attack.name, record.cell.attack.steps) == (anchor.name, anchor.steps)
        and record.cell.attack.threat.eps == anchor.eps
        and record.cell.reading is Reading.HEADLINE
        and record.complete
    ]
    if not matching:
        return None
    survived = surviving(latest(tidy(matching))).groupby("image")["correct"].all()
    return Share(int(survived.sum()), len(survived))
