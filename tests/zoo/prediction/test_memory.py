"""What a pass keeps is measured, also of a network that differentiates itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import jacrev, vmap

from zoo.prediction.memory import activation_bytes

X = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class OwnGradient(nn.Module):
    """(B, 1, 8, 8) -> (1, B, 64): squares, by their derivative."""

    def forward(self, x: Tensor) -> Tensor:
        derivative = vmap(jacrev(lambda z: z**2))(x.flatten(1))  # (B, 64, 64)
        return (derivative @ x.flatten(1)[..., None]).squeeze(-1)[None] / 2


def test_what_an_ordinary_network_keeps_is_counted_once() -> None:
    """A linear layer keeps its input, 64 numbers of 4 bytes; the softplus after it its own, 32."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Softplus())
    assert activation_bytes(net, X) == (4 * (64 + 32), 4 * 64)


def test_of_a_network_that_differentiates_itself_what_it_computes_counts() -> None:
    """Its derivatives among it, 64 x 64 numbers of 4 bytes."""
    total, largest = activation_bytes(OwnGradient(), X)
    assert largest >= 4 * 64 * 64
    assert total >= largest
