"""How much of a lead the averaged softmax of frozen networks keeps, whatever image an attack chooses.

It speaks of the frozen judge: these S draws, or all members of a finite posterior with their weights. Of the limit of
infinitely many draws it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.bounds.chain import Chain, Method
from zoo.bounds.margins import MAX_BYTES, Networks, chains, differences, labels_of, list_of
from zoo.bounds.planes import LARGEST, curve_of, exponential
from zoo.bounds.region import Region
from zoo.bounds.rows import Interval, Rows


def lead(differences: Interval, labels: Tensor) -> Tensor:
    """Bounds below p_y - p_j of the softmax from those of d_j = f_y - f_j, (..., B, K) each; 1 for y itself.

    With t_j = exp(-d_j) and T the sum of t_i over the classes i that are neither y nor j,

        p_y - p_j = (1 - t_j) / (1 + t_j + T),

    which falls with t_j, and with every t_i if t_j < 1, while it grows with them if t_j > 1. So its least value over
    the bounds, each d_i anywhere in its own, is at the lower bound of d_j, and of the others at their lower bounds if
    that is positive, at their upper bounds if not: exact for the bounds.
    """
    own = _own(differences.lower, labels)
    curve, lower = curve_of(differences, own), differences.lower
    rest = torch.where(lower >= 0, curve.most, curve.least)
    least = -(-lower).clamp(max=LARGEST).expm1() / (1 + exponential(lower) + rest)
    return least.masked_fill(own, 1.0)


def _own(values: Tensor, labels: Tensor) -> Tensor:
    """Where class j is the label itself, of (..., B, K)."""
    own = torch.zeros_like(values, dtype=torch.bool)
    return own.scatter_(-1, labels.expand(own.shape[:-1])[..., None], True)


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
    the answer of these frozen networks. It is, class by class, the better of two: the mean over networks of their own
    bounds, `lead`, to each of which an attack may bring its own image; and the least value that the mean of functions
    of the pixels below the leads has at one image (`zoo.bounds.planes`); "interval" has the first alone.
    weights: how much each network counts, in any unit; alike by default. The rest is as of `margins`.
    Raises ValueError as `margins` does, and for weights that are not one number >= 0 a network, not all of them 0.
    """
    share = _shares(weights, len(list_of(networks))).to(images.device)
    y, found = labels_of(labels, images), []
    for part, made in chains(networks, images, eps, norm, method, max_bytes):
        means = [_mean(share[which], chain(), y[part]) for which, chain in made]
        alone = torch.stack([mean for mean, _ in means]).sum(0)  # (B, K)
        lines = [below for _, below in means if below is not None]
        if lines:
            joint = Rows(torch.stack([one.a for one in lines]).sum(0), torch.stack([one.bias for one in lines]).sum(0))
            least = Region(images[part].double(), eps, norm).least(joint, exact=True)[0, :, 0]
            alone = torch.where(_own(alone, y[part]), alone, torch.maximum(alone, least))
        found.append(alone.amin(-1))
    return torch.cat(found)


def _mean(share: Tensor, chain: Chain, labels: Tensor) -> tuple[Tensor, Rows | None]:
    """The networks' part of the mean lead: bounds of it by their own worst cases, (B, K), and functions below it."""
    bounds, below = differences(chain, labels)
    bounds = Interval(*(side.expand(len(share), *side.shape[1:]) for side in bounds))
    alone = torch.tensordot(share, lead(bounds, labels), 1)
    if below is None:
        return alone, None
    slope, shift = curve_of(bounds, _own(bounds.lower, labels)).line(bounds)
    # a slope is never negative: functions below the differences become functions below the lines
    bias = torch.tensordot(share, slope * below.bias[:, :, 0] + shift, 1)
    slope = share[:, None, None] * slope
    a = (below.a.movedim(-1, 2)[:, :, :, 0] * slope.view(*slope.shape, *[1] * len(below.shape))).sum(0)
    return alone, Rows(a.movedim(1, -1)[None, :, None], bias[None, :, None])


def _shares(weights: Sequence[float] | None, count: int) -> Tensor:
    share = torch.ones(count) if weights is None else torch.tensor([float(weight) for weight in weights])
    share = share.double()
    if share.shape != (count,) or not bool((share >= 0).all() and share.isfinite().all() and share.sum() > 0):
        raise ValueError(f"weights are one number >= 0 for each of {count} networks, not all of them 0, not {weights}")
    return share / share.sum()
