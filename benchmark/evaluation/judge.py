"""The outcome of an adversarial image: budget and box recomputed, the label decided by the judge's draws."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.attacks.balls import distances
from benchmark.attacks.spec import ThreatModel
from benchmark.protocol import BUDGET_TOLERANCE
from zoo.combine import answered, expected
from zoo.prediction.expected import ExpectedPrediction
from zoo.uncertainty import entropies


@dataclass(frozen=True)
class Judged:
    """Per example, under the judge: predicted label (B,), log p of the true label, entropy in nats, confidence.

    A label is right where it is likelier than every other one; of a tie with it, the other is predicted.
    mutual_information: of label and weights, in nats; empty for a network without draws.
    right_draws: how many of the judge's draws are right, each alone. majority: the label that most of them give, of a
        tie a wrong one; both empty for a network without draws.
    """

    predicted: list[int]
    correct: list[bool]
    log_p: list[float]
    entropy: list[float]
    confidence: list[float]
    mutual_information: list[float]
    right_draws: list[int]
    majority: list[int]


@torch.no_grad()
def judge(prediction: ExpectedPrediction, x: Tensor, y: Tensor) -> Judged:
    """Evaluate images (B, C, H, W) with labels (B,). Raises ValueError for a prediction that is no number."""
    parts = [prediction.logits(part) for part in x.split(prediction.chunk_size(x))]  # (S, b, K)
    log_p = torch.cat([expected(logits, prediction.weights) for logits in parts]).double()  # (B, K)
    if not (finite := log_p.isfinite().all(1)).all():
        raise ValueError(f"the network's output is NaN or infinite on {int((~finite).sum())} of {len(x)} images")
    p = log_p.exp()
    predicted, several = answered(log_p, y), prediction.draws > 1
    labels = answered(torch.cat(parts, 1).log_softmax(-1), y)  # (S, B)
    return Judged(
        predicted=predicted.tolist(),
        correct=(predicted == y).tolist(),
        log_p=_rounded(log_p.gather(1, y[:, None])[:, 0]),
        entropy=_rounded(-torch.special.xlogy(p, p).sum(1)),
        confidence=_rounded(p.amax(1)),
        mutual_information=_rounded(_mutual_information(parts, prediction.weights)) if several else [],
        right_draws=(labels == y).sum(0).tolist() if several else [],
        majority=answered(_votes(labels, log_p.shape[1]), y).tolist() if several else [],
    )


def _votes(labels: Tensor, classes: int) -> Tensor:
    """(B, K): how many of (S, B) labels are of each class."""
    return torch.nn.functional.one_hot(labels, classes).sum(0).double()


def _mutual_information(parts: list[Tensor], weights: Tensor | None) -> Tensor:
    return torch.cat([entropies(logits.log_softmax(-1), weights).mutual_information for logits in parts])


def distance(x: Tensor, x_adv: Tensor, threat: ThreatModel) -> Tensor:
    """(B,) distances in the threat model's norm, in float64."""
    return distances(x, x_adv, threat.norm)


def violations(x: Tensor, x_adv: Tensor, threat: ThreatModel) -> Tensor:
    """(B,) true where an image is outside the budget or the box, or is not a number."""
    outside = (x_adv < 0).flatten(1).any(1) | (x_adv > 1).flatten(1).any(1)
    too_far = distance(x, x_adv, threat) > threat.eps + BUDGET_TOLERANCE
    return outside | too_far | ~x_adv.isfinite().flatten(1).all(1)


def _rounded(values: Tensor) -> list[float]:
    """Four significant digits: more than any table shows, less than hardware rounding reaches."""
    return [float(f"{value:.4g}") for value in values.tolist()]
