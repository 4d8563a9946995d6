"""Samples of `posteriors` and of Pyro, and Pyro's guides. Needs those packages: `tox -e foreign`."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from benchmark import evaluate
from tests.foreign.networks import FAST, X, entry_of, fitted, images
from zoo.posteriors import posterior_mean
from zoo.seeding import isolated_random_state


def average(net: nn.Module, states: list[dict[str, Tensor]]) -> Tensor:
    return sum(functional_call(net, state, (X,)).softmax(1) for state in states) / len(states)


def test_samples_of_posteriors_are_averaged() -> None:
    posteriors = pytest.importorskip("posteriors", reason="needs posteriors")
    net, batch = fitted(), images()

    def log_posterior(parameters: dict[str, Tensor], batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        logits = functional_call(net, parameters, (batch[0],))
        return -F.cross_entropy(logits, batch[1]), logits

    sampler = posteriors.sgmcmc.sgld.build(log_posterior, lr=1e-3, temperature=1e-2)
    samples = []
    with isolated_random_state(0):
        state = sampler.init({name: value.detach() for name, value in net.named_parameters()})
        for _ in range(4):
            state, _ = sampler.update(state, batch)
            samples.append(state.params)
    entry = entry_of(samples, template=net)
    assert (entry.label, entry.load()[1].what) == ("bayesian", "Monte-Carlo samples of its posterior (4)")
    assert torch.allclose(entry.predictor(8, 0).probabilities(X), average(net, samples), atol=1e-6)


def test_draws_of_posteriors_come_stacked() -> None:
    posteriors = pytest.importorskip("posteriors", reason="needs posteriors")
    net = fitted()
    mean = {name: value.detach() for name, value in net.named_parameters()}
    state = posteriors.laplace.diag_fisher.init(mean, init_prec_diag=100.0)
    with isolated_random_state(0):
        stacked = posteriors.laplace.diag_fisher.sample(state, (5,))
    states = [{name: stack[index] for name, stack in stacked.items()} for index in range(5)]
    prediction = entry_of(stacked, template=net).predictor(8, 0)
    assert torch.allclose(prediction.probabilities(X), average(net, states), atol=1e-6)


@pytest.fixture
def guide() -> Any:
    """A normal distribution around the weights of `fitted()`, which a model holds as `net`."""
    pyro = pytest.importorskip("pyro", reason="needs pyro-ppl")
    from pyro.nn import PyroModule, PyroSample
    from pyro.nn.module import to_pyro_module_

    class Model(PyroModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = copy.deepcopy(fitted())
            to_pyro_module_(self.net)
            for part in self.net.modules():
                for name, value in list(part.named_parameters(recurse=False)):
                    prior = pyro.distributions.Normal(0.0, 1.0).expand(value.shape).to_event(value.dim())
                    setattr(part, name, PyroSample(prior))

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)

    state = fitted().state_dict()
    with isolated_random_state(0):
        pyro.clear_param_store()
        found = pyro.infer.autoguide.AutoNormal(
            Model(), init_loc_fn=lambda site: state[site["name"].removeprefix("net.")], init_scale=0.05
        )
        found(X)
    return found


def test_a_guide_is_drawn_from(guide: Any, untouched_global_state: None) -> None:
    entry = entry_of(guide, template=fitted())
    network, posterior = entry.load()
    assert (entry.label, posterior.what) == ("bayesian", "what its method draw(generator) gives")
    weights = torch.stack([draw[1].weight for draw in posterior.draws(200, 0)])
    mean = fitted()[1].weight
    assert torch.allclose(posterior_mean(network, posterior)[1].weight, mean, atol=1e-6)
    assert (weights.mean(0) - mean).abs().max() < 6 * 0.05 / 200**0.5
    assert abs(weights.std(0).mean() - 0.05) < 0.001


def test_samples_of_a_guide_are_averaged(guide: Any) -> None:
    import pyro

    with isolated_random_state(0):
        samples = pyro.infer.Predictive(guide, num_samples=6)(X)
    states = [
        {name: samples[f"net.{name}"][index].reshape(value.shape) for name, value in fitted().named_parameters()}
        for index in range(6)
    ]
    prediction = entry_of(samples, template=fitted()).predictor(8, 0)
    assert torch.allclose(prediction.probabilities(X), average(fitted(), states), atol=1e-6)


def test_a_guide_is_attacked_and_left_as_it_is(guide: Any) -> None:
    before = {name: value.detach().clone() for name, value in guide.named_parameters()}
    assert evaluate(guide, "mnist", template=fitted(), draws=2, **FAST).errors == {}
    assert all(torch.equal(value, before[name]) for name, value in guide.named_parameters())
    assert all(value.requires_grad for value in guide.parameters())
