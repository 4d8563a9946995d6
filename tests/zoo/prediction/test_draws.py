"""Draws of any architecture in one pass against each network alone, and when which way is taken."""

from __future__ import annotations

import copy
from collections.abc import Collection

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18
from torchvision.models.densenet import DenseNet

from zoo.layers import make_bayesian
from zoo.layers.convolution import FastConvolutions
from zoo.networks import build_network
from zoo.posteriors import posterior_draws
from zoo.prediction.architecture import is_one_architecture
from zoo.prediction.draws import LoopedDraws, evaluated
from zoo.prediction.expected import ExpectedPrediction
from zoo.prediction.mapped import MappedDraws, shared_convolutions
from zoo.prediction.stacked import GroupedDraws
from zoo.seeding import forked_random_state, private_generator
from zoo.targets import Gradient, Schedule

DRAWS = 2


class Functional(nn.Module):
    """No chain of layers: a residual sum, a branch that is concatenated, functional activations, adaptive pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.second, self.last = nn.Conv2d(6, 6, 3, padding=1), nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.first(x)))
        y = self.second(x)
        y += x
        y = F.avg_pool2d(F.relu(y, inplace=True), 3, 1, 1)
        return self.last(F.adaptive_avg_pool2d(torch.cat([x, y], 1), 1).flatten(1))


class Branching(Functional):
    """Its Python code looks at values, which `vmap` cannot do."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits if logits.sum() > 0 else 2 * logits


def small_densenet() -> nn.Module:
    return DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, num_classes=10)


def draws_of(network: nn.Module, layers: Collection[str] | None = None, count: int = DRAWS) -> list[nn.Module]:
    """Draws that differ clearly, in float64; batch norm has statistics that do something."""
    generator = private_generator("statistics")
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(generator=generator)  # type: ignore[union-attr]
            layer.running_var.uniform_(0.5, 2, generator=generator)  # type: ignore[union-attr]
    return [draw.eval() for draw in posterior_draws(make_bayesian(network.double(), layers, rho=-3.0), count, 0)]


def made(factory: type[nn.Module] | None = None, **options: object) -> nn.Module:
    with forked_random_state(0):
        return factory(**options) if factory else resnet18(num_classes=10)


def images(count: int = 2) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=private_generator("draws"), dtype=torch.float64)


def outputs(module: nn.Module) -> tuple[Tensor, Tensor]:
    """(S, B, K) logits and the gradient at the images of one combination of them."""
    x = images().requires_grad_()
    logits = module(x)
    cotangent = torch.randn(logits.shape, generator=private_generator("cotangent"), dtype=torch.float64)
    return logits, torch.autograd.grad(logits, x, cotangent)[0]


class Alone(nn.Module):
    """The truth: each network by itself, as its author wrote it."""

    def __init__(self, networks: list[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([network(x) for network in self.networks])


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = list(zip(outputs(one), outputs(other), strict=True))
    assert all(a.abs().max() > 1e-3 for a, _ in pairs)
    return all(torch.allclose(a, b, rtol=1e-8, atol=1e-10) for a, b in pairs)


@pytest.mark.parametrize(
    ("network", "layers"),
    [
        (made(), None),
        (made(), ["fc"]),
        (made(), ["layer3.0.conv1"]),
        (made(small_densenet), None),
        (made(Functional), None),
        (made(Functional), ["second"]),
    ],
    ids=["resnet", "resnet, last layer", "resnet, middle layer", "densenet", "functional", "functional, middle layer"],
)
def test_one_pass_and_the_loop_are_each_network_alone(network: nn.Module, layers: list[str] | None) -> None:
    draws = draws_of(network, layers)
    truth, mapped = Alone(draws), MappedDraws(draws)
    assert same(mapped, truth)
    assert same(LoopedDraws(draws), truth)
    assert (mapped(images())[0] - mapped(images())[1]).abs().max() > 1e-3


def test_a_network_of_timm_takes_one_pass() -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    draws = draws_of(timm.create_model("resnet10t", num_classes=10))
    mapped = MappedDraws(draws)
    assert same(mapped, Alone(draws))
    assert mapped.in_one_pass


def test_what_all_draws_share_is_evaluated_once() -> None:
    draws = draws_of(made(), ["fc"])
    mapped = MappedDraws(draws)
    weights = sum(value.numel() for value in draws[0].parameters())
    assert sum(value.numel() for value in mapped.parameters() if value.is_floating_point()) < 1.01 * weights
    x = images().requires_grad_()
    with torch.profiler.profile() as profile:
        mapped(x)
    assert sum(event.count for event in profile.key_averages() if event.key == "aten::convolution") == 20
    assert mapped.in_one_pass


def test_what_cannot_be_one_pass_is_looped_with_the_same_numbers() -> None:
    draws = draws_of(made(Branching))
    mapped = MappedDraws(draws)
    assert same(mapped, Alone(draws))
    assert not mapped.in_one_pass
    prediction = ExpectedPrediction(draws, stack=True)
    prediction(images())
    assert not prediction.stacked  # as its records say


def test_a_mistake_of_the_network_itself_is_raised() -> None:
    mapped = MappedDraws(draws_of(made(Functional)))
    with pytest.raises(RuntimeError, match="channels"):
        mapped(images()[:, :2])
    assert mapped.in_one_pass


def test_networks_are_of_one_architecture_only_where_nothing_but_weights_can_differ() -> None:
    draws = draws_of(made(Functional))
    assert is_one_architecture(draws)
    for change in (
        lambda network: setattr(network, "temperature", 2.0),
        lambda network: setattr(network, "scale", torch.ones(1)),
        lambda network: setattr(network, "own", object()),
        lambda network: setattr(network, "last", nn.Linear(12, 10, bias=False)),
        lambda network: setattr(network.norm, "eps", 1e-3),
        lambda network: setattr(network.second, "bias", network.norm.bias),
        lambda network: network.last.register_forward_hook(lambda _m, _x, y: y),
        lambda network: network.train(),
    ):
        other = copy.deepcopy(draws[1])
        change(other)
        assert not is_one_architecture([draws[0], other])
        assert isinstance(evaluated([draws[0], other]), LoopedDraws)
        with pytest.raises(ValueError, match="nothing but the values"):
            evaluated([draws[0], other], stack=True)


def test_draws_that_sample_in_their_forward_pass_are_looped() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Dropout(0.5), nn.Linear(8, 4))
    draws = posterior_draws(network, 2, 0)
    assert isinstance(evaluated(draws), LoopedDraws)


@pytest.mark.parametrize(
    ("layers", "share", "kind"),
    [
        (None, 0, LoopedDraws),
        (["fc"], 1, MappedDraws),
        (["layer4.1.conv2", "fc"], 0.95, MappedDraws),
        (["layer1.0.conv1"], 0.05, LoopedDraws),
    ],
)
def test_on_a_cpu_one_pass_is_for_networks_that_share_most(
    layers: list[str] | None, share: float, kind: type[nn.Module]
) -> None:
    draws = draws_of(made(), layers, 2)
    assert shared_convolutions(draws) == pytest.approx(share)
    assert type(evaluated(draws)) is kind
    assert isinstance(evaluated(draws, stack=False), LoopedDraws)
    assert isinstance(evaluated(draws, stack=True), MappedDraws)


def test_chains_stay_grouped_and_one_network_is_as_it_is() -> None:
    with forked_random_state(0):
        chain = build_network("bayesian-lenet", "cifar10")
    assert isinstance(evaluated(posterior_draws(chain, 2, 0)), GroupedDraws)
    assert isinstance(evaluated([made(Functional)]), LoopedDraws)


def test_fresh_draws_of_a_last_layer_are_those_of_their_step() -> None:
    network = make_bayesian(made(Functional).double(), ["last"], rho=-1.0)
    y, gradient = torch.tensor([0, 1]), Gradient(schedule=Schedule.FRESH)
    one_pass, looped = (ExpectedPrediction.of(network, DRAWS, 0, gradient, stack=stack) for stack in (None, False))
    assert one_pass.stacked
    assert not looped.stacked
    found = [(one_pass.value_and_gradient(images(), y, k), looped.value_and_gradient(images(), y, k)) for k in (1, 2)]
    for ours, theirs in found:
        assert all(torch.allclose(a, b, rtol=1e-8, atol=1e-12) for a, b in zip(ours, theirs, strict=True))
    assert not torch.allclose(found[0][0][1], found[1][0][1], atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"padding": "same"}, {"dilation": 2}, {"groups": 2}], ids=str)
def test_fast_convolutions_are_the_ordinary_ones(size: int, options: dict[str, object]) -> None:
    generator = private_generator("fast convolutions")
    layer = nn.Conv2d(4, 6, 3, **({"padding": 2} | options)).double()  # type: ignore[arg-type]
    x = torch.rand(2, 4, size, size, generator=generator, dtype=torch.float64, requires_grad=True)
    expected = layer(x)
    with FastConvolutions():
        found = layer(x)
    cotangent = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad(output, x, cotangent)[0] for output in (expected, found)]
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert torch.allclose(*gradients, rtol=1e-10, atol=1e-12)
