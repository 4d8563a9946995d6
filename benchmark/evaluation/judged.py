"""Images as they are judged: under the judge's draws and the attacker's own, the same images once."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.attacks.craft import Crafted
from benchmark.attacks.memo import ImageMemo
from benchmark.evaluation.judge import Judged, distance, judge, violations
from benchmark.plan.cells import Cell
from benchmark.records.record import Outcome
from benchmark.timing import Timing
from zoo.prediction.expected import ExpectedPrediction


class JudgedImages:
    """The outcome under the judge and under the attacker's own draws; the same images are judged once."""

    def __init__(self, own: ExpectedPrediction, fresh: ExpectedPrediction, y: Tensor, timing: Timing) -> None:
        self._own, self._fresh, self._y, self._timing = own, fresh, y, timing
        self._known = ImageMemo[tuple[Judged, Judged]]()

    def __call__(self, images: Tensor) -> tuple[Judged, Judged]:
        with self._timing.measuring("judge"):
            return self._known(images, lambda: (judge(self._fresh, images, self._y), judge(self._own, images, self._y)))


def judge_crafted(
    cell: Cell,
    crafted: Crafted,
    judged: JudgedImages,
    x: Tensor,
    examples: list[int],
) -> tuple[Tensor, Outcome]:
    """The images that count and their outcome; an image outside budget or box is replaced by the original."""
    bad = violations(x, crafted.images, cell.attack.threat)
    images = torch.where(bad.view(-1, *[1] * (x.ndim - 1)), x, crafted.images)
    outcome = outcome_of(
        *judged(images),
        distance=[float(f"{d:.4g}") for d in distance(x, images, cell.attack.threat).tolist()],
        violations=[example for example, is_bad in zip(examples, bad.tolist(), strict=True) if is_bad],
        forwards=crafted.forwards,
        backwards=crafted.backwards,
        seconds=round(crafted.seconds, 3),
    )
    return images, outcome


def outcome_of(judged: Judged, own: Judged, **measured: object) -> Outcome:
    """judged, own: of the judge's and of the attacker's draws. measured: what else is known of the images."""
    return Outcome(
        correct=judged.correct,
        correct_attacker=own.correct,
        predicted=judged.predicted,
        log_p=judged.log_p,
        entropy=judged.entropy,
        confidence=judged.confidence,
        mutual_information=judged.mutual_information,
        **measured,  # type: ignore[arg-type]
    )
