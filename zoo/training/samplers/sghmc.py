"""Stochastic gradient MCMC with cyclical step sizes: SGHMC, and SGLD as its case of friction 1.

Zhang, Li, Zhang, Chen and Wilson 2020, "Cyclical Stochastic Gradient MCMC for Bayesian Deep Learning": the step size
falls in each of several cycles along half a cosine (equation 1); a cycle first explores, without noise, then samples.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from zoo.catalogue.recipes import Recipe
from zoo.catalogue.samplers import Sghmc
from zoo.seeding import private_generator
from zoo.training.samplers.checkpoint import read, write
from zoo.training.samplers.job import Draws, Job, rounded
from zoo.training.samplers.stochastic_gradient import Gradient, batches_of, minibatches, noise_scale, step

SAVE_EVERY = 10  # epochs between checkpoints


class Chains:
    """C chains that have gone through the first `done` epochs.

    positions: (C, N, D) samples.    weights, velocity: (C, D), where the chains are.
    losses: (E, C), the mean over an epoch's minibatches of their mean negative log-likelihoods.
    """

    def __init__(self, starts: Tensor, settings: Sghmc, epochs: int) -> None:
        chains, dimensions = starts.shape
        self.positions = starts.new_zeros(chains, settings.each, dimensions)
        self.weights, self.velocity = starts.clone(), torch.zeros_like(starts)
        self.losses = torch.zeros(epochs, chains, dtype=torch.float64)
        self.done, self.seconds = 0, 0.0


def sample(
    gradient: Gradient,
    images: int,
    starts: Tensor,
    recipe: Recipe,
    identity: str = "",
    checkpoint: Path | None = None,
    tell: Callable[[Chains], None] = lambda chains: None,
) -> Chains:
    """Sample from C chains that begin at `starts` (C, D), in their precision, by gradients of minibatches of `images`.

    recipe: one whose sampler is `Sghmc`.    identity: of what the gradient is of.
    checkpoint: safetensors from which a sampling that was killed goes on, to the same samples: every random number is
        derived from (seed, chain, iteration). Written every `SAVE_EVERY` epochs and at the end.
    tell: called after each epoch.
    Raises ValueError for starts that are not finite, a cycle with too few steps for its samples, a chain that diverges,
    and a checkpoint that is damaged or of another sampling.
    """
    settings = recipe.sampler
    if not isinstance(settings, Sghmc):
        raise ValueError(f"the recipe's sampler is {settings}, not Sghmc")
    if starts.ndim != 2 or not starts.numel() or not starts.isfinite().all():
        raise ValueError(f"starts of SGHMC are finite, a vector a chain (C, D); these {tuple(starts.shape)} are not")
    batches = batches_of(images, recipe.batch_size)
    length = recipe.epochs // settings.cycles * batches  # of a cycle, in steps
    taken = sampled_steps(length, settings)
    of = hashlib.sha256(f"{recipe} {images} {identity} {starts.dtype}".encode() + starts.numpy().tobytes()).hexdigest()
    chains = Chains(starts, settings, recipe.epochs)
    if checkpoint is not None and checkpoint.is_file():
        _load(checkpoint, of, chains)
    while chains.done < recipe.epochs:
        begun, epoch = time.perf_counter(), chains.done
        for chain in range(len(starts)):
            for batch, index in enumerate(minibatches(images, recipe.batch_size, recipe.seed, chain, epoch)):
                iteration = epoch * batches + batch
                cycle, now = divmod(iteration, length)
                loss, at = gradient(chains.weights[chain], index)
                step_size = recipe.max_lr * cooled(now / length, settings.coldest)
                noise = None
                if now >= settings.exploration * length:
                    generator = private_generator("sghmc", recipe.seed, chain, iteration)
                    noise = torch.randn(len(at), generator=generator, dtype=at.dtype)
                    noise *= noise_scale(step_size, settings.friction, settings.temperature, images)
                chains.weights[chain], chains.velocity[chain] = step(
                    chains.weights[chain], chains.velocity[chain], at, step_size, settings.friction, noise
                )
                chains.losses[epoch, chain] += loss / batches
                if cycle >= settings.burn_in and (row := taken.get(now)) is not None:
                    row += (cycle - settings.burn_in) * settings.per_cycle
                    chains.positions[chain, row] = chains.weights[chain]
        if not (chains.losses[epoch].isfinite().all() and chains.weights.isfinite().all()):
            losses = [round(loss, 3) for loss in chains.losses[epoch].tolist()]
            raise ValueError(f"epoch {epoch + 1}: a chain of SGHMC diverges (losses {losses}); lower max_lr")
        chains.done += 1
        chains.seconds += time.perf_counter() - begun
        if checkpoint is not None and (chains.done % SAVE_EVERY == 0 or chains.done == recipe.epochs):
            tensors = {name: getattr(chains, name) for name in _SAVED}
            write(checkpoint, of, tensors, done=chains.done, seconds=chains.seconds)
        tell(chains)
    return chains


def cooled(passed: float, coldest: float) -> float:
    """The step size, as a share of the largest, when this share of a cycle has passed: equation (1) for coldest = 0."""
    return coldest + (1 - coldest) * (1 + math.cos(math.pi * passed)) / 2


def sampled_steps(length: int, settings: Sghmc) -> dict[int, int]:
    """The steps (from 0) of a cycle of `length` steps after which a sample is taken, and which of its samples.

    Raises ValueError where these are fewer steps than samples.
    """
    last = math.floor(length * min(settings.cold, 1 - settings.exploration) + 1e-9)
    if last < settings.per_cycle:
        raise ValueError(
            f"a cycle of {length} steps is sampled in its last {last}, too few for {settings.per_cycle} samples: fewer "
            "cycles, smaller minibatches, more epochs or a larger share"
        )
    parts = range(settings.per_cycle)
    return {length - last + (part + 1) * last // settings.per_cycle - 1: part for part in parts}


def run(job: Job) -> Draws:
    """Sample a job's target."""
    recipe, settings = job.recipe, job.recipe.sampler
    if not isinstance(settings, Sghmc):
        raise ValueError(f"the recipe's sampler is {settings}, not Sghmc")
    images = len(job.target.labels)
    if settings.begin == "prior":
        starts = job.from_prior("sghmc start", settings.chains)
    else:
        starts = torch.stack([job.fresh(chain) for chain in range(settings.chains)])
    with tqdm(total=recipe.epochs, desc=settings.name, unit="epoch") as bar:

        def tell(chains: Chains) -> None:
            bar.update(chains.done - bar.n)
            bar.set_postfix(loss=f"{float(chains.losses[chains.done - 1].mean()):.3f}")

        chains = sample(job.target.of_batch, images, starts, recipe, job.identity, job.checkpoint, tell)
    per_cycle = recipe.epochs // settings.cycles
    history = [
        rounded(
            epoch=epoch + 1.0,
            loss=float(chains.losses[epoch].mean()),
            step_size=recipe.max_lr * cooled(epoch % per_cycle / per_cycle, settings.coldest),
        )
        for epoch in range(recipe.epochs)
    ]
    figures = {
        "cycles": settings.cycles,
        "burn_in": settings.burn_in,
        "samples_per_cycle": settings.per_cycle,
        "friction": settings.friction,
        "temperature": settings.temperature,
        "step_size": recipe.max_lr,
    }
    passes = float(recipe.epochs * settings.chains)
    return Draws(chains.positions, history, passes, chains.seconds, figures)


_SAVED = ("positions", "weights", "velocity", "losses")


def _load(path: Path, identity: str, chains: Chains) -> None:
    tensors, words = read(path, identity, "done", "seconds")
    for name in _SAVED:
        setattr(chains, name, tensors[name])
    chains.done, chains.seconds = int(words["done"]), float(words["seconds"])
