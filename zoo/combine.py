"""How the logits of several draws become one prediction: the expected one, and what published work attacks instead.

Planning names these functions (`zoo.targets`), so that torch is imported where one is called.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def expected(logits: Tensor, weights: Tensor | None = None) -> Tensor:
    """(S, B, K) logits -> (B, K) log of the averaged softmax. weights: (S,), adding up to 1; alike if None."""
    log_p = logits.log_softmax(-1)
    if weights is None:
        return log_p.logsumexp(0) - math.log(len(logits))
    return (log_p + weights.log()[:, None, None]).logsumexp(0)


def shares(weights: Sequence[float] | None) -> Tensor | None:
    """(S,) float32 weights that add up to 1, of weights in any unit; None where draws count alike."""
    import torch

    if weights is None:
        return None
    given = torch.tensor(weights, dtype=torch.float64)
    return (given / given.sum()).float()


def mean_of(stack: Tensor, share: Tensor | None) -> Tensor:
    """(M, ...) -> (...) mean by `shares`, accumulated in float64; of what is counted in whole numbers the first."""
    import torch

    if not stack.is_floating_point():
        return stack[0].clone()
    exact = stack.double()
    mean: Tensor = exact.mean(0) if share is None else torch.tensordot(share.to(exact), exact, 1)
    return mean.to(stack.dtype)


def answered(outputs: Tensor, labels: Tensor) -> Tensor:
    """The label that counts as answered, (..., B), of outputs (..., B, K): the right one (B,) only where it leads.

    A label leads by more than rounding: of a tie, as of an output that says the same of all classes, the answer is the
    likeliest wrong label, whichever comes first. outputs: log-probabilities, logits or votes.
    """
    import torch

    of_label = labels.expand(outputs.shape[:-1])[..., None]
    own = outputs.gather(-1, of_label)[..., 0]
    rival, rivals = outputs.scatter(-1, of_label, -torch.inf).max(-1)
    # in which the same logits of two classes may come out of vector units and of the scalar rest of a loop
    rounding = 8 * torch.finfo(torch.float32).eps * own.abs().clamp_min(1)
    return torch.where(own - rival > rounding, labels.expand_as(rivals), rivals)


def mean_loss(logits: Tensor, weights: Tensor | None = None) -> Tensor:
    """(S, B, K) logits -> (B, K + 1) log-probabilities whose cross-entropy is the draws' mean cross-entropy.

    The first K outputs are mean_s log p_s(k). They are the logarithm of geometric means and add up to less than
    one; the extra output holds the missing mass, so that a softmax changes nothing. That mass is the sum over
    classes of (arithmetic - geometric mean), every term of it non-negative, which never takes the difference of
    two numbers close to one.
    """
    import torch

    given, logits = logits.dtype, logits.double()  # of two close means float32 leaves few digits of the difference
    log_p = logits.log_softmax(-1)  # (S, B, K)
    geometric = _mean(log_p, weights)
    gap = expected(logits, weights) - geometric  # log(arithmetic / geometric mean) >= 0
    # At rounding level it is noise, as for a class with p near 1, and would drown the other classes' share.
    gap = torch.where(gap > 8 * torch.finfo(gap.dtype).eps, gap, torch.zeros_like(gap))
    missing = (geometric.exp() * gap.expm1()).sum(-1, keepdim=True)
    # Draws that agree leave nothing missing: the floor keeps the logarithm finite and its gradient zero.
    return torch.cat([geometric, missing.clamp_min(1e-30).log()], -1).to(given)


def mean_logit(logits: Tensor, weights: Tensor | None = None) -> Tensor:
    """(S, B, K) logits -> (B, K) log-softmax of the averaged logits."""
    return _mean(logits, weights).log_softmax(-1)


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """(S, B, K) -> (B, K) average over draws."""
    if weights is None:
        return values.mean(0)
    return (weights[:, None, None] * values).sum(0)
