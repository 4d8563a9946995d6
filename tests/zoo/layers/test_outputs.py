"""A network that returns probabilities is attacked as the same network that returns logits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.zoo.networks import After, X, entry, linear
from zoo.layers import log_probabilities, make_bayesian

Y = torch.tensor([0, 3, 5, 9])


class Softmax(nn.Module):
    """Probabilities of another network, and of its members and draws."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        if hasattr(inner, "members"):
            self.members = lambda: [Softmax(member) for member in inner.members()]
        if hasattr(inner, "draw"):
            self.draw = lambda generator: Softmax(inner.draw(generator))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).softmax(-1)


class Several(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        if how == "members":
            self.members = lambda: [linear(seed) for seed in range(3)]
        else:
            self.draw = lambda generator: linear(int(torch.randint(100, (), generator=generator)))


@pytest.mark.parametrize(
    "network",
    [
        linear,
        lambda: After(lambda z: z),
        lambda: make_bayesian(linear(), rho=-4.0),
        lambda: Several("members"),
        lambda: Several("draw"),
    ],
)
def test_probabilities_are_attacked_as_the_logits_they_are_of(network: Callable[[], nn.Module]) -> None:
    """Outputs and gradients agree to rounding, draw by draw."""
    logits = entry(network, None).predictor(4, 0)
    given = entry(lambda: Softmax(network()), None, outputs="probabilities").predictor(4, 0)
    (ours, gradient), (theirs, reference) = (prediction.value_and_gradient(X, Y) for prediction in (given, logits))
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert (gradient - reference).abs().max() < 1e-5 * reference.abs().max()


def test_a_chain_that_ends_in_a_softmax_keeps_what_probabilities_round_away() -> None:
    """Logits that are 300 apart: the probability of a class is 0 in float32, and its gradient is there."""
    steep = linear()
    steep[1].weight.data *= 1000
    chain = nn.Sequential(*steep, nn.Softmax(1))
    exact = entry(lambda: steep, None).predictor(1, 0).value_and_gradient(X, Y)
    ours = entry(lambda: chain, None, outputs="probabilities").predictor(1, 0).value_and_gradient(X, Y)
    assert (chain(X) == 0).any()
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(ours, exact, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_where_a_probability_is_nought_log_and_gradient_are_finite(dtype: torch.dtype) -> None:
    probabilities = torch.tensor([[0.0, 1.0], [1e-45, 1.0], [0.5, 0.5]], dtype=dtype, requires_grad=True)
    log_p = log_probabilities(probabilities)
    F.cross_entropy(log_p, torch.tensor([0, 0, 0])).backward()
    assert log_p.isfinite().all()
    assert probabilities.grad is not None
    assert probabilities.grad.isfinite().all()
    assert torch.allclose(log_p[2], torch.tensor(0.5, dtype=dtype).log())
