"""The study's networks: problems, and how each kind of posterior of their weights is made. Pure: no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from zoo.catalogue.recipes import RECIPES, Recipe
from zoo.catalogue.samplers import Dropout, Ensemble, Hmc, Laplace, Sampler, Sghmc, Swag

TRAININGS = 3  # of every posterior, and chains of what has chains
NUMBERS = range(1, TRAININGS + 1)  # of the trainings


@dataclass(frozen=True)
class Posterior:
    """A kind of posterior of one problem.

    recipe: of one training; its seed is the training's number. Where `recipe.sampler` has chains, each is a training.
    words: what it is, for tables.
    mean_field: whether a Gaussian is fitted to every weight, whose share of the KL the recipe says: the temperature.
        Its layers are made of the problem's architecture, or are those of the recipe's, where that is Bayesian.
    rho: that its standard deviations begin at, softplus(rho).
    starts_at_map: whether it begins at the maximum of the same training.
    as_published: full-batch HMC as in Carbone et al. 2020: of trajectories of .05, 50 for warm-up and 9 samples, from
        which as many members as others have are drawn with replacement.
    """

    recipe: Recipe
    words: str
    mean_field: bool = False
    rho: float = -5.0
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
    trained: how all of them are, in words, where it is not by one prior.
    repeats: the problem of which it measures some kinds again, with more members.
    """

    name: str
    dataset: str
    architecture: str
    images: int | None
    prior: float
    size: int
    posteriors: Mapping[str, Posterior] = field(repr=False)
    trained: str = ""
    repeats: str | None = None

    @property
    def words(self) -> str:
        """What it is, for the head of its part of a page."""
        trained = self.trained or f"prior N(0, {self.prior:g}²) on every weight"
        return f"{self.architecture} given {self.data}, {trained}"

    @property
    def data(self) -> str:
        """What it is trained on, such as `5,000 images of mnist`."""
        return f"{'all' if self.images is None else f'{self.images:,}'} images of {self.dataset}"


MAP, EXACT = "map", "hmc"
PUBLISHED = "hmc-published"


def _mlp(name: str, size: int) -> Problem:
    """784-50-10 with softplus, on 5,000 images: small enough for every sampler."""
    images = 5000
    exact = Recipe("mlp-50", 5, 1.0, images, prior=0.3, images=images, optimizer="l-bfgs")
    minibatches = replace(exact, epochs=60, max_lr=3e-3, batch_size=100, optimizer="adam", kl_constant=1.0)

    def laplace(**settings: str) -> Recipe:
        return _sampled(minibatches, Laplace(draws=size, **settings), 1, 1.0, 500)  # type: ignore[arg-type]

    every, cycles = TRAININGS * size, 10 + size // 2
    cyclical = Sghmc(TRAININGS, cycles, per_cycle=2, cold=0.25, burn_in=10, friction=0.2, keep=every)
    posteriors = {
        MAP: Posterior(exact, "one network, the maximum of the posterior"),
        **_ensembles(exact, 5, 10),
        "dropout": _dropout(minibatches, size),
        **_mean_fields(minibatches, 200, 1.0, 0.3, 0.1, 0.03, 0.01),
        "swag": _swag(minibatches, size, 0.05),
        "swag-wide": _swag(minibatches, size, 0.2),
        "laplace-last": Posterior(
            laplace(structure="full", subset="last_layer"), "Laplace, last layer", starts_at_map=True
        ),
        "laplace-diag": Posterior(laplace(structure="diag"), "Laplace, diagonal", starts_at_map=True),
        "laplace-kron": Posterior(laplace(structure="kron"), "Laplace, KFAC", starts_at_map=True),
        "sgld": Posterior(_sampled(minibatches, replace(cyclical, friction=1.0), 16 * cycles, 0.3), "SGLD, cyclical"),
        "sghmc": Posterior(_sampled(minibatches, cyclical, 16 * cycles, 0.1), "SGHMC, cyclical"),
        EXACT: Posterior(
            _sampled(minibatches, Hmc(TRAININGS, 20, keep=every), 20 + size, 6.5e-3, images), "full-batch HMC"
        ),
        PUBLISHED: Posterior(exact, "HMC as published (Carbone et al. 2020)", as_published=True),
    }
    return Problem(name, "mnist", "mlp-50", images, 0.3, size, posteriors)


def _lenet(
    name: str,
    dataset: str,
    images: int | None,
    epochs: int,
    size: int = 40,
    swag: tuple[str, float] = ("swag-wide", 0.05),
) -> Problem:
    """A convolutional network, on so many images that full-batch HMC is too slow: its posteriors are approximations.

    swag: name and step size of SWAG; at a larger step its SGD goes to chance.
    """
    (named, step), prior = swag, 0.1
    best = Recipe("lenet", epochs, 3e-3, 100, prior=prior, images=images, kl_constant=1.0)
    posteriors = {
        MAP: Posterior(best, "one network, the maximum of the posterior"),
        **_ensembles(best, 5),
        "dropout": _dropout(best, size),
        **_mean_fields(best, epochs, 1.0, 0.1, 0.01),
        named: _swag(best, size, step, epochs=60),
    }
    return Problem(name, dataset, "lenet", images, prior, size, posteriors)


def _small_lenet(name: str, size: int) -> Problem:
    """The same on so few images that full-batch HMC can be run: whether what holds of a perceptron carries over."""
    lenet = _lenet(name, "mnist", 1000, 200, size)
    best = lenet.posteriors[MAP].recipe
    hmc = _sampled(best, Hmc(TRAININGS, 30, keep=TRAININGS * size), 110, 2e-3, 1000)
    # the others' weights go to zero on so few images under this prior: dropout's, SWAG's, those of some initialisations
    kinds = {name: kind for name, kind in lenet.posteriors.items() if name == MAP or kind.mean_field}
    return replace(lenet, posteriors={**kinds, EXACT: Posterior(hmc, "full-batch HMC")})


def _twins() -> Problem:
    """The zoo's own LeNet and its mean-field twin, by the zoo's recipes but for their seeds."""
    recipes = {name: RECIPES[f"mnist/{name}"] for name in ("lenet", "bayesian-lenet")}
    posteriors = {
        MAP: Posterior(recipes["lenet"], "mnist/lenet, as the zoo trains it"),
        "mean-field-zoo": Posterior(
            recipes["bayesian-lenet"], "mnist/bayesian-lenet, as the zoo trains it", mean_field=True
        ),
    }
    return Problem("twins", "mnist", "lenet", None, 0.1, 16, posteriors, "by the zoo's recipes")


def _again(repeats: str, problem: Problem, *kinds: str) -> Problem:
    """The maximum and some kinds with more members: whether what holds of them hangs on how many there are."""
    return replace(problem, posteriors={name: problem.posteriors[name] for name in (MAP, *kinds)}, repeats=repeats)


def _sampled(recipe: Recipe, sampler: Sampler, epochs: int, rate: float, batch: int = 100) -> Recipe:
    return replace(recipe, epochs=epochs, max_lr=rate, batch_size=batch, sampler=sampler)


def _ensembles(recipe: Recipe, *sizes: int) -> dict[str, Posterior]:
    return {
        f"ensemble-{size}": Posterior(replace(recipe, sampler=Ensemble(size)), f"deep ensemble of {size}")
        for size in sizes
    }


def _dropout(recipe: Recipe, size: int) -> Posterior:
    return Posterior(replace(recipe, sampler=Dropout(0.5, draws=size)), "MC dropout, half of the hidden units")


def _mean_fields(recipe: Recipe, epochs: int, *temperatures: float) -> dict[str, Posterior]:
    return {
        f"mean-field-t{t:g}": Posterior(
            replace(recipe, prior=None, epochs=epochs, kl_constant=t),
            f"mean-field Gaussian, temperature {t:g}",
            mean_field=True,
        )
        for t in temperatures
    }


def _swag(recipe: Recipe, size: int, step: float, epochs: int = 120) -> Posterior:
    sampler = Swag(rank=20, draws=size, burn_in=20)
    return Posterior(_sampled(recipe, sampler, epochs, step), f"SWAG, rank 20, step {step}", starts_at_map=True)


PROBLEMS: dict[str, Problem] = {
    problem.name: problem
    for problem in (
        _mlp("mlp", 100),
        _again("mlp", _mlp("mlp-400-draws", 400), "mean-field-t1", EXACT),
        _lenet("lenet", "mnist", 10_000, 60),
        _small_lenet("lenet-1000", 40),
        _again("lenet-1000", _small_lenet("lenet-1000-80-draws", 80), EXACT),
        _lenet("lenet-cifar", "cifar10-jpeg", None, 30, swag=("swag", 0.01)),
        _twins(),
    )
}
