"""Published numbers of Bayes by Backprop beside ours, with the reason for every difference."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Numbers = Mapping[str, Any]

SHRIDHAR = "Shridhar et al. 2019"
TUTORIAL = "tutorial"


@dataclass(frozen=True)
class Sources:
    """Where our numbers come from: model cards by entry, and what the examples wrote, by their names."""

    cards: Mapping[str, Numbers]
    studies: Mapping[str, Numbers]


@dataclass(frozen=True)
class Published:
    """ours: None where it was not measured. why: what makes the two differ."""

    source: str
    what: str
    published: str
    ours: Callable[[Sources], str | None]
    why: str


def _accuracy(entry: str) -> Callable[[Sources], str | None]:
    def ours(sources: Sources) -> str | None:
        if entry not in sources.cards:
            return None
        return f"{100 * sources.cards[entry]['results']['accuracy']:.2f} %"

    return ours


def _from(study: str, text: Callable[[Numbers], str]) -> Callable[[Sources], str | None]:
    return lambda sources: text(sources.studies[study]) if study in sources.studies else None


def _gap(histories: Numbers, name: str) -> str:
    last = histories["histories"][name][-1]
    return f"{100 * last['accuracy']:.1f} against {100 * last['validation accuracy']:.1f} %"


def _sigmas(numbers: Numbers) -> str:
    history = numbers["histories"]["bayesian-lenet"]
    shown = [row for row in history if row["epoch"] in (1, 5, 20, 50, 100)]
    return ", ".join(f"{row['sigma']:.4f}" for row in shown)


def _kl_of_one_weight() -> float:
    import torch
    from torch.nn import functional as F

    from zoo.layers import gaussian_kl

    return gaussian_kl(torch.tensor([0.05]), F.softplus(torch.tensor([-5.0])), 0.0, 0.1).item()


_TEST = "theirs: best validation accuracy; ours: the test split, touched once"
_JPEG = "; ours on the JPEG copy of CIFAR-10, with augmentation"
_ACCURACIES = tuple(
    Published(
        SHRIDHAR,
        f"{'Bayesian ' if family else ''}{title} on {'MNIST' if dataset == 'mnist' else 'CIFAR-10'}, accuracy",
        f"{value} %",
        _accuracy(f"{dataset}/{family}{network}"),
        _TEST + ("" if dataset == "mnist" else _JPEG),
    )
    for network, title, dataset, values in (
        ("alexnet", "AlexNet", "mnist", (99, 99)),
        ("lenet", "LeNet-5", "mnist", (98, 98)),
        ("alexnet", "AlexNet", "cifar10-jpeg", (73, 73)),
        ("lenet", "LeNet-5", "cifar10-jpeg", (69, 68)),
    )
    for family, value in zip(("bayesian-", ""), values, strict=True)
)

PUBLISHED: tuple[Published, ...] = (
    *_ACCURACIES,
    Published(
        SHRIDHAR,
        "CIFAR-100, accuracy: AlexNet Bayesian / frequentist, LeNet-5 Bayesian / frequentist",
        "36 / 38, 31 / 33 %",
        lambda _: None,
        "the recipes are there (`python -m zoo.train cifar100/...`), the data is not bundled",
    ),
    Published(
        SHRIDHAR,
        "sigma over epochs 1, 5, 20, 50, 100",
        "falls smoothly",
        _from("bayesian-cnn", _sigmas),
        "mean over all weights of Bayesian LeNet on CIFAR-10, from rho = -3, KL weight 0.1: most are in wide layers "
        "and hardly learn; the first layer's fall (figure below)",
    ),
    Published(
        SHRIDHAR,
        "training against validation accuracy after 100 epochs, frequentist",
        "overfits",
        _from("bayesian-cnn", lambda numbers: _gap(numbers, "lenet")),
        "theirs: AlexNet on CIFAR-100; ours: LeNet on CIFAR-10, without augmentation",
    ),
    Published(
        SHRIDHAR,
        "the same, Bayesian",
        "no sign of overfitting",
        _from("bayesian-cnn", lambda numbers: _gap(numbers, "bayesian-lenet")),
        "as above: ours overfits less, and late",
    ),
    Published(
        "code of Shridhar et al. 2019",
        "KL of one weight, mu 0.05, rho -5, prior 0.1",
        "135.4 nats",
        lambda _: f"{_kl_of_one_weight():.2f} nats",
        "its arguments are exchanged: it computes the KL of the prior from the posterior",
    ),
    Published(TUTORIAL, "MLP on MNIST, accuracy", "98.00 %", _accuracy("mnist/mlp"), "one-cycle schedule in ours"),
    Published(
        TUTORIAL,
        "Bayesian MLP on MNIST, accuracy",
        "97.25 %",
        _accuracy("mnist/bayesian-mlp"),
        "theirs: mean of 5 draws' log p, and a learning rate that the optimiser never sees fall; ours: mean of 64 "
        "draws' p, one-cycle schedule, the KL in closed form",
    ),
    Published(
        TUTORIAL,
        "entropy on Gaussian noise, MLP",
        "0.1446 bits",
        _from("digits", lambda numbers: f"{numbers['standard']:.4f} bits"),
        "another training run of the same network",
    ),
    Published(
        TUTORIAL,
        "the same, Bayesian MLP, of exp(mean log p)",
        "0.9909 bits",
        _from("digits", lambda numbers: f"{numbers['bayesian_as_in_the_tutorial']:.4f} bits"),
        "no entropy: what is called probabilities does not sum to 1",
    ),
    Published(
        TUTORIAL,
        "the same, of the averaged probabilities",
        "not given",
        _from("digits", lambda numbers: f"{numbers['bayesian']:.4f} bits"),
        "the predictive distribution of a Bayesian network",
    ),
    Published(
        TUTORIAL,
        "sum of those probabilities",
        "not given",
        _from("digits", lambda numbers: f"{numbers['sum_of_what_the_tutorial_calls_probabilities']:.3f}"),
        "mean over 1,000 images",
    ),
    Published(
        TUTORIAL,
        "one step of Bayes by Backprop: loss; gradients of mu and rho",
        "82.7511; 53.4541, 89.3733",
        _from(
            "one-weight",
            lambda numbers: f"{numbers['loss']:.4f}; {numbers['mu_gradient']:.4f}, {numbers['rho_gradient']:.4f}",
        ),
        "epsilon is printed with five digits",
    ),
    Published(
        TUTORIAL,
        "regression, standard network at x = 100",
        "-13",
        _from("regression", lambda numbers: f"{numbers['standard_at_100']:.1f}"),
        "another random start",
    ),
    Published(
        TUTORIAL,
        "regression, its loss after 25,000 steps",
        "0.00004",
        _from("regression", lambda numbers: f"{numbers['standard_losses_every_5000'][-1]:.5f}"),
        "another random start",
    ),
    Published(
        TUTORIAL,
        "regression, loss (negative ELBO) of the Bayesian network at step 1,991",
        "278.1",
        _from("regression", lambda numbers: f"{numbers['bayesian_loss_last']:.1f}"),
        "of one draw in both; the KL in closed form in ours",
    ),
)


def read_studies(folder: Path) -> dict[str, Numbers]:
    """What the examples wrote into a folder, by file name. Raises ValueError for a file that is not JSON."""
    studies = {}
    for path in sorted(folder.glob("*.json")):
        try:
            studies[path.stem] = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is not JSON ({error}); write it again with its example") from error
    return studies
