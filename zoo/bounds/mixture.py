"""How much of a lead the averaged softmax of frozen networks keeps, whatever image an attack chooses.

It speaks of the frozen judge: these S draws, or all members of a finite posterior with their weights. Of the limit of
infinitely many draws it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.bounds.chain import Method
from zoo.bounds.margins import MAX_BYTES, Networks, margins
from zoo.bounds.rows import Interval

LARGEST = 690.0  # its exponential, and the sum of many, are numbers in float64


def lead(differences: Interval, labels: Tensor) -> Tensor:
    """Bounds below p_y - p_j of the softmax from those of d_j = f_y - f_j, (..., B, K) each; 1 for y itself.

    With t_j = exp(-d_j) and T the sum of t_i over the classes i that are neither y nor j,

        p_y - p_j = (1 - t_j) / (1 + t_j + T),

    which falls with t_j, and with every t_i if t_j < 1, while it grows with them if t_j > 1. So its least value over
    the bounds, each d_i anywhere in its own, is at the lower bound of d_j, and of the others at their lower bounds if
    that is positive, at their upper bounds if not: exact for the bounds.
    """
    own = torch.zeros_like(differences.lower, dtype=torch.bool).scatter_(
        -1, labels.expand(differences.lower.shape[:-1])[..., None], True
    )
    large, small = ((-side).clamp(max=LARGEST).exp().masked_fill(own, 0.0) for side in differences)
    ahead = differences.lower >= 0
    rest = torch.where(ahead, large.sum(-1, keepdim=True) - large, small.sum(-1, keepdim=True) - small).clamp_min(0)
    least = -(-differences.lower).clamp(max=LARGEST).expm1() / (1 + large + rest)
    return least.masked_fill(own, 1.0)


def certified(
    networks: Networks,
    images: Tensor,
    labels: Tensor,
    eps: float,
    norm: str,
    *,
    weights: Sequence[float] | None = None,
    method: Method = "crown",
    max_bytes: int = MAX_BYTES,
) -> Tensor:
    """Bounds below the lead of the label, min over j of p_y - p_j of the averaged softmax: (B,).

    No image x' with |x' - x| <= eps and 0 <= x' <= 1 has a smaller one: where the bound is positive, no attack changes
    the answer of these frozen networks. It is the mean over networks of their own bounds, `lead`: what one image cannot
    do to all networks at once is not taken into account.
    weights: how much each network counts, in any unit; alike by default. The rest is as of `margins`.
    Raises ValueError as `margins` does, and for weights that are not one number >= 0 a network, not all of them 0.
    """
    found = margins(networks, images, labels, eps, norm, method=method, max_bytes=max_bytes)
    count = len(found.lower)
    share = torch.ones(count) if weights is None else torch.tensor([float(weight) for weight in weights])
    share = share.to(found.lower)
    if share.shape != (count,) or not bool((share >= 0).all() and share.isfinite().all() and share.sum() > 0):
        raise ValueError(f"weights are one number >= 0 for each of {count} networks, not all of them 0, not {weights}")
    own = lead(found, labels.to(images.device))
    mean: Tensor = torch.tensordot(share / share.sum(), own, 1)
    return mean.amin(-1)
