"""What Torch-Uncertainty wraps or builds, as it is. Needs that package: `tox -e foreign`."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmark import evaluate
from tests.foreign.networks import FAST, X, entry_of, fitted
from zoo.posteriors import posterior_mean
from zoo.seeding import forked_random_state

methods = pytest.importorskip("torch_uncertainty.methods", reason="needs torch-uncertainty")
NETS = [fitted(seed=seed) for seed in range(3)]


def test_a_deep_ensemble_is_all_its_members() -> None:
    entry = entry_of(methods.deep_ensembles(NETS))
    assert (entry.label, entry.load()[1].what) == ("ensemble", "the members of an ensemble (3)")
    by_hand = sum(net(X).softmax(1) for net in NETS) / 3
    assert torch.allclose(entry.predictor(8, 0).probabilities(X), by_hand, atol=1e-6)


@pytest.mark.parametrize("last", [True, False])
def test_a_checkpoint_ensemble_is_what_was_saved_and_the_last_network_if_it_counts(last: bool) -> None:
    wrapper = methods.CheckpointCollector(fitted(), use_final_model=last)
    for epoch, net in enumerate(NETS):
        wrapper.core_model.load_state_dict(net.state_dict())
        wrapper.update_wrapper(epoch)
    counted = NETS + NETS[2:] if last else NETS
    by_hand = sum(net(X).softmax(1) for net in counted) / len(counted)
    assert torch.allclose(entry_of(wrapper).predictor(8, 0).probabilities(X), by_hand, atol=1e-6)


def test_swag_is_its_samples_in_evaluation_mode() -> None:
    """It keeps them in a plain list, which `eval()` does not reach."""
    with forked_random_state(0):
        swag = methods.SWAG(fitted(nn.BatchNorm1d(8)), cycle_start=0, cycle_length=1, num_estimators=5)
        for epoch in range(4):
            for parameter in swag.core_model.parameters():
                parameter.data += 0.01 * torch.randn_like(parameter)
            swag.update_wrapper(epoch)
    for sample in swag.samples:
        sample.train()
    entry = entry_of(swag)
    assert (entry.label, entry.load()[1].what) == ("bayesian", "Monte-Carlo samples of its posterior (5)")
    prediction = entry.predictor(8, 0).probabilities(X)
    assert all(sample.training for sample in swag.samples)
    by_hand = sum(sample.eval()(X).softmax(1) for sample in swag.samples) / 5
    assert torch.allclose(prediction, by_hand, atol=1e-6)


@pytest.mark.parametrize("on_batch", [True, False])
def test_mc_dropout_is_averaged_over_draws_of_passes(on_batch: bool) -> None:
    net = fitted(nn.Dropout(0.3))
    entry = entry_of(methods.mc_dropout(net, num_estimators=4, on_batch=on_batch))
    assert (entry.label, entry.load()[1].what) == ("bayesian", "dropout (Dropout)")
    prediction = entry.predictor(200, 0)
    with torch.no_grad():
        mask = torch.rand(20_000, 1, 8, generator=torch.Generator().manual_seed(2)) > 0.3
        by_hand = net[4](net[:3](X) * mask / 0.7).softmax(-1).mean(0)  # 800 against 20,000 masks
        assert torch.allclose(prediction.probabilities(X), by_hand, atol=0.05)


def test_bayesian_layers_are_averaged_over_and_have_a_mean() -> None:
    layers = pytest.importorskip("torch_uncertainty.layers.bayesian", reason="needs torch-uncertainty")
    with forked_random_state(0):
        net = nn.Sequential(nn.Flatten(), layers.BayesLinear(784, 10, sigma_init=-3.0))
    for network in (net, methods.StochasticModel(net, 3)):
        entry = entry_of(network)
        prediction = entry.predictor(4, 0)
        assert (entry.label, prediction.draws) == ("bayesian", 4)
        assert torch.equal(prediction(X), prediction(X))
    by_hand = F.linear(X.flatten(1), net[1].weight_mu, net[1].bias_mu)
    assert torch.allclose(posterior_mean(net)(X), by_hand, atol=1e-6)


def packed() -> nn.Module:
    layers = pytest.importorskip("torch_uncertainty.layers", reason="needs torch-uncertainty")
    options = {"alpha": 2, "num_estimators": 3}
    return nn.Sequential(
        nn.Flatten(),
        layers.PackedLinear(784, 12, first=True, **options),
        nn.ReLU(),
        layers.PackedLinear(12, 10, last=True, **options),
    )


def batch_ensemble() -> nn.Module:
    net = methods.batch_ensemble(fitted(), num_estimators=3, convert_layers=True)
    for name, parameter in net.named_parameters():
        if name.endswith("gamma_weight") or name.rsplit(".", 1)[-1] in ("r_group", "s_group"):
            parameter.data += 0.3 * torch.randn_like(parameter)
    return net


@pytest.mark.parametrize("network", [packed, batch_ensemble])
def test_what_answers_for_all_members_in_one_pass_is_their_mixture(network: object) -> None:
    with forked_random_state(0):
        net = network().eval()
    entry = entry_of(net)
    assert (entry.label, entry.load()[1].what) == ("ensemble", "the members that one pass answers for (3)")
    by_hand = net(X).view(3, 4, 10).softmax(-1).mean(0)
    assert torch.allclose(entry.predictor(8, 0).probabilities(X), by_hand, atol=1e-6)


def test_it_is_attacked() -> None:
    results = evaluate(methods.deep_ensembles(NETS), "mnist", **FAST)
    assert results.errors == {}
