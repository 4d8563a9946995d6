"""The claims of the paper, as lists of statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from benchmark.papers.judging import Claim, Decided, Judgement, counted
from benchmark.papers.robustness_of_bayesian_approach.curves import Curve
from benchmark.papers.robustness_of_bayesian_approach.statements import (
    CurveOf,
    Statement,
    better_on_average,
    better_on_clean_images,
    drops_to_zero,
    fails_on_clean_images,
    loses,
    much_worse_on_clean_images,
)
from benchmark.papers.robustness_of_bayesian_approach.suite import GRIDS
from benchmark.protocol import ATTACKS


def _twins(dataset: str, *networks: str) -> list[tuple[str, str]]:
    return [(f"{dataset}/{network}", f"{dataset}/bayesian-{network}") for network in networks]


def _every_attack(model: str, *, little: bool) -> tuple[Statement, ...]:
    return tuple(loses(model, attack, little=little) for attack in ATTACKS)


def more_robust(grid: str) -> str:
    """The claim about one grid that Bayesian networks are more robust than their twins."""
    words = "Networks made Bayesian by variational inference are more robust than their twins"
    return f"{words} ({grid} eps, both data sets)."


DEFEND = "Bayesian networks can defend against a wide range of gradient-based attacks (all are robust to all)."

_MNIST, _CIFAR = "mnist", "cifar10-jpeg"
_MNIST_TWINS, _CIFAR_TWINS = _twins(_MNIST, "lenet", "alexnet"), _twins(_CIFAR, "lenet", "alexnet", "3conv3fc")
_ON_CIFAR = [model for pair in _CIFAR_TWINS for model in pair]
_SMALL, _LARGE = partial("{}-small-eps".format), partial("{}-large-eps".format)

CLAIMS: tuple[Claim[CurveOf], ...] = (
    Claim(
        "section 4, figure 3",
        "On clean MNIST images AlexNet and Bayesian LeNet have the best accuracies.",
        tuple(
            better_on_clean_images(best, other)
            for best in ("mnist/alexnet", "mnist/bayesian-lenet")
            for other in ("mnist/lenet", "mnist/bayesian-alexnet")
        ),
        ("mnist-clean",),
    ),
    Claim(
        "section 4, figure 1",
        "MNIST, small eps: frequentist LeNet is highly vulnerable to all attacks.",
        _every_attack("mnist/lenet", little=False),
        (_SMALL(_MNIST),),
    ),
    *(
        Claim(
            "section 4, figure 1",
            f"MNIST, small eps: {words} is robust to all attacks.",
            _every_attack(model, little=True),
            (_SMALL(_MNIST),),
        )
        for words, model in (
            ("Bayesian LeNet", "mnist/bayesian-lenet"),
            ("AlexNet", "mnist/alexnet"),
            ("Bayesian AlexNet", "mnist/bayesian-alexnet"),
        )
    ),
    Claim(
        "section 4, figure 1",
        "MNIST, small eps: Bayesian LeNet is more robust than LeNet.",
        (better_on_average("mnist/bayesian-lenet", "mnist/lenet", "small"),),
        (_SMALL(_MNIST),),
    ),
    Claim(
        "section 4, figure 2",
        "MNIST, large eps: Bayesian networks are consistently more robust on average than their twins.",
        tuple(better_on_average(bayesian, plain, "large") for plain, bayesian in _MNIST_TWINS),
        (_LARGE(_MNIST),),
    ),
    Claim(
        "section 4, figure 4",
        "On clean CIFAR-10 images Bayesian AlexNet and Bayesian 3Conv3FC fail.",
        tuple(fails_on_clean_images(f"{_CIFAR}/bayesian-{network}") for network in ("alexnet", "3conv3fc")),
        ("cifar10-jpeg-clean",),
    ),
    Claim(
        "section 4, figures 4 and 5",
        "On clean CIFAR-10 images Bayesian LeNet has a much lower accuracy than LeNet.",
        (much_worse_on_clean_images(f"{_CIFAR}/bayesian-lenet", f"{_CIFAR}/lenet"),),
        ("cifar10-jpeg-clean",),
    ),
    Claim(
        "section 4, figure 5",
        "CIFAR-10, small eps: Bayesian LeNet retains its accuracy under most attacks (three of the four).",
        _every_attack(f"{_CIFAR}/bayesian-lenet", little=True),
        (_SMALL(_CIFAR),),
        needed=3,
    ),
    *(
        Claim(
            "section 4, figure 5",
            f"CIFAR-10, small eps: attacks do not lower the accuracy of {words}, but that of its twin.",
            (*_every_attack(bayesian, little=True), *_every_attack(plain, little=False)),
            (_SMALL(_CIFAR),),
        )
        for words, (plain, bayesian) in zip(("Bayesian AlexNet", "Bayesian 3Conv3FC"), _CIFAR_TWINS[1:], strict=True)
    ),
    Claim(
        "section 4, figure 6",
        "CIFAR-10, large eps: Bayesian LeNet is the best of the six on average.",
        tuple(
            better_on_average(f"{_CIFAR}/bayesian-lenet", other, "large")
            for other in _ON_CIFAR
            if other != f"{_CIFAR}/bayesian-lenet"
        ),
        (_LARGE(_CIFAR),),
    ),
    Claim(
        "section 4, figure 6",
        "CIFAR-10, large eps: FGSM, BIM and PGD bring the frequentist networks almost to zero.",
        tuple(drops_to_zero(plain, attack) for plain, _ in _CIFAR_TWINS for attack in ATTACKS),
        (_LARGE(_CIFAR),),
    ),
    *(
        Claim(
            "section 5",
            more_robust(grid),
            tuple(better_on_average(bayesian, plain, grid) for plain, bayesian in (*_MNIST_TWINS, *_CIFAR_TWINS)),
            tuple(f"{dataset}-{grid}-eps" for dataset in (_MNIST, _CIFAR)),
        )
        for grid in GRIDS
    ),
    Claim(
        "section 5",
        DEFEND,
        tuple(
            statement
            for _, bayesian in (*_MNIST_TWINS, *_CIFAR_TWINS)
            for statement in _every_attack(bayesian, little=True)
        ),
        (_SMALL(_MNIST), _SMALL(_CIFAR)),
    ),
)

# What an attacker of a Bayesian network differentiates: the paper's networks sample their weights in every pass.
PROTOCOLS: Mapping[str, str] = {
    "the paper's protocol (each gradient of another draw)": "resampled",
    "the gradient of the expected prediction": "expected",
}


def judge_claims(curves: list[Curve], target: str) -> list[tuple[Claim[CurveOf], Judgement, list[Decided]]]:
    """Every claim under one gradient; a deterministic network is its own single draw."""
    by_target = {(curve.model, curve.attack, curve.target): curve for curve in curves}

    def curve_of(model: str, attack: str) -> Curve | None:
        curve = by_target.get((model, attack, target))
        if curve is None and (plain := by_target.get((model, attack, "expected"))) is not None:
            return plain if plain.family == "frequentist" else None
        return curve

    return [(claim, *claim.judge(curve_of)) for claim in CLAIMS]


def summed_up(judged: Mapping[str, Iterable[Judgement]]) -> str:
    """How the claims were judged, as one sentence. judged: the judgements under each of `PROTOCOLS`."""
    parts = [f"under {protocol} {counted(judgements)}" for protocol, judgements in judged.items()]
    return f"Of {len(CLAIMS)} claims: {'; '.join(parts)}."
