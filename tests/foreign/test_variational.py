"""Networks written for Bayesian-Torch and for BLiTZ, as they are. Needs those packages: `tox -e foreign`."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_model
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.evaluation.evaluator import Evaluator
from benchmark.plan.cells import Cell
from benchmark.protocol import standard_attack
from tests.foreign.networks import entry_of
from zoo import ZooEntry, models
from zoo.posteriors import posterior_draws, posterior_mean
from zoo.targets import Gradient

Network = Callable[[], nn.Module]


def with_kl_of_every_layer() -> nn.Module:
    """As Bayesian-Torch's own models: every layer returns its KL, the network their sum."""
    layers = pytest.importorskip("bayesian_torch.layers", reason="needs bayesian-torch")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = layers.Conv2dReparameterization(1, 3, 5, stride=3, posterior_rho_init=-3.0)
            self.fc = layers.LinearReparameterization(3 * 64, 10, posterior_rho_init=-3.0)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            x, first = self.conv(x)
            logits, second = self.fc(torch.relu(x).flatten(1))
            return logits, first + second

    return Net()


def converted_by_its_library() -> nn.Module:
    dnn_to_bnn = pytest.importorskip("bayesian_torch.models.dnn_to_bnn", reason="needs bayesian-torch").dnn_to_bnn
    network = nn.Sequential(nn.Conv2d(1, 3, 5, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 64, 10))
    options = {"prior_mu": 0.0, "prior_sigma": 1.0, "posterior_mu_init": 0.0, "posterior_rho_init": -3.0}
    dnn_to_bnn(network, options | {"type": "Reparameterization", "moped_enable": False, "moped_delta": 0.5})
    return network


def of_blitz() -> nn.Module:
    modules = pytest.importorskip("blitz.modules", reason="needs blitz-bayesian-pytorch")
    from blitz.utils import variational_estimator

    @variational_estimator
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = modules.BayesianConv2d(1, 3, (5, 5), stride=3, posterior_rho_init=-3.0)
            self.fc = modules.BayesianLinear(3 * 64, 10, posterior_rho_init=-3.0)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.fc(torch.relu(self.conv(x)).flatten(1))
            return logits

    return Net()


def means_of(network: nn.Module) -> list[Tensor]:
    """The means of conv weight, conv bias, linear weight, linear bias, by the libraries' names for them."""
    named = dict(network.named_parameters())
    wanted = [
        name
        for name in named
        if name.rsplit(".", 1)[-1] in ("mu_kernel", "mu_weight", "mu_bias") or "sampler.mu" in name
    ]
    return [named[name].detach() for name in wanted]


def registered(network: Network, monkeypatch: pytest.MonkeyPatch, weights: Path | None = None) -> ZooEntry:
    assert len(models)
    entries = {name: entry for name, entry in models._entries.items() if name != "mnist/foreign"}
    monkeypatch.setattr(models, "_entries", entries)
    entry = ZooEntry("mnist/foreign", "mnist", "bayesian", network, weights, Path(__file__))
    models.add(entry)
    return entry


@pytest.mark.parametrize("network", [with_kl_of_every_layer, converted_by_its_library, of_blitz])
class TestForeign:
    def test_draws_are_frozen_and_follow_its_posterior(self, network: Network) -> None:
        with torch.random.fork_rng():
            torch.random.manual_seed(0)
            net = network()
        kernel, bias, *_ = means_of(net)
        layer = next(part for part in net.modules() if "Conv" in type(part).__name__)
        x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(1))
        draws = posterior_draws(layer, 600, 7)
        with torch.no_grad():
            outputs = torch.stack([draw(x) for draw in draws])
            again = draws[5](x)
        assert torch.equal(outputs[5], again)
        rhos = [p.detach() for name, p in layer.named_parameters() if "rho" in name]
        by_shape = {rho.shape: F.softplus(rho) for rho in rhos}
        mean = F.conv2d(x, kernel, bias, stride=3)
        variance = F.conv2d(x**2, by_shape[kernel.shape] ** 2, by_shape[bias.shape] ** 2, stride=3)
        assert ((outputs.mean(0) - mean).abs() < 6 * (variance / 600).sqrt()).all()
        assert ((outputs.var(0) / variance - 1).abs() < 6 * math.sqrt(2 / 600)).all()

    def test_its_mean_is_the_network_of_its_means(self, network: Network) -> None:
        net = network()
        kernel, kernel_bias, weight, weight_bias = means_of(net)
        x = torch.rand(3, 1, 28, 28)
        hidden = F.relu(F.conv2d(x, kernel, kernel_bias, stride=3)).flatten(1)
        before = copy.deepcopy(net.state_dict())
        mean = posterior_mean(net)
        assert torch.allclose(mean(x), F.linear(hidden, weight, weight_bias), atol=1e-6)
        assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())

    def test_its_fingerprint_does_not_follow_the_noise_in_its_buffers(
        self, network: Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def disturbed() -> nn.Module:
            net = network()
            for name, buffer in net.named_buffers():
                if name.rsplit(".", 1)[-1].startswith("eps"):
                    buffer.data.uniform_()
            return net

        def warmer() -> nn.Module:
            net = disturbed()
            next(net.parameters()).data.add_(1)
            return net

        first, again, other = (registered(kind, monkeypatch).fingerprint for kind in (network, disturbed, warmer))
        assert first == again != other

    def test_its_saved_weights_are_loaded(
        self, network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        net = network()
        for parameter in net.parameters():
            parameter.data.add_(0.01)
        save_model(net, str(tmp_path / "net.safetensors"))
        entry = registered(network, monkeypatch, tmp_path / "net.safetensors")
        loaded = entry.build()
        for ours, theirs in zip(means_of(loaded), means_of(net), strict=True):
            assert torch.equal(ours, theirs)

    def test_the_harness_attacks_it(
        self, network: Network, monkeypatch: pytest.MonkeyPatch, untouched_global_state: None
    ) -> None:
        entry = registered(network, monkeypatch)
        evaluator = Evaluator()
        for target in ("expected", "mean-weights"):
            spec = standard_attack("bim", 0.1, Gradient(target))
            cell = Cell(entry.name, "mnist", spec, 0, 6, attack_draws=3, judge_draws=4, seed=0)
            record = evaluator.evaluate(cell)
            assert {outcome.error for outcome in record.outcomes.values()} == {None}
            assert {pair.level for pair in record.agreement} == {"identical"}
            for outcome in record.outcomes.values():
                assert sum(outcome.log_p) < sum(record.clean.log_p)


def test_dropout_that_is_off_in_a_bayesian_torch_network_stays_off() -> None:
    """Its expected prediction is that of the same network without dropout layers."""
    layers = pytest.importorskip("bayesian_torch.layers", reason="needs bayesian-torch")
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        linear = layers.LinearReparameterization(784, 10, posterior_rho_init=-3.0)

    class Net(nn.Module):
        def __init__(self, *before: nn.Module) -> None:
            super().__init__()
            self.before, self.fc = nn.Sequential(nn.Flatten(), *before), linear

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.fc(self.before(x))

    def prediction(*before: nn.Module) -> Tensor:
        return entry_of(Net(*before)).predictor(8, 0)(x)

    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    assert torch.equal(prediction(nn.Dropout(0.5)), prediction())
    on = entry_of(Net(nn.Dropout(0.5)), randomness="dropout")
    assert not torch.allclose(on.predictor(8, 0)(x), prediction(), atol=1e-3)


def test_subclasses_of_foreign_layers_have_a_mean() -> None:
    layers = pytest.importorskip("bayesian_torch.layers", reason="needs bayesian-torch")

    class Own(layers.LinearReparameterization):
        pass

    layer = Own(4, 3, posterior_rho_init=0.0)
    x = torch.ones(1, 4)
    mean = posterior_mean(layer)
    assert torch.allclose(mean(x), F.linear(x, layer.mu_weight, layer.mu_bias), atol=1e-6)
