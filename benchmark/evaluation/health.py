"""What a network shows without an attack, and the libraries on a linear model: evidence for V3, V4, V5, V14 and V17.

Is it a deterministic function, are its outputs what they should be, has it gradients, do other draws agree on them?
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.evaluation.closed_form import Gap
from benchmark.records.record import Health
from zoo.prediction.expected import ExpectedPrediction


def examine(
    attacked: ExpectedPrediction, independent: ExpectedPrediction | None, x: Tensor, y: Tensor, gaps: list[Gap]
) -> Health:
    """Health on images x (B, C, H, W) with labels y (B,). independent: as many other draws; None for one network.

    gaps: of the libraries on a linear model.
    """
    with torch.no_grad():
        output = attacked(x)
        evaluations = [attacked.train()(x), attacked.eval()(x)]
        logits = torch.cat([attacked.logits(part) for part in x.split(attacked.chunk_size(x))], 1)  # (S, B, K)
    with_gradient, gradient = attacked.value_and_gradient(x, y)
    evaluations.append(with_gradient)  # a network may notice that it is asked for one
    flat = gradient.flatten(1)
    finite = flat.isfinite().all(1)
    distribution = (logits >= 0).all(-1) & ((logits.sum(-1) - 1).abs() <= 1e-4)  # (S, B)
    return Health(
        images=len(x),
        repeat=_largest(torch.stack([(again - output).abs().amax() for again in evaluations])),
        normalisation=_largest(output.logsumexp(1).abs()),
        probabilities=int(distribution.all(0).sum()),
        dead=int((flat == 0).all(1).sum()),
        undefined=int((~finite).sum()),
        cosine=None if independent is None else _cosine(flat, independent.value_and_gradient(x, y)[1].flatten(1)),
        shortfall={f"{gap.library} {gap.attack}": float(f"{max(0.0, gap.shortfall):.2g}") for gap in gaps},
        missed=[f"{gap.library} {gap.attack}" for gap in gaps if not gap.reached],
    )


def _cosine(first: Tensor, second: Tensor) -> float:
    """Median over images; a gradient that is zero or undefined points nowhere: 0."""
    first, second = first.double(), second.double()
    products = first.mul(second).sum(1) / (first.norm(dim=1) * second.norm(dim=1))
    return float(f"{products.nan_to_num(0.0, 0.0, 0.0).median():.3f}")


def _largest(values: Tensor) -> float:
    """The largest; 1e30 for what is no number, which JSON cannot hold."""
    return float(f"{values.nan_to_num(1e30, 1e30).amax():.2g}")
