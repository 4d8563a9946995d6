"""How a posterior is made of a recipe: the settings of each sampler, and what it asks of the recipe.

A sampler is a class here and a module of `zoo.training.samplers`. What all have in common stands in the recipe:
`epochs`, `max_lr`, `batch_size`, `seed`, `prior`, `images`. Planning reads recipes: nothing here imports torch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from zoo.catalogue.requirements import (
    require_all_images,
    require_as_they_are,
    require_divisible,
    require_ordinary,
    require_prior,
)

if TYPE_CHECKING:
    from zoo.catalogue.recipes import Recipe

Structure = Literal["diag", "kron", "full"]
Subset = Literal["all", "last_layer"]
Begin = Literal["prior", "initialisation"]


class Sampler(ABC):
    """How a posterior is made. title: what it is called.    family: of the entry that it makes.

    counts: the settings that must be positive.    sized_by: the setting that says of how many networks the entry is.
    Raises ValueError, when a recipe is made, for settings that mean nothing or do not fit it.
    """

    title: ClassVar[str]
    family: ClassVar[str] = "bayesian"
    counts: ClassVar[tuple[str, ...]]
    sized_by: ClassVar[str] = "draws"

    def __post_init__(self) -> None:
        for name in self.counts:
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} of {self.title} must be positive, not {value}")

    @property
    def name(self) -> str:
        """What it is called with these settings."""
        return self.title

    @property
    def size(self) -> int:
        """Of how many networks the entry consists."""
        return int(getattr(self, self.sized_by))

    @abstractmethod
    def check(self, recipe: Recipe) -> None:
        """Raises ValueError for a recipe that it cannot be run by."""

    def however_long(self, recipe: Recipe) -> Recipe:
        """See `Recipe.however_long`."""
        return recipe


@dataclass(frozen=True)
class Hmc(Sampler):
    """Full-batch Hamiltonian Monte Carlo; its trajectories are of pi/2 times the prior's standard deviation.

    The recipe's `epochs` are the iterations of each chain, burn-in included, and `max_lr` is the step size that its
    tuning begins at.
    chains: from draws of the prior. burn_in: iterations of each that tune the step size and are thrown away.
    acceptance: mean probability of acceptance that the step size is tuned to.
    every: one sample from so many iterations after burn-in.
    keep: how many of the samples become the network's members, the same number of each chain, evenly spaced.
    """

    chains: int = 4
    burn_in: int = 100
    acceptance: float = 0.8
    every: int = 1
    keep: int = 100

    title: ClassVar[str] = "HMC"
    counts: ClassVar[tuple[str, ...]] = ("chains", "burn_in", "every", "keep")
    sized_by: ClassVar[str] = "keep"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_divisible(self.keep, self.chains, self.title)

    def check(self, recipe: Recipe) -> None:
        require_all_images(recipe, self.title)
        require_as_they_are(recipe, self.title)
        left = max(0, recipe.epochs - self.burn_in)
        if left % self.every or self.chains * left // self.every < self.keep:
            raise ValueError(
                f"{self.chains} chains of {recipe.epochs} iterations, {self.burn_in} of them burn-in, have {left} "
                f"each; one sample from each {self.every} must give at least {self.keep}, and leave no iteration over"
            )

    def however_long(self, recipe: Recipe) -> Recipe:
        return replace(recipe, epochs=self.burn_in + self.every, sampler=replace(self, keep=self.chains))


@dataclass(frozen=True)
class Sghmc(Sampler):
    """Stochastic gradient Hamiltonian Monte Carlo with cyclical step sizes; with friction=1 Langevin dynamics, SGLD.

    The recipe's `epochs` are each chain's, `batch_size` its minibatches, `max_lr` the step size at which each cycle
    begins: on the gradient of the mean loss, as that of any training. It falls along half a cosine.
    begin: where chains do: at draws of the prior, where what the data say nothing about is right from the start, or at
        the architecture's own initialisations, for networks whose units die of the first steps from such a draw.
    cycles: of equal length, a whole number of epochs.
    per_cycle: samples from each, at equal distances in its last part, whose share of the cycle is `cold`, the last
        sample at its end.
    exploration: share of each cycle that comes first and has no noise. It is optimisation, and takes out of the weights
        what the prior alone puts into them; the rest of the cycle must be long enough to bring it back.
    friction: share of the velocity that is lost in each step, 1 minus the momentum.
    coldest: step size at a cycle's end over that at its beginning; 1 for a constant one.
    temperature: of the posterior, p(D | w)^(1/T) p(w)^(1/T); 1 is Bayes.
    burn_in: cycles that come first and give no samples.
    keep: how many of the samples become the network's members, the same number of each chain, evenly spaced.
    """

    chains: int = 4
    cycles: int = 30
    per_cycle: int = 1
    cold: float = 0.1
    exploration: float = 0.0
    friction: float = 0.05
    coldest: float = 0.0
    temperature: float = 1.0
    burn_in: int = 5
    keep: int = 100
    begin: Begin = "prior"

    title: ClassVar[str] = "SGHMC"
    counts: ClassVar[tuple[str, ...]] = ("chains", "cycles", "per_cycle", "keep")
    sized_by: ClassVar[str] = "keep"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_divisible(self.keep, self.chains, self.title)
        for name in ("cold", "coldest", "exploration"):
            if not 0 <= (share := getattr(self, name)) <= 1:
                raise ValueError(f"{name} of SGHMC is a share from 0 to 1, not {share}")
        if not 0 < self.friction <= 1:
            raise ValueError(f"friction of SGHMC must be above 0 and at most 1, not {self.friction}; 1 is SGLD")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature of SGHMC must be 0 or more, not {self.temperature}; 1 is Bayes")
        if self.begin not in get_args(Begin):
            raise ValueError(f"SGHMC begins at one of {', '.join(get_args(Begin))}, not at {self.begin!r}")
        if not 0 <= self.burn_in < self.cycles:
            raise ValueError(f"burn_in of SGHMC is 0 or more of its {self.cycles} cycles, not {self.burn_in}")
        if self.keep > (most := self.chains * self.each):
            raise ValueError(
                f"SGHMC gives {most} samples, {self.per_cycle} of each of {self.cycles} cycles of {self.chains} "
                f"chains after {self.burn_in} of burn-in; keep={self.keep} is more"
            )

    @property
    def name(self) -> str:
        return "SGLD" if self.friction == 1 else self.title

    @property
    def each(self) -> int:
        """How many samples each chain gives."""
        return (self.cycles - self.burn_in) * self.per_cycle

    def check(self, recipe: Recipe) -> None:
        require_prior(recipe, self.title)
        require_as_they_are(recipe, self.title)
        if recipe.images is not None and recipe.batch_size > recipe.images:
            raise ValueError(f"batch_size={recipe.batch_size} of {recipe.images} images: it may be all of them at most")
        if recipe.epochs % self.cycles:
            raise ValueError(f"{self.cycles} cycles are not of whole epochs: {recipe.epochs} are no multiple of them")


@dataclass(frozen=True)
class Swag(Sampler):
    """SWAG: a Gaussian with the mean and covariance of the iterates of SGD, of low rank and diagonal.

    SGD begins at the trained network of `start_from` and goes on for the recipe's `epochs`, with minibatches of
    `batch_size` and the constant step size `max_lr`; the moments are of the weights at the end of each epoch.
    rank: of the last so many of them. burn_in: epochs that come first and do not count. momentum: of SGD.
    draws: samples from the Gaussian.
    """

    rank: int = 20
    draws: int = 100
    momentum: float = 0.9
    burn_in: int = 0

    title: ClassVar[str] = "SWAG"
    counts: ClassVar[tuple[str, ...]] = ("draws",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum of SWAG must be from 0 to below 1, not {self.momentum}")
        if self.burn_in < 0:
            raise ValueError(f"burn_in of SWAG must not be negative, as {self.burn_in} is")
        if self.rank < 2:
            raise ValueError(f"rank of SWAG must be 2 or more, not {self.rank}: it is divided by one less")

    def check(self, recipe: Recipe) -> None:
        require_prior(recipe, self.title)
        require_as_they_are(recipe, self.title, but=("start_from",))
        if recipe.epochs - self.burn_in < self.rank:
            raise ValueError(
                f"SWAG takes the weights at the end of {recipe.epochs - self.burn_in} epochs, fewer than its "
                f"rank of {self.rank}: more epochs, or a lower rank"
            )


@dataclass(frozen=True)
class Ensemble(Sampler):
    """A deep ensemble: networks trained as the recipe says, each with a seed, and so an initialisation, of its own."""

    members: int = 5

    title: ClassVar[str] = "deep ensemble"
    family: ClassVar[str] = "ensemble"
    counts: ClassVar[tuple[str, ...]] = ()
    sized_by: ClassVar[str] = "members"

    def __post_init__(self) -> None:
        if self.members < 2:
            raise ValueError(f"an ensemble has 2 members or more, not {self.members}")

    def check(self, recipe: Recipe) -> None:
        require_ordinary(recipe, "an ensemble")


@dataclass(frozen=True)
class Dropout(Sampler):
    """MC dropout: one network, trained while a random share of its last hidden layer's units is left out at each step.

    A draw leaves out a share of them, too, the same units for all images. rate: the share. draws: how many.
    """

    rate: float = 0.5
    draws: int = 100

    title: ClassVar[str] = "MC dropout"
    counts: ClassVar[tuple[str, ...]] = ("draws",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rate < 1:
            raise ValueError(f"rate of MC dropout is a share above 0 and below 1, not {self.rate}")

    def check(self, recipe: Recipe) -> None:
        require_ordinary(recipe, self.title)
        if recipe.optimizer != "adam":
            raise ValueError(
                f"MC dropout has other units at each step, which {recipe.optimizer} cannot follow: say adam"
            )


@dataclass(frozen=True)
class Laplace(Sampler):
    """A Laplace approximation by laplace-torch: a Gaussian around the trained network of `start_from`.

    The curvature is summed over all images in minibatches of the recipe's `batch_size`. Nothing is trained: `epochs`
    and `max_lr` are 1. The prior is the recipe's.
    structure: of the curvature: diag, kron (KFAC) or full, which holds a matrix of all pairs of weights.
    subset: of the weights that are random: all, or those of the last layer.
    draws: samples from the Gaussian. optimize_prior: another prior precision, of the greatest marginal likelihood.
    """

    structure: Structure = "kron"
    subset: Subset = "all"
    draws: int = 100
    optimize_prior: bool = False

    title: ClassVar[str] = "Laplace"
    counts: ClassVar[tuple[str, ...]] = ("draws",)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (("structure", get_args(Structure)), ("subset", get_args(Subset))):
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"no {name} {value!r} of Laplace; there are: {', '.join(known)}")

    def check(self, recipe: Recipe) -> None:
        require_prior(recipe, self.title)
        require_as_they_are(recipe, self.title, but=("start_from",))
        if (recipe.epochs, recipe.max_lr) != (1, 1):
            raise ValueError(
                f"Laplace trains nothing: say epochs=1, max_lr=1, not {recipe.epochs} and {recipe.max_lr}; what it is "
                "an approximation around is start_from"
            )


def named_samplers() -> dict[str, type[Sampler]]:
    """Every sampler by the word that stands for it on a card."""
    return {sampler.__name__.lower(): sampler for sampler in Sampler.__subclasses__()}
