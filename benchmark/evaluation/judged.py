"""Outcomes of images under the judge's draws and under the attacker's, computed once for the same images."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.attacks.craft import Crafted
from benchmark.attacks.memo import ImageMemo
from benchmark.evaluation.judge import Judged, distance, judge, violations
from benchmark.plan.cells import Cell
from benchmark.records.outcome import Outcome
from benchmark.timing import Timing
from zoo.prediction.expected import ExpectedPrediction

KNOWN_BYTES = 512 << 20  # of images whose outcomes are known: the clean ones, and those of all libraries in a few cells


class JudgedImages:
    """Outcomes under the judge's and under the attacker's draws; the same images are judged once."""

    def __init__(self, attacker: ExpectedPrediction, judge: ExpectedPrediction, y: Tensor, timing: Timing) -> None:
        self._attacker, self._judge, self._y, self._timing = attacker, judge, y, timing
        self._known = ImageMemo[tuple[Judged, Judged]](max_bytes=KNOWN_BYTES)

    def is_by(self, prediction: ExpectedPrediction) -> bool:
        """Whether a prediction is the judge's or the attacker's."""
        return prediction in (self._judge, self._attacker)

    def __call__(self, images: Tensor) -> tuple[Judged, Judged]:
        with self._timing.measuring("judge"):
            return self._known(images, lambda: self._both(images))

    def _both(self, images: Tensor) -> tuple[Judged, Judged]:
        by_judge = judge(self._judge, images, self._y)
        return by_judge, by_judge if self._attacker is self._judge else judge(self._attacker, images, self._y)


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


def outcome_of(by_judge: Judged, by_attacker: Judged, **measured: object) -> Outcome:
    """by_judge, by_attacker: under the draws of either. measured: the other fields of `Outcome`."""
    return Outcome(
        correct=by_judge.correct,
        correct_attacker=by_attacker.correct,
        predicted=by_judge.predicted,
        log_p=by_judge.log_p,
        entropy=by_judge.entropy,
        confidence=by_judge.confidence,
        mutual_information=by_judge.mutual_information,
        right_draws=by_judge.right_draws,
        majority=by_judge.majority,
        **measured,  # type: ignore[arg-type]
    )
