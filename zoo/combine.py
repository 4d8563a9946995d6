"""How the logits of several draws become one prediction: the expected one, and what published work attacks instead.

Planning names these functions (`zoo.targets`), so that torch is imported where one is called.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def expected(logits: Tensor) -> Tensor:
    """(S, B, K) logits -> (B, K) log of the averaged softmax."""
    return logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))


def mean_loss(logits: Tensor) -> Tensor:
    """(S, B, K) logits -> (B, K + 1) log-probabilities whose cross-entropy is the draws' mean cross-entropy.

    The first K outputs are mean_s log p_s(k). They are the logarithm of geometric means and add up to less than
    one; the extra output holds the missing mass, so that a softmax changes nothing. That mass is the sum over
    classes of (arithmetic - geometric mean), every term of it non-negative, which never takes the difference of
    two numbers close to one.
    """
    import torch

    log_p = logits.log_softmax(-1)  # (S, B, K)
    geometric = log_p.mean(0)
    gap = expected(logits) - geometric  # log(arithmetic / geometric mean) >= 0
    # At rounding level it is noise, as for a class with p near 1, and would drown the other classes' share.
    gap = torch.where(gap > 8 * torch.finfo(gap.dtype).eps, gap, torch.zeros_like(gap))
    missing = (geometric.exp() * gap.expm1()).sum(-1, keepdim=True)
    # Draws that agree leave nothing missing: the floor keeps the logarithm finite and its gradient zero.
    return torch.cat([geometric, missing.clamp_min(1e-30).log()], -1)


def mean_logit(logits: Tensor) -> Tensor:
    """(S, B, K) logits -> (B, K) log-softmax of the averaged logits."""
    return logits.mean(0).log_softmax(-1)
