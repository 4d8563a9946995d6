"""How every entry of the zoo is trained. A recipe and its seed determine the weights up to hardware rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from zoo.catalogue.requirements import require_all_images, require_as_they_are
from zoo.catalogue.samplers import Dropout, Ensemble, Hmc, Sampler, Sghmc, Swag
from zoo.targets import PRECISIONS, Precision

KLWeighting = Literal["standard", "blundell", "soenderby", "constant"]
Optimizer = Literal["adam", "l-bfgs"]


@dataclass(frozen=True)
class Adversarial:
    """Training on PGD examples (Madry et al. 2018): `eps` grows linearly over the first `ramp_epochs`."""

    eps: float
    steps: int = 7
    step_ratio: float = 2.5  # step_size = step_ratio * eps / steps
    ramp_epochs: int = 4


@dataclass(frozen=True)
class Certified:
    """Interval-bound training (Gowal et al. 2018) at linf `eps`: the worst logits that intervals allow have a loss.

    Its `share` of the whole and eps grow linearly from 0, over `ramp` epochs after `warm_up` epochs.
    """

    eps: float
    warm_up: int = 2
    ramp: int = 20
    share: float = 0.5

    def check(self, recipe: Recipe) -> None:
        """Raises ValueError for a recipe with another loss, or images that are not as they are."""
        require_as_they_are(recipe, "interval-bound training", but=("certified", "rho", "start_from"))


@dataclass(frozen=True)
class Recipe:
    """max_lr: peak of the one-cycle schedule of Adam. kl_constant: the KL's share of the ELBO if `constant`.

    The KL's share t of the ELBO is the posterior's temperature: what is approximated is p(D | w)^(1/t) p(w). 1
    (standard, blundell, soenderby after its warm-up) is Bayes, less is a colder posterior.
    rho: initial rho of all posteriors in place of the architecture's own; sigma is softplus(rho).
    draws: posterior draws that each step's likelihood is averaged over.
    flips: train on images of which half are flipped left to right.
    shifts: and each moved by up to so many pixels in both directions, zeros moving in.
    precision: of the layers in training; weights and their updates are float32 in any case.
    start_from: a trained frequentist entry of the same shape whose weights the posterior means begin at, as in MOPED
        (Krishnan et al. 2020, "Specifying weight priors in Bayesian deep neural networks with empirical Bayes"); the
        prior stays centred at 0, where MOPED moves it to these weights, too.
    optimizer: adam on minibatches, or l-bfgs on all images at once: an epoch is then 200 iterations, and max_lr the
        share of its own step that each tries first, which is 1 as a rule.
    prior: standard deviation of a Gaussian prior, centred at 0, on every weight and bias: what is trained is then the
        maximum a posteriori, or with `sampler` the posterior. Mean-field layers have a prior of their own.
    images: train on so many of the images that are not held out, a fixed random choice; fewer are among more.
    certified: train so that bounds by intervals certify images.
    sampler: how a posterior of an ordinary architecture is made, in place of training one network. What `epochs`,
        `max_lr` and `start_from` are for it is said in `zoo.catalogue.samplers`.
    """

    architecture: str
    epochs: int
    max_lr: float
    batch_size: int = 256
    seed: int = 0
    kl_weighting: KLWeighting = "constant"
    kl_constant: float = 0.1
    rho: float | None = None
    draws: int = 1
    adversarial: Adversarial | None = None
    certified: Certified | None = None
    flips: bool = False
    shifts: int = 0
    precision: Precision = "float32"
    start_from: str | None = None
    prior: float | None = None
    images: int | None = None
    sampler: Sampler | None = None
    optimizer: Optimizer = "adam"

    def __post_init__(self) -> None:
        for word, value, known in (
            ("KL weighting", self.kl_weighting, get_args(KLWeighting)),
            ("precision", self.precision, PRECISIONS),
            ("optimizer", self.optimizer, get_args(Optimizer)),
        ):
            if value not in known:
                raise ValueError(f"no {word} {value!r}; there are: {', '.join(known)}")
        for name in ("epochs", "batch_size", "draws", "max_lr", "prior", "images"):
            if (value := getattr(self, name)) is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} of a recipe must be positive, not {value}")
        for name in ("kl_constant", "shifts"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} of a recipe must not be negative, as {getattr(self, name)} is")
        if self.rho is not None and not math.isfinite(self.rho):
            raise ValueError(f"rho of a recipe must be finite, not {self.rho}")
        for name in ("draws", "rho", "start_from"):
            if self.is_set(name) and not self.is_bayesian:
                raise ValueError(f"{name}={getattr(self, name)} is for Bayesian networks, not for {self.architecture}")
        for part in self._parts():
            part.check(self)
        if self.optimizer == "l-bfgs":
            require_all_images(self, "l-bfgs")
            require_as_they_are(self, "l-bfgs", but=("optimizer",))
        if self.prior is not None and self.architecture.startswith("bayesian-"):
            raise ValueError(f"prior={self.prior} is for ordinary networks: the layers of {self.architecture} have one")

    def _parts(self) -> list[Sampler | Certified]:
        return [part for part in (self.sampler, self.certified) if part is not None]

    @property
    def family(self) -> str:
        """What the field calls the network: frequentist, bayesian or ensemble."""
        if self.sampler is not None:
            return self.sampler.family
        return "bayesian" if self.architecture.startswith("bayesian-") else "frequentist"

    @property
    def is_bayesian(self) -> bool:
        """Whether what is trained is a posterior."""
        return self.family == "bayesian"

    def alone(self, seed: int) -> Recipe:
        """The recipe of one network trained as this one's sampler has its networks trained, by another seed."""
        return replace(self, sampler=None, seed=seed)

    @property
    def however_long(self) -> Recipe:
        """One for all recipes whose runs go on to each other: those that differ in how long they sample."""
        return self if self.sampler is None else self.sampler.however_long(self)

    def is_set(self, name: str) -> bool:
        """Whether an option is another than its default."""
        return bool(getattr(self, name) != type(self).__dataclass_fields__[name].default)


# One perceptron given 2,000 images, of whose posterior the zoo has the maximum and every kind of approximation.
_MAXIMUM = Recipe("mlp-50", epochs=5, max_lr=1.0, batch_size=2000, prior=0.3, images=2000, optimizer="l-bfgs")
_MINIBATCHES = replace(_MAXIMUM, max_lr=3e-3, batch_size=100, optimizer="adam")

RECIPES: dict[str, Recipe] = {
    "mnist/lenet": Recipe("lenet", epochs=15, max_lr=3e-3),
    "mnist/bayesian-lenet": Recipe("bayesian-lenet", epochs=15, max_lr=3e-3),
    "mnist/lenet-adversarial": Recipe("lenet", epochs=20, max_lr=4e-3, adversarial=Adversarial(eps=0.3)),
    "mnist/lenet-certified": Recipe("lenet", epochs=40, max_lr=2e-3, certified=Certified(eps=0.3)),
    "mnist/bayesian-lenet-certified": Recipe("bayesian-lenet", epochs=40, max_lr=2e-3, certified=Certified(eps=0.3)),
    "mnist/alexnet": Recipe("alexnet", epochs=10, max_lr=1.5e-3, batch_size=128, precision="bfloat16"),
    "mnist/bayesian-alexnet": Recipe(
        "bayesian-alexnet", epochs=10, max_lr=1e-3, batch_size=128, kl_constant=0.05, precision="bfloat16"
    ),
    "mnist/mlp": Recipe("mlp", epochs=10, max_lr=1e-3, batch_size=128),
    "mnist/bayesian-mlp": Recipe("bayesian-mlp", epochs=20, max_lr=1e-3, batch_size=128, kl_weighting="standard"),
    "mnist/logistic": Recipe("logistic", epochs=30, max_lr=3e-3, batch_size=128),
    "mnist/logistic-ap2": Recipe("logistic-ap2", epochs=30, max_lr=3e-3, batch_size=128),
    "mnist/mlp-50": _MAXIMUM,
    "mnist/hmc-mlp": Recipe(
        "mlp-50",
        epochs=400,
        max_lr=8.5e-3,
        batch_size=2000,
        kl_weighting="standard",
        prior=0.3,
        images=2000,
        sampler=Hmc(chains=4, burn_in=100, every=3, keep=100),
    ),
    "mnist/ensemble-mlp": replace(_MAXIMUM, sampler=Ensemble(10)),
    "mnist/dropout-mlp": replace(_MINIBATCHES, epochs=150, sampler=Dropout(0.5, draws=50)),
    "mnist/bayesian-mlp-50": replace(
        _MINIBATCHES, architecture="bayesian-mlp-50", epochs=500, kl_weighting="standard", prior=None
    ),
    "mnist/swag-mlp": replace(
        _MINIBATCHES, epochs=300, max_lr=0.2, start_from="mnist/mlp-50", sampler=Swag(rank=20, draws=50, burn_in=50)
    ),
    "mnist/sghmc-mlp": replace(
        _MINIBATCHES,
        epochs=6000,
        max_lr=0.1,
        sampler=Sghmc(chains=3, cycles=100, per_cycle=2, cold=0.25, burn_in=10, friction=0.2, keep=51),
    ),
    "mnist/3conv3fc": Recipe("3conv3fc", epochs=8, max_lr=1e-3, batch_size=128, precision="bfloat16"),
    "mnist/bayesian-3conv3fc": Recipe(
        "bayesian-3conv3fc", epochs=8, max_lr=1e-3, batch_size=128, precision="bfloat16", start_from="mnist/3conv3fc"
    ),
}

# Chosen on CIFAR-10 as JPEG, and as good a beginning for its original and for CIFAR-100.
_CIFAR: dict[str, Recipe] = {
    "lenet": Recipe("lenet", epochs=60, max_lr=4e-3, batch_size=128, flips=True, shifts=2),
    "bayesian-lenet": Recipe(
        "bayesian-lenet", epochs=80, max_lr=4e-3, batch_size=128, kl_constant=0.05, flips=True, shifts=2
    ),
    "lenet-adversarial": Recipe("lenet", epochs=15, max_lr=4e-3, flips=True, adversarial=Adversarial(eps=8 / 255)),
    "alexnet": Recipe("alexnet", epochs=60, max_lr=1.5e-3, batch_size=128, flips=True, precision="bfloat16"),
    "bayesian-alexnet": Recipe(
        "bayesian-alexnet",
        epochs=35,
        max_lr=1.5e-3,
        batch_size=128,
        kl_constant=0.05,
        flips=True,
        shifts=2,
        precision="bfloat16",
    ),
    "3conv3fc": Recipe("3conv3fc", epochs=30, max_lr=1e-3, batch_size=128, flips=True, shifts=2, precision="bfloat16"),
    "bayesian-3conv3fc": Recipe(
        "bayesian-3conv3fc",
        epochs=20,
        max_lr=1e-3,
        batch_size=128,
        kl_constant=0.05,
        flips=True,
        shifts=2,
        precision="bfloat16",
        start_from="3conv3fc",
    ),
}

RECIPES |= {
    f"{dataset}/{network}": replace(recipe, start_from=recipe.start_from and f"{dataset}/{recipe.start_from}")
    for dataset in ("cifar10-jpeg", "cifar10", "cifar100")
    for network, recipe in _CIFAR.items()
}

# Test accuracy that an entry was to reach; for an adversarially trained one also under PGD-40.
GOALS: dict[str, float] = {
    **{f"mnist/{network}": 0.99 for network in ("lenet", "alexnet", "3conv3fc")},
    **{f"mnist/bayesian-{network}": 0.988 for network in ("lenet", "alexnet", "3conv3fc")},
    "mnist/lenet-adversarial": 0.975,
    "cifar10-jpeg/lenet": 0.66,
    "cifar10-jpeg/alexnet": 0.72,
    "cifar10-jpeg/3conv3fc": 0.78,
    "cifar10-jpeg/bayesian-lenet": 0.64,
    "cifar10-jpeg/bayesian-alexnet": 0.70,
    "cifar10-jpeg/bayesian-3conv3fc": 0.75,
}
GOALS_UNDER_PGD40 = {"mnist/lenet-adversarial": 0.88}

# What was tried for an entry that misses its goal, for its card.
NOTES: dict[str, str] = {}

# The mode of an entry's posterior, where it is an entry itself: attacks made on it are tried on the posterior.
MAPS: dict[str, str] = {
    f"mnist/{name}": "mnist/mlp-50"
    for name in ("hmc-mlp", "ensemble-mlp", "dropout-mlp", "bayesian-mlp-50", "swag-mlp", "sghmc-mlp")
}


def kl_share(weighting: KLWeighting, constant: float, batch: int, batches: int, epoch: int, epochs: int) -> float:
    """The weight of the KL in minibatch `batch` (from 0) of `batches`, in epoch `epoch` (from 0) of `epochs`.

    Summed over an epoch it is 1 for `standard` (Graves 2011) and `blundell` (Blundell et al. 2015, section 3.4),
    `constant` for `constant`, and for `soenderby` (Sønderby et al. 2016) what a linear warm-up over the first
    quarter of the epochs has reached. Raises ValueError for an unknown weighting.
    """
    if weighting == "standard":
        return 1 / batches
    if weighting == "blundell":
        # 2^(M - i) / (2^M - 1) with i from 1, written so that 2^M never overflows
        return 2.0 ** -(batch + 1) / (1 - 2.0**-batches)
    if weighting == "soenderby":
        return min(1.0, (epoch + 1) / max(1.0, epochs / 4)) / batches
    if weighting == "constant":
        return constant / batches
    raise ValueError(f"no KL weighting {weighting!r}; there are: {', '.join(get_args(KLWeighting))}")
