"""MC dropout: a network trained with dropout, whose draws leave out units as its training did.

Gal and Ghahramani 2016, "Dropout as a Bayesian Approximation". A draw is one choice of units for all images: what is
left out is in its weights, so that a draw is a network, frozen as those of every other posterior are.
"""

from __future__ import annotations

import time

import torch
from torch import nn

from zoo.catalogue.samplers import Dropout
from zoo.seeding import private_generator
from zoo.training.samplers.job import Draws, Job, rounded


def last_linear(network: nn.Module) -> str:
    """The name of the layer that gives the logits. Raises ValueError where that is no linear layer."""
    *_, (name, layer) = network.named_children()
    if not isinstance(layer, nn.Linear):
        raise ValueError(f"dropout is before the last layer, a linear one; here it is {name}, {type(layer).__name__}")
    return name


def run(job: Job) -> Draws:
    """Train the network, and draw which units of its last hidden layer are left out."""
    recipe, settings, begun = job.recipe, job.recipe.sampler, time.perf_counter()
    if not isinstance(settings, Dropout):
        raise ValueError(f"the recipe's sampler is {settings}, not Dropout")
    name = last_linear(job.target.network)

    def drop(network: nn.Module) -> None:
        network.register_module(name, nn.Sequential(nn.Dropout(settings.rate), network.get_submodule(name)))

    trained = job.train(recipe.seed, job.beside("trained"), drop)
    trained.register_module(name, trained.get_submodule(name)[1])  # type: ignore[index]
    whole = job.target.flat(trained)
    states = job.target.named(whole.repeat(settings.draws, 1))
    weight = states[f"{name}.weight"]  # (S, K, units)
    generator = private_generator("dropout draws", recipe.seed)
    kept = torch.rand(settings.draws, 1, weight.shape[-1], generator=generator) >= settings.rate
    states[f"{name}.weight"] = weight * kept / (1 - settings.rate)
    positions = torch.cat([value.flatten(1) for value in states.values()], 1)
    energy = -job.target.log_density(whole) / len(job.target.labels)
    history = [rounded(epoch=float(recipe.epochs), loss=float(energy))]
    return Draws(positions[None], history, float(recipe.epochs), time.perf_counter() - begun, {"rate": settings.rate})
