"""A posterior made by a sampler, from a recipe: of an entry of the zoo, or of any architecture and images."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from zoo.catalogue.recipes import Recipe
from zoo.catalogue.registry import models
from zoo.catalogue.samplers import Sampler
from zoo.datasets import Split
from zoo.files import write_whole
from zoo.networks import build_network
from zoo.posteriors import SampledNetwork
from zoo.seeding import derive_seed, forked_random_state
from zoo.training.figures import figures_of
from zoo.training.full_batch import training_of
from zoo.training.log_posterior import LogPosterior
from zoo.training.samplers import SAMPLERS, Draws, Job
from zoo.training.samplers.job import Row
from zoo.training.subset import Divided, divided

MOST_BYTES = 8_000_000  # of an entry's weights in half precision


@dataclass
class SampledPosterior:
    """What a sampler has made of the weights of an architecture."""

    sampler: Sampler
    target: LogPosterior
    draws: Draws

    @property
    def states(self) -> dict[str, Tensor]:
        """All samples, (chains x samples, ...) by the parameters' names, chain after chain, as precise as sampled."""
        named = self.target.named(self.draws.positions)
        return {name: value.flatten(0, 1).contiguous() for name, value in named.items()}

    @property
    def network(self) -> SampledNetwork:
        """The network of the samples that are kept: as many as the sampler's settings say."""
        kept = thinned(self.draws.positions, self.sampler.size // len(self.draws.positions))
        is_sample = self.sampler.family != "ensemble"
        return SampledNetwork.of(self.target.network, self.target.named(kept), is_sample=is_sample)

    def figures(self, test: Split) -> dict[str, Any]:
        """How it went, whether chains agree on the test images, and what all samples predict: for the model card."""
        return {"sampler": self.sampler.name, **figures_of(self.draws, self.target, test), "kept": self.sampler.size}


def sample(
    build: Callable[[], nn.Module],
    data: Divided,
    recipe: Recipe,
    checkpoint: Path | None = None,
    start: nn.Module | None = None,
    name: str = "network",
) -> SampledPosterior:
    """Sample the posterior of the weights of an architecture given images, as `recipe.sampler` says.

    build: makes the architecture, as it is initialised: pixels (B, C, H, W) in [0, 1] -> logits (B, K). The recipe's
        own `architecture` is not looked at.    data: the images, as of `zoo.training.subset.divided`.
    checkpoint: the file from which a sampling that was killed goes on, to the same samples; None for none.
    start: the trained network that SWAG and Laplace begin at.    name: of the network; its initialisation hangs on it.
    Raises ValueError for a recipe without a sampler, of other images, or without the start that it needs, and as the
    sampler does.
    """
    if recipe.sampler is None:
        raise ValueError(f"{name} is trained, not sampled: its recipe has no sampler")
    if recipe.images not in (None, len(data.labels)):
        raise ValueError(f"{name}: {len(data.labels)} images, where its recipe says {recipe.images}")

    def initialised(*of: object) -> nn.Module:
        with forked_random_state(derive_seed("initialise", *of)):
            return build()

    target = LogPosterior(
        initialised(name, recipe.seed).eval(), data.images.float() / 255, data.labels, recipe.prior or math.inf
    )

    def train(seed: int, path: Path | None, adapt: Callable[[nn.Module], object]) -> nn.Module:
        own, start = recipe.alone(seed), initialised(name, seed)
        adapt(start)
        network, _ = training_of(own)(name, own, data, path, network=start).run()
        return network

    job = Job(
        target,
        recipe,
        lambda which: target.flat(initialised(name, recipe.seed, which)),
        train,
        None if start is None else target.flat(start),
        _identity(f"{name} {target.network}", recipe.however_long, data, start),
        checkpoint,
    )
    return SampledPosterior(recipe.sampler, target, SAMPLERS[type(recipe.sampler)](job))


class Sampling:
    """One sampling of an entry, resumable from `checkpoint`; in use as `zoo.training.loop.Training` is.

    All samples of all chains are afterwards at `samples_path`: safetensors (chains x samples, ...) by the parameters'
    names, chain after chain, in the precision they were sampled in.
    Raises ValueError for a recipe without a sampler, and one whose weights would be more than `MOST_BYTES`.
    """

    def __init__(self, name: str, recipe: Recipe, split: Split, checkpoint: Path) -> None:
        if recipe.sampler is None:
            raise ValueError(f"{name} is trained, not sampled: its recipe has no sampler")
        self.name, self.recipe, self.checkpoint = name, recipe, checkpoint
        self.data = divided(split, recipe.images)
        self.held_out = self.data.held_out
        with forked_random_state(0):
            weights = sum(parameter.numel() for parameter in self._build().parameters())
        if (size := 2 * weights * recipe.sampler.size) > MOST_BYTES:
            raise ValueError(
                f"{name}: {recipe.sampler.size} samples of {weights} weights are {size / 1e6:.1f} MB in half "
                f"precision, and an entry has at most {MOST_BYTES / 1e6:g}: keep {MOST_BYTES // (2 * weights)}"
            )
        self.made: SampledPosterior | None = None

    @property
    def samples_path(self) -> Path:
        """Where all samples are kept."""
        return self.checkpoint.with_name(f"{self.checkpoint.stem}-samples.safetensors")

    def run(self) -> tuple[SampledNetwork, list[Row]]:
        """Sample what is left; the network of the kept samples, and a row of figures an iteration or epoch."""
        start_from = self.recipe.start_from
        start = None if start_from is None else models[start_from].build()
        self.made = sample(self._build, self.data, self.recipe, self.checkpoint, start, self.name)
        write_whole(self.samples_path, save(self.made.states, {"chains": str(len(self.made.draws.positions))}))
        return self.made.network, self.made.draws.history

    def _build(self) -> nn.Module:
        """As it is initialised under the random state there is, which `sample` sets."""
        return build_network(self.recipe.architecture, self.held_out.dataset)

    def figures(self, test: Split) -> dict[str, Any]:
        """See `SampledPosterior.figures`. Raises ValueError before anything was sampled."""
        if self.made is None:
            raise ValueError("nothing has been sampled yet")
        return self.made.figures(test)


def thinned(positions: Tensor, count: int) -> Tensor:
    """(C, N, D) -> (C count, D): of each chain `count`, evenly spaced and the last among them, chain after chain."""
    draws = positions.shape[1]
    return positions[:, [(i + 1) * draws // count - 1 for i in range(count)]].flatten(0, 1)


def _identity(of: str, recipe: Recipe, data: Divided, start: nn.Module | None) -> str:
    """A digest of all that determines the samples but the architecture's code. of: which network, in words."""
    digest = hashlib.sha256(f"{of} {recipe}".encode())
    values = () if start is None else (parameter.detach() for parameter in start.parameters())
    for value in (data.images, data.labels, *values):
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()
