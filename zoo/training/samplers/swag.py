"""SWAG: a Gaussian with the mean and the covariance of SGD's iterates, over the vector of all weights.

Maddox, Garipov, Izmailov, Vetrov and Wilson 2019, "A Simple Baseline for Bayesian Uncertainty in Deep Learning",
algorithm 1. The low-rank part is of whole weight vectors, so that the covariance between layers is in it.
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
from zoo.catalogue.samplers import Swag
from zoo.seeding import private_generator
from zoo.training.samplers.checkpoint import read, write
from zoo.training.samplers.job import Draws, Job, rounded
from zoo.training.samplers.stochastic_gradient import Gradient, batches_of, minibatches, step

SAVE_EVERY = 10  # epochs between checkpoints


class Moments:
    """Of the weights seen so far, `count` vectors (D,).

    mean: (D,). squares: (D,), the sum of squared distances from the mean. deviations: (K, D), of the last K vectors,
    each from the mean up to it. In float64: variances are small beside the squares of what they are of.
    """

    def __init__(self, dimensions: int, rank: int) -> None:
        self.mean = torch.zeros(dimensions, dtype=torch.float64)
        self.squares = torch.zeros_like(self.mean)
        self.deviations = torch.zeros(0, dimensions, dtype=torch.float64)
        self.rank, self.count = rank, 0

    def add(self, weights: Tensor) -> None:
        """Take in one vector (D,) (Welford 1962, "Note on a method for calculating corrected sums of squares")."""
        exact = weights.double()
        self.count += 1
        before = exact - self.mean
        self.mean = self.mean + before / self.count
        self.squares = self.squares + before * (exact - self.mean)
        self.deviations = torch.cat([self.deviations, (exact - self.mean)[None]])[-self.rank :]

    @property
    def variance(self) -> Tensor:
        """(D,) the diagonal: mean square minus squared mean."""
        return self.squares / self.count

    def draw(self, generator: torch.Generator) -> Tensor:
        """(D,) from N(mean, (diag(variance) + D^T D / (K - 1)) / 2), D the K deviations: equation (1)."""
        own = torch.randn(len(self.mean), generator=generator, dtype=torch.float64)
        shared = torch.randn(len(self.deviations), generator=generator, dtype=torch.float64)
        diagonal = self.variance.sqrt() * own / math.sqrt(2)
        return self.mean + diagonal + shared @ self.deviations / math.sqrt(2 * (len(self.deviations) - 1))


class Collection:
    """SGD that has gone through the first `done` epochs: weights and velocity (D,), moments, losses (E,)."""

    def __init__(self, start: Tensor, rank: int, epochs: int) -> None:
        self.weights, self.velocity = start.clone(), torch.zeros_like(start)
        self.moments = Moments(len(start), rank)
        self.losses = torch.zeros(epochs, dtype=torch.float64)
        self.done, self.seconds = 0, 0.0


def collect(
    gradient: Gradient,
    images: int,
    start: Tensor,
    recipe: Recipe,
    identity: str = "",
    checkpoint: Path | None = None,
    tell: Callable[[Collection], None] = lambda collection: None,
) -> Collection:
    """SGD with momentum and a constant step size from `start` (D,), and the moments of its weights after each epoch.

    recipe: one whose sampler is `Swag`.    identity: of what the gradient is of.    checkpoint: from which it goes on.
    Raises ValueError for weights that stop being finite, and a checkpoint that is damaged or of another collection.
    """
    settings = recipe.sampler
    if not isinstance(settings, Swag):
        raise ValueError(f"the recipe's sampler is {settings}, not Swag")
    batches = batches_of(images, recipe.batch_size)
    of = hashlib.sha256(f"{recipe} {images} {identity} {start.dtype}".encode() + start.numpy().tobytes()).hexdigest()
    collection = Collection(start, settings.rank, recipe.epochs)
    if checkpoint is not None and checkpoint.is_file():
        _load(checkpoint, of, collection)
    while collection.done < recipe.epochs:
        begun, epoch = time.perf_counter(), collection.done
        for index in minibatches(images, recipe.batch_size, "swag", recipe.seed, epoch):
            loss, at = gradient(collection.weights, index)
            collection.weights, collection.velocity = step(
                collection.weights, collection.velocity, at, recipe.max_lr, 1 - settings.momentum
            )
            collection.losses[epoch] += loss / batches
        if not (collection.losses[epoch].isfinite() and collection.weights.isfinite().all()):
            raise ValueError(f"epoch {epoch + 1}: SGD of SWAG diverges; lower max_lr")
        if epoch >= settings.burn_in:
            collection.moments.add(collection.weights)
        collection.done += 1
        collection.seconds += time.perf_counter() - begun
        if checkpoint is not None and (collection.done % SAVE_EVERY == 0 or collection.done == recipe.epochs):
            _save(checkpoint, of, collection)
        tell(collection)
    return collection


def run(job: Job) -> Draws:
    """The Gaussian around what SGD passes from the job's start, and draws of it."""
    recipe, settings, start = job.recipe, job.recipe.sampler, job.trained
    if not isinstance(settings, Swag):
        raise ValueError(f"the recipe's sampler is {settings}, not Swag")
    with tqdm(total=recipe.epochs, desc=settings.title, unit="epoch") as bar:

        def tell(collection: Collection) -> None:
            bar.update(collection.done - bar.n)
            bar.set_postfix(loss=f"{float(collection.losses[collection.done - 1]):.3f}")

        found = collect(job.target.of_batch, len(job.target.labels), start, recipe, job.identity, job.checkpoint, tell)
    drawn = [found.moments.draw(private_generator("swag draw", recipe.seed, i)) for i in range(settings.draws)]
    history = [rounded(epoch=epoch + 1.0, loss=float(loss)) for epoch, loss in enumerate(found.losses)]
    low_rank = found.moments.deviations.square().sum() / (settings.rank - 1)
    figures = {
        "step_size": recipe.max_lr,
        "rank": settings.rank,
        "weights_seen": found.moments.count,
        "share_of_variance_in_low_rank": round(float(low_rank / (low_rank + found.moments.variance.sum())), 4),
    }
    positions = torch.stack(drawn).to(start.dtype)[None]
    return Draws(positions, history, float(recipe.epochs), found.seconds, figures)


def _save(path: Path, identity: str, found: Collection) -> None:
    tensors = {name: getattr(found, name) for name in _SAVED} | {name: getattr(found.moments, name) for name in _SUMS}
    write(path, identity, tensors, done=found.done, seconds=found.seconds, count=found.moments.count)


def _load(path: Path, identity: str, found: Collection) -> None:
    tensors, words = read(path, identity, "done", "seconds", "count")
    for whose, names in ((found, _SAVED), (found.moments, _SUMS)):
        for name in names:
            setattr(whose, name, tensors[name])
    found.done, found.seconds, found.moments.count = int(words["done"]), float(words["seconds"]), int(words["count"])


_SAVED, _SUMS = ("weights", "velocity", "losses"), ("mean", "squares", "deviations")
