"""What a sampler is given, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.catalogue.recipes import Recipe
from zoo.seeding import private_generator
from zoo.training.log_posterior import LogPosterior

Row = dict[str, float]  # figures of an iteration or an epoch, by their names


@dataclass(frozen=True)
class Job:
    """What a sampler is given.

    target: the density of the weights.    recipe: how it is sampled, sampler and seed included.
    fresh: (which) -> (D,) weights as the architecture initialises them, others for every number.
    train: (seed, checkpoint, adapt) -> a network trained by itself as the recipe says, sampler aside; `adapt` changes
        it where it is initialised.
    start: (D,) weights of the trained network to begin at; None where nothing is.
    identity: of all that determines the samples.    checkpoint: the file from which a killed sampling goes on.
    """

    target: LogPosterior
    recipe: Recipe
    fresh: Callable[[int], Tensor]
    train: Callable[[int, Path | None, Callable[[nn.Module], object]], nn.Module]
    start: Tensor | None = None
    identity: str = ""
    checkpoint: Path | None = None

    @property
    def trained(self) -> Tensor:
        """The start. Raises ValueError where there is none."""
        if self.start is None:
            title = self.recipe.sampler.title if self.recipe.sampler else "a sampler"
            raise ValueError(f"{title} begins at a trained network: say start_from in the recipe, or give start")
        return self.start

    def beside(self, what: str) -> Path | None:
        """Where a network trained for this sampling has its checkpoint: what is there is believed to be its own."""
        path = self.checkpoint
        return None if path is None else path.with_name(f"{path.stem}-{self.identity[:12]}-{what}.safetensors")

    def from_prior(self, purpose: str, chains: int) -> Tensor:
        """(C, D) draws of the prior: where chains begin."""
        generators = [private_generator(purpose, self.recipe.seed, chain) for chain in range(chains)]
        drawn = [torch.randn(self.target.size, generator=generator) for generator in generators]
        return self.target.prior * torch.stack(drawn)


@dataclass
class Draws:
    """What a sampler gives.

    positions: (C, N, D), N samples of each of C chains; of what has no chains, all of one.
    history: a row an iteration or epoch.    figures: how it went, for the model card.
    passes: through all images, forward and back.    seconds: spent by all the processes that had a part in it.
    """

    positions: Tensor
    history: list[Row]
    passes: float
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)


def rounded(**row: float) -> Row:
    """A row for the card, names with spaces, in six digits."""
    return {name.replace("_", " "): float(f"{value:.6g}") for name, value in row.items()}
