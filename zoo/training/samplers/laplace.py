"""Laplace approximations, by laplace-torch: a Gaussian of the curvature of the log posterior at a trained network.

Daxberger et al. 2021, "Laplace Redux – Effortless Bayesian Deep Learning". Networks are made of weights drawn from it;
the predictive of the linearised network is another posterior, and not this one.
"""

from __future__ import annotations

import copy
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters
from torch.utils.data import DataLoader, TensorDataset

from zoo.catalogue.samplers import Laplace
from zoo.seeding import derive_seed, isolated_random_state, private_generator
from zoo.training.log_posterior import LogPosterior
from zoo.training.samplers.job import Draws, Job, rounded

JACOBIANS = 2**24  # numbers that those of a minibatch may hold
INSTALL = "pip install 'laplace-torch>=0.3'"


def library() -> Any:
    """The package laplace. Raises ValueError, with the remedy, where it is not installed."""
    try:
        import laplace  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise ValueError(f"a Laplace approximation needs laplace-torch ({error}): {INSTALL}") from error
    return laplace


def fitted(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    prior: float,
    settings: Laplace,
    batch_size: int,
    likelihood: str = "classification",
    noise: float = 1.0,
    progress: bool = False,
) -> Any:
    """The approximation around a trained network, of laplace-torch's own class, its curvature summed over all images.

    batch_size: of the pass through the images; smaller where the Jacobians of a minibatch would be too large.
    likelihood: classification, or regression with noise of this standard deviation. The network is copied.
    """
    laplace = library()
    # some of its curvatures draw, and none of them takes a generator
    with isolated_random_state(derive_seed("laplace")):
        found = laplace.Laplace(
            copy.deepcopy(network).eval(),
            likelihood,
            subset_of_weights=settings.subset,
            hessian_structure=settings.structure,
            prior_precision=1 / prior**2,
            **({"sigma_noise": noise} if likelihood == "regression" else {}),
        )
        with torch.no_grad():
            outputs = network(images[:1]).numel()
        if settings.structure != "kron":  # which alone needs no Jacobians of all images of a minibatch
            size = outputs * sum(parameter.numel() for parameter in network.parameters())
            batch_size = min(batch_size, max(1, JACOBIANS // size))
        found.fit(DataLoader(TensorDataset(images, labels), batch_size=batch_size), progress_bar=progress)
        if settings.optimize_prior:
            found.optimize_prior_precision(method="marglik")
    return found


def draws_of(found: Any, target: LogPosterior, start: Tensor, count: int, seed: int) -> Tensor:
    """(count, D) weights drawn from an approximation: all, or those of the last layer with the others of `start`."""
    drawn: Tensor = found.sample(count, generator=private_generator("laplace", seed)).detach().to(start.dtype)
    last = getattr(found.model, "_last_layer_name", None)
    if last is None:
        return drawn
    weights = start.expand(count, -1).clone()
    numbers = target.named(torch.arange(target.size))  # of the weights, by the names of their parameters
    random = torch.cat([own.flatten() for name, own in numbers.items() if name.rpartition(".")[0] == last])
    weights[:, random] = drawn
    return weights


def run(job: Job) -> Draws:
    """The approximation around the job's start, and draws of it. Not resumed: it is one pass through the images."""
    recipe, settings, target, start = job.recipe, job.recipe.sampler, job.target, job.trained
    if not isinstance(settings, Laplace):
        raise ValueError(f"the recipe's sampler is {settings}, not Laplace")
    begun = time.perf_counter()
    network = copy.deepcopy(target.network)
    vector_to_parameters(start, network.parameters())
    found = fitted(network, target.images, target.labels, target.prior, settings, recipe.batch_size, progress=True)
    positions = draws_of(found, target, start, settings.draws, recipe.seed)[None]
    _, (gradient,) = target(start[None])
    figures = {
        "structure": settings.structure,
        "subset": settings.subset,
        "prior_precision": [round(float(value), 6) for value in found.prior_precision.detach().flatten()],
        "prior_precision_of_recipe": round(1 / target.prior**2, 6),
        # of the log posterior an image: 0 at a maximum, which the approximation takes the start for
        "gradient_norm_at_start": float(f"{float(gradient.norm()) / len(target.labels):.4g}"),
    }
    loss = -float(target.log_density(start)) / len(target.labels)
    return Draws(positions, [rounded(epoch=1.0, loss=loss)], 1.0, time.perf_counter() - begun, figures)
