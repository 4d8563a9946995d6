"""What a network shows without an attack, and the libraries on a linear model: evidence for V3, V4, V5, V14 and V17.

Is it a deterministic function, are its outputs what they should be, has it gradients, do other draws agree on them?
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.evaluation.closed_form import Gap
from benchmark.records.parts import Health
from zoo.prediction.expected import ExpectedPrediction

# Of a log-probability, relative to the largest. Between batches of other sizes the zoo's MNIST networks differ by 2e-7
# to 5e-7, deep networks between threads and processors by up to 1e-5 (`zoo.catalogue.behaviour`); what draws anew at
# every pass differs by 0.09 to 0.65 (`benchmark.selftest`).
ROUNDING = 1e-4
NEARLY_ALL = 0.99
SEVERAL = 10  # images


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
    differences = torch.stack([(again - output).abs().amax(1) for again in evaluations]).nan_to_num(1e30, 1e30).amax(0)
    may = rounding(output, logits)  # (B,)
    worst = (differences / may).argmax()
    flat = gradient.flatten(1)
    finite = flat.isfinite().all(1)
    largest = logits.amax(-1) - logits.amin(-1)  # (S, B)
    distribution = (logits >= 0).all(-1) & ((logits.sum(-1) - 1).abs() <= 1e-4)  # (S, B)
    return Health(
        images=len(x),
        repeat=_largest(differences[worst]),
        normalisation=_largest(output.logsumexp(1).abs()),
        probabilities=int(distribution.all(0).sum()),
        dead=int((flat == 0).all(1).sum()),
        undefined=int((~finite).sum()),
        cosine=None if independent is None else _cosine(flat, independent.value_and_gradient(x, y)[1].flatten(1)),
        shortfall={f"{gap.library} {gap.attack}": float(f"{max(0.0, gap.shortfall):.2g}") for gap in gaps},
        missed=[f"{gap.library} {gap.attack}" for gap in gaps if not gap.reached],
        rounding=_largest(may[worst]),
        vertices=min(vertices(one) for one in logits),
        spread=_largest(largest),
    )


def rounding(log_p: Tensor, logits: Tensor) -> Tensor:
    """(B,) what rounding may make of log-probabilities (B, K) that are made of logits (S, B, K).

    A part of the largest log-probability, because that is what sums over pixels and layers leave. What they leave of
    logits that lie far from zero is more: float32 has steps of a hundredth at 100,000.
    """
    steps = 8 * torch.finfo(torch.float32).eps * logits.nan_to_num().abs().amax((0, 2))
    return ROUNDING * log_p.nan_to_num().abs().amax(1).clamp_min(1) + steps


def vertices(outputs: Tensor) -> int:
    """Of outputs (B, K) on how many images one class has all that there is, as of probabilities times a and plus b_k.

    Such outputs add up to the same on every image, which centred logits do, too. But then the class k is never below
    b_k, so that it gets the share (output - b_k) / a of what is given away; a network that is sure gives all of it to
    one class, while logits have no largest value at which they stay. 0 where the sum varies, or where the images are
    too few to know the least output of every class.
    """
    outputs = outputs.double()
    total, least = outputs.sum(1), outputs.amin(0)
    given = total.mean() - least.sum()
    rounded = 1e-4 * given + 8 * torch.finfo(torch.float32).eps * outputs.abs().sum(1).amax()
    constant = total.amax() - total.amin() <= rounded
    if len(outputs) < SEVERAL or not constant or given <= 1e-6 * outputs.abs().amax():
        return 0
    return int(((outputs - least) / given > NEARLY_ALL).any(1).sum())


def _cosine(first: Tensor, second: Tensor) -> float:
    """Median over images; a gradient that is zero or undefined points nowhere: 0."""
    first, second = first.double(), second.double()
    products = first.mul(second).sum(1) / (first.norm(dim=1) * second.norm(dim=1))
    return float(f"{products.nan_to_num(0.0, 0.0, 0.0).median():.3f}")


def _largest(values: Tensor) -> float:
    """The largest; 1e30 for what is no number, which JSON cannot hold."""
    return float(f"{values.nan_to_num(1e30, 1e30).amax():.2g}")
