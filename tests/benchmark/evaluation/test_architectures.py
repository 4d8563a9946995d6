"""Networks that are no plain chain, on colour images: residual sums, batch normalisation, branches.

Their gradients come back in whatever memory layout the last operation chose; libraries view them as flat vectors.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18

from benchmark.attacks.craft import craft
from benchmark.attacks.metered import MeteredModel
from benchmark.attacks.methods import NORMS
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.evaluation.judge import violations
from benchmark.protocol import ATTACKS, LIBRARIES, required_agreement, standard_attack
from zoo.layers import make_bayesian
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import forked_random_state, private_generator

X = torch.rand(3, 3, 16, 16, generator=private_generator("colour images"))
Y = torch.tensor([0, 1, 2])
EXAMPLES = (5, 6, 7)


class Residual(nn.Module):
    """Conv-BatchNorm-ReLU with a residual sum and average pooling, running statistics as after a training."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(c, 8, 3, padding=1, bias=False) for c in (3, 8))
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(2))
        self.drop, self.last = nn.Dropout(0.2), nn.Linear(8, 4)
        for norm in self.norms:
            norm.running_mean.uniform_(-0.2, 0.2)
            norm.running_var.uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norms[0](self.first(x)))
        x = F.relu(x + self.norms[1](self.second(x)))
        return self.last(self.drop(F.adaptive_avg_pool2d(x, 1).flatten(1)))


def residual() -> nn.Module:
    with forked_random_state(0):
        return Residual()


PREDICTIONS: dict[str, Callable[[], ExpectedPrediction]] = {
    "frequentist": lambda: ExpectedPrediction([residual().eval()]),
    "mean-field": lambda: ExpectedPrediction.of(make_bayesian(residual(), rho=-3.0), 3, 0),
    "dropout": lambda: ExpectedPrediction.of(residual(), 3, 0),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("kind", PREDICTIONS)
def test_a_residual_network_with_batch_norm_goes_through_every_library(kind: str, name: str) -> None:
    prediction, spec = PREDICTIONS[kind](), standard_attack(name, 0.1)
    found = {library: craft(library, prediction, X, Y, spec, EXAMPLES, 0).images for library in LIBRARIES}
    before = F.cross_entropy(prediction(X), Y)
    for library, images in found.items():
        assert not violations(X, images, spec.threat).any(), library
        assert F.cross_entropy(prediction(images), Y) > before, library
    apart = max(float((found[library] - found["foolbox"]).abs().max()) for library in LIBRARIES)
    assert apart <= (1e-6 if required_agreement(spec) == "identical" else 0.02)


@pytest.mark.parametrize("name", ["apgd-ce-l2", "apgd-dlr-l2", "apgd-dlr-linf"])
def test_and_through_attacks_that_take_gradients_of_other_losses(name: str) -> None:
    prediction = PREDICTIONS["mean-field"]()
    spec = AttackSpec(name, ThreatModel(NORMS[name], 0.2), 0.4, 5)
    images = craft("torchattacks", prediction, X, Y, spec, EXAMPLES, 0).images
    assert F.cross_entropy(prediction(images), Y) > F.cross_entropy(prediction(X), Y)


def test_the_readmes_bayesian_resnet_goes_through_every_library_in_l2() -> None:
    with forked_random_state(0):
        network = make_bayesian(resnet18(num_classes=10), rho=-5.0)
    prediction, spec = ExpectedPrediction.of(network, 2, 0), standard_attack("pgd-l2", 0.5)
    x = F.interpolate(X[:2], size=32)
    for library in LIBRARIES:
        images = craft(library, prediction, x, Y[:2], spec, EXAMPLES[:2], 0).images
        assert not violations(x, images, spec.threat).any(), library


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_gradients_come_back_contiguous_as_images_are(kind: str) -> None:
    """Of the cross-entropy, of another loss, and with images that are themselves in another layout."""
    prediction = PREDICTIONS[kind]()
    for images in (X, X.to(memory_format=torch.channels_last)):
        _, gradient = prediction.value_and_gradient(images, Y)
        assert gradient.is_contiguous()
        for loss in (lambda out: F.cross_entropy(out, Y), lambda out: (out[:, 0] - out[:, 1]).sum()):
            for entropic in (True, False):
                leaf = images.clone().requires_grad_()
                model = MeteredModel(prediction, Y, entropic=entropic)
                (gradient,) = torch.autograd.grad(loss(model(leaf)), leaf)
                assert gradient.is_contiguous()
