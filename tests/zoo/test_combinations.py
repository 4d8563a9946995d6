"""How draws are combined, over the range of logits that float32 holds: finite, normalised, with an exact gradient."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from zoo.combine import expected, mean_logit, mean_loss

logit_tensors = st.integers(1, 5).flatmap(
    lambda draws: st.lists(st.floats(-60, 60, width=32), min_size=draws * 6, max_size=draws * 6).map(
        lambda values: torch.tensor(values).view(draws, 2, 3)
    )
)


@given(logit_tensors)
@settings(max_examples=200)
def test_every_combination_stays_finite_and_normalised_in_float32(logits: Tensor) -> None:
    for combine in (expected, mean_loss, mean_logit):
        leaf = logits.clone().requires_grad_()
        out = combine(leaf)
        assert out.isfinite().all()
        assert out.logsumexp(-1).abs().max() < 1e-4
        F.cross_entropy(out, torch.tensor([0, 2])).backward()
        assert leaf.grad.isfinite().all()


def gradients_in_both_precisions(combine: Callable[[Tensor], Tensor], logits: Tensor) -> tuple[Tensor, Tensor]:
    """d(sum of cross-entropies) / d(logits) in float32 and float64, one row an example: (2, S * 3)."""
    rows = []
    for dtype in (torch.float32, torch.float64):
        leaf = logits.detach().to(dtype).clone().requires_grad_()
        F.cross_entropy(combine(leaf), torch.tensor([0, 2]), reduction="sum").backward()
        rows.append(leaf.grad.double().transpose(0, 1).flatten(1))
    return rows[0], rows[1]


@given(logit_tensors)
@settings(max_examples=200)
def test_float32_gradients_are_exact_to_rounding(logits: Tensor) -> None:
    """A logit of 60 is spaced 4e-6 apart, and so are the draws' weights in the average."""
    for combine in (expected, mean_loss, mean_logit):
        ours, exact = gradients_in_both_precisions(combine, logits)
        assert (ours - exact).abs().max() < 2e-5, combine.__name__


@given(logit_tensors, st.floats(5, 60))
@settings(max_examples=200)
def test_confident_networks_keep_the_direction_of_their_gradient(logits: Tensor, margin: float) -> None:
    """Draws that all give the label a margin of 5 to 60: the loss rounds to zero, its gradient must not."""
    logits = logits.detach().remainder(3.0)
    logits[:, 0, 0] += margin + 3
    logits[:, 1, 2] += margin + 3
    for combine in (expected, mean_loss, mean_logit):
        ours, exact = gradients_in_both_precisions(combine, logits)
        assert exact.abs().max() > 1e-38
        # scaled per example: the squares inside a cosine would underflow
        ours, exact = (g / exact.abs().amax(1, keepdim=True) for g in (ours, exact))
        assert (F.cosine_similarity(ours, exact, dim=1) > 0.9999).all(), combine.__name__
