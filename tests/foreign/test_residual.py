"""Residual networks of torchvision and timm, as they are and made Bayesian. timm: `tox -e foreign`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from benchmark import evaluate
from tests.foreign.networks import FAST, X, entry_of
from zoo.layers import make_bayesian
from zoo.posteriors import posterior_mean
from zoo.seeding import forked_random_state


def of_torchvision() -> nn.Module:
    from torchvision.models.resnet import BasicBlock, ResNet

    class Grey(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.expand(-1, 3, -1, -1))

    return Grey()


def of_timm() -> nn.Module:
    timm = pytest.importorskip("timm", reason="needs timm")
    net: nn.Module = timm.create_model("resnet10t", in_chans=1, num_classes=10)
    return net


@pytest.mark.parametrize("network", [of_torchvision, of_timm])
def test_a_residual_network_is_attacked_as_it_is_and_made_bayesian(network: Callable[[], nn.Module]) -> None:
    """Its batch norm is in evaluation mode, whatever mode the user's network is in, and its statistics stay."""
    with forked_random_state(0):
        net = network()
        net(X.repeat(4, 1, 1, 1))  # in training mode: running statistics of its own
    before = {name: value.clone() for name, value in net.state_dict().items()}
    prediction = entry_of(net).predictor(1, 0)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    net.eval()
    assert torch.allclose(prediction(X), net(X).log_softmax(1), atol=1e-5)
    twin = make_bayesian(net, rho=-6.0)
    assert torch.allclose(posterior_mean(twin).eval()(X), net(X), atol=1e-4)
    found = entry_of(twin)
    assert (found.label, found.predictor(2, 0).draws) == ("bayesian", 2)
    assert evaluate(net, "mnist", **{**FAST, "examples": 1, "attacks": ["fgsm"]}).errors == {}
