"""The paper's experiments: table 1 to its last digit, errors against closed forms, figures from real networks."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmark.papers.uncertainty_propagation import accuracy, and_gate, cost, networks, normalisation, stability
from benchmark.papers.uncertainty_propagation.normalisation import pixel_statistics
from zoo.catalogue.recipes import Recipe
from zoo.datasets import load_split
from zoo.networks import Preprocess
from zoo.propagation.statistics import AnalyticNormalisation
from zoo.propagation.units import BernoulliDropout
from zoo.seeding import forked_random_state, private_generator


def test_the_gate_has_the_papers_parameters_and_table() -> None:
    layer = and_gate.gate()
    assert torch.sigmoid(layer(torch.tensor([[1.0, 1.0], [1.0, 0.0]], dtype=torch.float64))).flatten().tolist() == (
        pytest.approx([0.95, 0.05])
    )
    found = and_gate.table()
    assert found["expectation"].tolist() == pytest.approx(found["expectation, paper"].tolist(), rel=0.06)
    assert found["AP1"].tolist() == pytest.approx(found["AP1, paper"].tolist(), rel=0.06)
    between = found[found["P(x1)"] == found["P(x2)"]].iloc[2:]  # inputs that are neither 0 nor 1
    for method in ("AP2a", "AP2b"):
        assert ((between[method] - between["expectation"]).abs() < 0.06).all()
    assert (between["AP2b"] - between["expectation"]).abs().max() < (
        between["AP1"] - between["expectation"]
    ).abs().max()


def linear_network() -> nn.Sequential:
    """For which AP2 is exact where a unit meets an independent input once."""
    with forked_random_state(0):
        return nn.Sequential(
            OrderedDict(
                input=Preprocess((0.0,), (1.0,), pad=0),
                drop=BernoulliDropout(0.2),
                flatten=nn.Flatten(),
                F1=nn.Linear(16, 3),
            )
        ).eval()


def test_errors_of_a_network_that_propagation_is_exact_for_are_those_of_sampling() -> None:
    network = linear_network()
    with torch.no_grad():
        network.get_submodule("F1").weight *= 4  # logits so uncertain that a softmax of their means is wrong
    images = torch.rand(4, 1, 4, 4, generator=private_generator("linear"))
    rows = {str(row["stage"]): row for row in accuracy.errors(network, images, noise=2.0, samples=20_000)}
    for stage in ("drop", "F1"):
        assert rows[stage]["AP1, mean"] == pytest.approx(0, abs=0.02)  # a mean goes through linear layers as it is
        assert rows[stage]["AP2, mean"] == pytest.approx(0, abs=0.02)
        assert rows[stage]["AP2, sigma"] == pytest.approx(1, abs=0.02)
    assert rows["softmax"]["AP2, KL"] < rows["softmax"]["AP1, KL"]


def test_sampled_moments_are_those_of_the_noise() -> None:
    chain = linear_network()[1:]
    x = torch.full((2, 1, 4, 4), 0.5)
    (dropped, *_), log_p = accuracy.sampled_moments(chain, x, 0.04, 20_000)
    # variance of z (x + e), z in {0, 1.25}: (0.04 + 0.2 * 0.25) / 0.8
    assert dropped.mean.mean().item() == pytest.approx(0.5, abs=0.005)
    assert dropped.variance.mean().item() == pytest.approx((0.04 + 0.05) / 0.8, rel=0.02)
    assert log_p.exp().sum(-1).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("network", ["lenet", "nine-layers"])
def test_measured_normalisation_is_exact_and_the_propagated_one_near(network: str) -> None:
    _, build = networks.NETWORKS[network]
    shape = (1, 28, 28) if network == "lenet" else (3, 32, 32)
    images = torch.rand(60, *shape, generator=private_generator("normalisation", network))
    pixels = normalisation.Moments(images.mean((0, 2, 3)), images.var((0, 2, 3)))
    rows = normalisation.errors(normalisation.started(network, "batch normalisation", images), images, pixels)
    linear = [row for row in rows if str(row["stage"])[0] in "CF"]
    assert len(linear) == (4 if network == "lenet" else 9)
    for row in linear:
        assert row["|mean|, measured"] == pytest.approx(0, abs=1e-3)
        assert row["sigma, measured"] == pytest.approx(1, abs=1e-2)
    # independent pixels and random weights, the case that propagation is for: a convolution without padding is exact
    first = next(row for row in normalisation.errors(build(nn.ReLU), images, pixels) if row["stage"] == "C1")
    assert first["factor of sigma"] == pytest.approx(1, abs=0.1 if network == "lenet" else 0.2)


@pytest.mark.parametrize(
    ("method", "wrap"),
    [("sample", None), ("AP2", None), ("AP2", lambda chain: AnalyticNormalisation(chain, pixel_statistics("mnist")))],
    ids=["sampled", "propagated", "propagated and normalised"],
)
def test_every_kind_of_training_learns_and_goes_on(
    method: networks.Method, wrap: Callable[[nn.Sequential], nn.Module] | None, tmp_path: Path
) -> None:
    """LeNet with dropout after every activation, on 2,000 images."""
    test = load_split("mnist", "test")
    few = dataclasses.replace(test, name="train", images=test.images[:2000], labels=test.labels[:2000])
    recipe = Recipe("lenet", epochs=3, max_lr=3e-3, batch_size=64)
    build = functools.partial(networks.lenet, networks.ACTIVATIONS["LReLU, dropout"])
    chain, history = networks.trained("mnist/few", build, method, recipe, few, tmp_path, wrap)
    assert history[-1]["validation accuracy"] > 0.85
    again, same = networks.trained("mnist/few", build, method, recipe, few, tmp_path, wrap)
    assert same == history
    for ours, theirs in zip(chain.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_noise_and_attack_are_what_they_say() -> None:
    x = torch.zeros(50, 1, 28, 28)
    assert stability.noisy(x, 0.3).std().item() == pytest.approx(0.3, rel=0.02)
    assert torch.equal(stability.noisy(x, 0.3), stability.noisy(x, 0.3))
    assert torch.equal(stability.noisy(x, 0.0), x)


def test_propagated_units_make_the_network_stabler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's statement, on all test images: as accurate, and steadier under noise and under attack."""
    monkeypatch.setattr(stability, "SIGMAS", (0.0, 0.5))
    monkeypatch.setattr(stability, "EPS", (0.05,))
    found = stability.measured().set_index(["entry", "under", "size"])["accuracy"]
    standard, ap2 = (found[name] for name in stability.NETWORKS)
    assert math.isclose(standard["noise", 0.0], ap2["noise", 0.0], abs_tol=0.01)
    assert ap2["noise", 0.5] > standard["noise", 0.5] + 0.05
    assert ap2["attack", 0.05] > standard["attack", 0.05] + 0.1


def test_what_is_timed_are_predictions_and_gradients_of_one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = linear_network()  # with dropout at its input
    x, y = torch.rand(6, 1, 4, 4, generator=private_generator("cost")), torch.arange(6) % 3
    monkeypatch.setattr(cost, "SAMPLES", (4000,))
    forward, both = cost.works(chain, x, y).values()
    with torch.no_grad():
        standard = chain(x).log_softmax(-1)
        assert torch.equal(cost.predictions(chain)["AP1"](x), standard)
    log_p = {name: work() for name, work in forward.items()}
    exact = log_p["4000 samples"].exp()
    assert (log_p["AP2"].exp() - exact).abs().max() < 0.01
    assert (log_p["AP1"].exp() - exact).abs().max() > (log_p["AP2"].exp() - exact).abs().max()
    gradients = {name: work() for name, work in both.items()}
    for found in gradients.values():
        assert [gradient.shape for gradient in found] == [parameter.shape for parameter in chain.parameters()]
    (weight, _), (sampled, _) = gradients["AP2"], gradients["4000 samples"]
    assert torch.nn.functional.cosine_similarity(weight.flatten(), sampled.flatten(), dim=0) > 0.99


def test_costs_are_multiples_of_the_standard_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "TIMED", {"lenet": cost.TIMED["lenet"]})
    monkeypatch.setattr(cost, "SAMPLES", (2,))
    found = cost.table(repeats=2)
    assert found["propagation"].tolist() == ["AP1", "AP2", "2 samples"] * len(cost.UNITS)
    standard = found[found["propagation"] == "AP1"]
    for kind in ("forward", "forward and backward"):
        assert set(standard[kind]) == {"1"}
        assert found[kind].str.match(r"1$|[0-9.]+ \([0-9.]+ to [0-9.]+\)$").all()
