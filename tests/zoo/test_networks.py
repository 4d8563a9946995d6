"""Every layer's output shape and every parameter count of the appendix of "Robustness of Bayesian Approach"."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from zoo.layers import GaussianPrior, bayesian_layers
from zoo.networks import build_network
from zoo.posteriors import evident_posterior, posterior_mean

# (layer, output shape, parameters); as the appendix prints them, 3-channel input for AlexNet and SimpleCNN in its
# Bayesian tables, 1-channel in its frequentist ones
ALEXNET = [
    ("conv1", (64, 8, 8), 7808),
    ("act1", (64, 8, 8), 0),
    ("drop1", (64, 8, 8), 0),
    ("pool1", (64, 4, 4), 0),
    ("conv2", (192, 4, 4), 307_392),
    ("act2", (192, 4, 4), 0),
    ("pool2", (192, 2, 2), 0),
    ("conv3", (384, 2, 2), 663_936),
    ("act3", (384, 2, 2), 0),
    ("drop3", (384, 2, 2), 0),
    ("conv4", (256, 2, 2), 884_992),
    ("act4", (256, 2, 2), 0),
    ("conv5", (256, 2, 2), 590_080),
    ("act5", (256, 2, 2), 0),
    ("drop5", (256, 2, 2), 0),
    ("pool3", (256, 1, 1), 0),
    ("classifier", (10,), 2570),
]
LENET = [
    ("conv1", (6, 28, 28), 156),
    ("conv2", (16, 10, 10), 2416),
    ("fc1", (120,), 48_120),
    ("fc2", (84,), 10_164),
    ("fc3", (10,), 850),
]
CONV3FC3 = [
    ("conv1", (32, 32, 32), 832),
    ("act1", (32, 32, 32), 0),
    ("pool1", (32, 15, 15), 0),
    ("conv2", (64, 15, 15), 51_264),
    ("act2", (64, 15, 15), 0),
    ("pool2", (64, 7, 7), 0),
    ("conv3", (128, 5, 5), 204_928),
    ("act3", (128, 5, 5), 0),
    ("pool3", (128, 2, 2), 0),
    ("flatten", (512,), 0),
    ("fc1", (1000,), 513_000),
    ("act4", (1000,), 0),
    ("fc2", (1000,), 1_001_000),
    ("act5", (1000,), 0),
    ("fc3", (10,), 10_010),
]
BAYESIAN_ALEXNET = [
    ("conv1", (64, 8, 8)),
    ("act1", (64, 8, 8)),
    ("pool1", (64, 4, 4)),
    ("conv2", (192, 4, 4)),
    ("act2", (192, 4, 4)),
    ("pool2", (192, 2, 2)),
    ("conv3", (384, 2, 2)),
    ("act3", (384, 2, 2)),
    ("conv4", (256, 2, 2)),
    ("act4", (256, 2, 2)),
    ("conv5", (128, 2, 2)),
    ("act5", (128, 2, 2)),
    ("pool3", (128, 1, 1)),
    ("flatten", (128,)),
    ("classifier", (10,)),
]
BAYESIAN_LENET = [
    ("conv1", (6, 28, 28)),
    ("act1", (6, 28, 28)),
    ("pool1", (6, 14, 14)),
    ("conv2", (16, 10, 10)),
    ("act2", (16, 10, 10)),
    ("pool2", (16, 5, 5)),
    ("flatten", (400,)),
    ("fc1", (120,)),
    ("act3", (120,)),
    ("fc2", (84,)),
    ("act4", (84,)),
    ("fc3", (10,)),
]
BAYESIAN_CONV3FC3 = [row[:2] for row in CONV3FC3]

APPENDIX = {
    "alexnet": ALEXNET,
    "lenet": LENET,
    "3conv3fc": CONV3FC3,
    "bayesian-alexnet": BAYESIAN_ALEXNET,
    "bayesian-lenet": BAYESIAN_LENET,
    "bayesian-3conv3fc": BAYESIAN_CONV3FC3,
}
# mean-field networks hold a mean and a rho for each of these
TOTALS = {
    ("mnist", "lenet"): 61_706,
    ("cifar10", "lenet"): 62_006,
    ("mnist", "alexnet"): 2_456_778,
    ("cifar10", "alexnet"): 2_472_266,
    ("mnist", "3conv3fc"): 1_781_034,
    ("cifar10", "3conv3fc"): 1_782_634,
    ("mnist", "bayesian-lenet"): 2 * 61_706,
    ("cifar10", "bayesian-lenet"): 2 * 62_006,
    ("mnist", "bayesian-alexnet"): 2 * 2_160_458,
    ("cifar10", "bayesian-alexnet"): 2 * 2_175_946,
    ("mnist", "bayesian-3conv3fc"): 2 * 1_781_034,
    ("cifar10", "bayesian-3conv3fc"): 2 * 1_782_634,
}


@pytest.mark.parametrize("architecture", APPENDIX)
def test_layers_have_the_shapes_and_parameters_of_the_appendix(architecture: str) -> None:
    network = posterior_mean_or_itself(build_network(architecture, "mnist")).eval()
    shapes: dict[str, tuple[int, ...]] = {}
    for name, layer in network.named_children():
        layer.register_forward_hook(lambda _m, _i, out, name=name: shapes.update({name: tuple(out.shape[1:])}))
    network(torch.zeros(1, 1, 28, 28))
    for name, shape, *parameters in APPENDIX[architecture]:
        assert shapes[name] == shape, name
        if parameters:
            assert sum(p.numel() for p in getattr(network, name).parameters()) == parameters[0], name
    whole = [name for name in shapes if name not in ("preprocess", "flatten")]
    if architecture != "lenet":  # the appendix lists LeNet's weighted layers only
        assert whole == [row[0] for row in APPENDIX[architecture] if row[0] != "flatten"]


@pytest.mark.parametrize(("dataset", "architecture"), TOTALS)
def test_parameter_counts(dataset: str, architecture: str) -> None:
    network = build_network(architecture, dataset)
    assert sum(parameter.numel() for parameter in network.parameters()) == TOTALS[dataset, architecture]


@pytest.mark.parametrize("architecture", APPENDIX)
def test_activations_and_dropout_are_those_of_the_paper(architecture: str) -> None:
    network = build_network(architecture, "mnist")
    kinds = {type(layer) for layer in network.modules()}
    softplus = architecture.startswith("bayesian") or architecture == "3conv3fc"
    assert (nn.Softplus in kinds, nn.ReLU in kinds) == (softplus, not softplus)
    assert (nn.Dropout in kinds) == (architecture == "alexnet")
    assert bool(bayesian_layers(network)) == architecture.startswith("bayesian")


def test_mnist_is_padded_with_black_and_normalised_inside_the_network() -> None:
    preprocess = build_network("lenet", "mnist").preprocess
    out: Tensor = preprocess(torch.ones(1, 1, 28, 28))
    assert out.shape == (1, 1, 32, 32)
    assert out[0, 0, 0, 0].item() == pytest.approx((0 - 0.1307) / 0.3081)
    assert out[0, 0, 2, 2].item() == pytest.approx((1 - 0.1307) / 0.3081)


@pytest.mark.parametrize(
    ("architecture", "sizes", "activation"),
    [("mlp", (784, 400, 400, 10), nn.ReLU), ("bayesian-mlp", (784, 512, 512, 10), nn.Sigmoid)],
)
def test_perceptrons_are_those_of_the_tutorial(
    architecture: str, sizes: tuple[int, ...], activation: type[nn.Module]
) -> None:
    """Its sizes and activations; the Bayesian layers have the prior N(0, 6^2) and begin at rho = -6."""
    network = build_network(architecture, "mnist")
    plain = posterior_mean_or_itself(network)
    shapes = [layer.weight.shape for layer in plain.modules() if isinstance(layer, nn.Linear)]
    assert shapes == [(after, before) for before, after in pairwise(sizes)]
    assert sum(type(layer) is activation for layer in network.modules()) == 2
    for layer in bayesian_layers(network):
        assert layer.prior == GaussianPrior(6.0)
        assert (layer.weight_rho == -6).all()
    assert plain(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_the_perceptron_for_hamiltonian_monte_carlo_has_one_hidden_layer() -> None:
    network = build_network("mlp-50", "mnist")
    shapes = [layer.weight.shape for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert shapes == [(50, 784), (10, 50)]
    assert [type(layer) for layer in network] == [nn.Flatten, nn.Linear, nn.Softplus, nn.Linear]
    assert sum(parameter.numel() for parameter in network.parameters()) == 39_760
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_unknown_names_are_answered_with_near_ones() -> None:
    with pytest.raises(KeyError, match="lenet"):
        build_network("lennet", "mnist")
    with pytest.raises(KeyError, match="mnist"):
        build_network("lenet", "minst")


def posterior_mean_or_itself(network: nn.Module) -> nn.Module:
    return posterior_mean(network, evident_posterior(network))
