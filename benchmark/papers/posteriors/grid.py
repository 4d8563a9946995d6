"""The study's networks: problems, and how each kind of posterior of their weights is made. Pure: no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from zoo.catalogue.recipes import Recipe
from zoo.catalogue.samplers import Ensemble, Hmc, Laplace, Sampler, Sghmc, Swag

TRAININGS = 3  # of every posterior, and chains of what has chains
NUMBERS = range(1, TRAININGS + 1)  # of the trainings


@dataclass(frozen=True)
class Posterior:
    """A kind of posterior of one problem.

    recipe: of one training; its seed is the training's number. Where `recipe.sampler` has chains, each is a training.
    words: what it is, for tables.
    mean_field: whether a Gaussian is fitted to every weight, whose share of the KL the recipe says: the temperature.
    rho: that its standard deviations begin at, softplus(rho).
    dropout: share of the last hidden layer's units that are left out, in training and in every draw.
    starts_at_map: whether it begins at the maximum of the same training.
    as_published: full-batch HMC as in Carbone et al. 2020: of trajectories of .05, 50 for warm-up and 9 samples, from
        which as many members as others have are drawn with replacement.
    """

    recipe: Recipe
    words: str
    mean_field: bool = False
    rho: float = -5.0
    dropout: float = 0.0
    starts_at_map: bool = False
    as_published: bool = False

    @property
    def has_chains(self) -> bool:
        """Whether one sampling gives all trainings, a chain each."""
        return isinstance(self.recipe.sampler, Hmc | Sghmc)


@dataclass(frozen=True)
class Problem:
    """One architecture and one set of images, and every kind of posterior of its weights.

    size: how many members a posterior has, where it does not say itself.
    """

    name: str
    dataset: str
    architecture: str
    images: int | None
    prior: float
    size: int
    posteriors: Mapping[str, Posterior] = field(repr=False)


MAP, EXACT = "map", "hmc"
PUBLISHED = "hmc-published"


def _mlp() -> Problem:
    """784-50-10 with softplus, on 5,000 images: small enough for every sampler."""
    size, images = 100, 5000
    exact = Recipe("mlp-50", 5, 1.0, images, prior=0.3, images=images, optimizer="l-bfgs")
    minibatches = replace(exact, epochs=60, max_lr=3e-3, batch_size=100, optimizer="adam", kl_constant=1.0)

    def sampled(sampler: Sampler, epochs: int, rate: float, batch: int = 100) -> Recipe:
        return replace(minibatches, epochs=epochs, max_lr=rate, batch_size=batch, sampler=sampler)

    def mean_field(temperature: float) -> Posterior:
        recipe = replace(minibatches, prior=None, epochs=200, kl_constant=temperature)
        return Posterior(recipe, f"mean-field Gaussian, temperature {temperature:g}", mean_field=True)

    def laplace(**settings: str) -> Recipe:
        return sampled(Laplace(draws=size, **settings), 1, 1.0, 500)  # type: ignore[arg-type]

    every = TRAININGS * size
    cyclical = Sghmc(TRAININGS, 60, per_cycle=2, cold=0.25, burn_in=10, friction=0.2, keep=every)
    posteriors = {
        MAP: Posterior(exact, "one network, the maximum of the posterior"),
        "ensemble-5": Posterior(replace(exact, sampler=Ensemble(5)), "deep ensemble of 5"),
        "ensemble-10": Posterior(replace(exact, sampler=Ensemble(10)), "deep ensemble of 10"),
        "dropout": Posterior(minibatches, "MC dropout, half of the hidden units", dropout=0.5),
        **{f"mean-field-t{t:g}": mean_field(t) for t in (1.0, 0.3, 0.1, 0.03, 0.01)},
        **{
            name: Posterior(
                sampled(Swag(rank=20, draws=size, burn_in=20), 120, step),
                f"SWAG, rank 20, step {step}",
                starts_at_map=True,
            )
            for name, step in (("swag", 0.05), ("swag-wide", 0.2))
        },
        "laplace-last": Posterior(
            laplace(structure="full", subset="last_layer"), "Laplace, last layer", starts_at_map=True
        ),
        "laplace-diag": Posterior(laplace(structure="diag"), "Laplace, diagonal", starts_at_map=True),
        "laplace-kron": Posterior(laplace(structure="kron"), "Laplace, KFAC", starts_at_map=True),
        "sgld": Posterior(sampled(replace(cyclical, friction=1.0), 960, 0.3), "SGLD, cyclical"),
        "sghmc": Posterior(sampled(cyclical, 960, 0.1), "SGHMC, cyclical"),
        EXACT: Posterior(sampled(Hmc(TRAININGS, 20, keep=every), 120, 6.5e-3, images), "full-batch HMC"),
        PUBLISHED: Posterior(exact, "HMC as published (Carbone et al. 2020)", as_published=True),
    }
    return Problem("mlp", "mnist", "mlp-50", images, 0.3, size, posteriors)


PROBLEMS: dict[str, Problem] = {problem.name: problem for problem in (_mlp(),)}
