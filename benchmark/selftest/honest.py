"""Honest networks of kinds that an audit may take for broken ones: none of them hides anything.

They are made of the zoo's own weights, so that what they do is known, and each says why what it does is no defence in
disguise. The checks' false-alarm rates are counted on them (`benchmark.selftest.rates`).

Sources: Lakshminarayanan et al. 2017 (deep ensembles); Gal and Ghahramani 2016 (MC dropout); Xie et al. 2018,
"Mitigating Adversarial Effects Through Randomization" (resize and pad); Cohen et al. 2019 (Gaussian input noise); Xiao
et al. 2020, "Enhancing Adversarial Defense by k-Winners-Take-All"; Athalye et al. 2018 (the identity as the gradient of
a quantiser).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.protocol import example_order
from zoo import ZooEntry, models
from zoo.datasets import load_split
from zoo.kind import Randomness
from zoo.layers import bayesian_layers
from zoo.layers.meanfield import MeanFieldLayer
from zoo.posteriors import posterior_draws

WIDER = 2.1  # times the standard deviations of mnist/bayesian-mlp: mutual information of 0.2 nats on test images
DROPPED = 0.5  # share of the activations of mnist/mlp: mutual information of 0.2 nats, too
NOISE = 0.2  # standard deviation, of pixels in [0, 1]
WINNERS = 0.2  # share of a hidden layer
FITTED = slice(5_000, None)  # of `protocol.example_order`: images that no audit attacks, for least squares
RIDGE, SHARPNESS = 10.0, 10.0  # of its solution: penalty, and what its indicators are multiplied by as logits
BLOCK, KEPT = 7, 4  # of the discrete cosine transform: its side in pixels, and the frequencies kept along each


def of_zoo(name: str) -> nn.Module:
    """A network of the zoo in evaluation mode."""
    return models[f"mnist/{name}"].build().eval()


class Drawn(nn.Module):
    """An ensemble whose draw is one of its members, as they are: two draws are often the same object."""

    def __init__(self) -> None:
        super().__init__()
        self.networks = nn.ModuleList([of_zoo("mlp"), of_zoo("mlp-50")])

    def draw(self, generator: torch.Generator) -> nn.Module:
        return self.networks[int(torch.randint(len(self.networks), (), generator=generator))]


class Shifted(nn.Module):
    """Logits with a constant added, which changes no probability but for rounding."""

    def __init__(self, inner: nn.Module, offset: float) -> None:
        super().__init__()
        self.inner, self.offset = inner, offset

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.inner(x) + self.offset
        return logits


class Tempered(nn.Module):
    """A mean-field network whose own `draw` puts a temperature around what it draws, and that has no mean."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = of_zoo("bayesian-mlp")

    def draw(self, generator: torch.Generator) -> nn.Module:
        seed = int(torch.randint(2**62, (), generator=generator))
        (drawn,) = posterior_draws(self.inner, 1, seed)
        return nn.Sequential(drawn, Temperature())


class Temperature(nn.Module):
    """Logits divided by two."""

    def forward(self, x: Tensor) -> Tensor:
        return x / 2


class Resized(nn.Module):
    """The image at a random size between 24 and 28 pixels at a random place of a black square of 28."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = of_zoo("lenet")

    def forward(self, x: Tensor) -> Tensor:
        side = int(torch.randint(24, 29, ()))
        left, top = (int(torch.randint(28 - side + 1, ())) for _ in range(2))
        small = F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
        logits: Tensor = self.inner(F.pad(small, (left, 28 - side - left, top, 28 - side - top)))
        return logits


class Blurred(nn.Module):
    """Gaussian noise on every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = of_zoo("mlp")

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.inner(x + NOISE * torch.randn_like(x))
        return logits


class Winners(nn.Module):
    """Of every image's activations the largest are passed on, and the others are zero."""

    def forward(self, x: Tensor) -> Tensor:
        values, _ = x.topk(max(1, round(WINNERS * x.shape[1])), 1)
        return x * (x >= values[:, -1:])


class LowFrequencies(nn.Module):
    """The discrete cosine transform of blocks, of which the lowest frequencies are kept, and back: a linear map."""

    basis: Tensor

    def __init__(self) -> None:
        super().__init__()
        index = torch.arange(BLOCK, dtype=torch.float64)
        waves = torch.cos(torch.pi / BLOCK * (index + 0.5) * index[:, None])[:KEPT]
        waves = waves / waves.norm(dim=1, keepdim=True)
        self.register_buffer("basis", (waves.T @ waves).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        side = x.shape[-1] // BLOCK
        blocks = x.unflatten(-1, (side, BLOCK)).unflatten(-3, (side, BLOCK))  # (B, C, side, BLOCK, side, BLOCK)
        return torch.einsum("ij,bcrjsk,kl->bcrisl", self.basis, blocks, self.basis).flatten(4, 5).flatten(2, 3)


class Levels(nn.Module):
    """Pixels rounded to the 256 levels that they were stored in: the identity, whose gradient it has."""

    def forward(self, x: Tensor) -> Tensor:
        return x + ((x * 255).round() / 255 - x).detach()


def _wide() -> nn.Module:
    network = of_zoo("bayesian-mlp")
    for layer in bayesian_layers(network):
        _widen(layer)
    return network


@torch.no_grad()
def _widen(layer: MeanFieldLayer) -> None:
    for name, rho in layer.named_parameters():
        if name.endswith("_rho"):
            sigma = WIDER * F.softplus(rho.double())
            rho.copy_(sigma.expm1().log())


def _with_layers(name: str, layer: Callable[[], nn.Module]) -> nn.Module:
    """A network of the zoo with a layer after each of its activations."""
    network = of_zoo(name)
    for path, part in list(network.named_modules()):
        if isinstance(part, nn.ReLU):
            network.set_submodule(path, nn.Sequential(part, layer()))
    return network


@functools.cache
def _least_squares() -> tuple[Tensor, Tensor]:
    """(10, 784) and (10,): ridge regression of the labels' indicators on bundled images that no audit attacks."""
    split = load_split("mnist", "test")
    chosen = list(example_order(len(split))[FITTED])
    x = F.pad(split.pixels(chosen).flatten(1).double(), (0, 1), value=1.0)
    indicators = F.one_hot(torch.from_numpy(split.labels[chosen]), 10).double()
    solution = torch.linalg.solve(x.T @ x + RIDGE * torch.eye(785, dtype=torch.float64), x.T @ indicators).T
    return (SHARPNESS * solution[:, :-1]).float(), (SHARPNESS * solution[:, -1]).float()


def _linear() -> nn.Module:
    last = nn.Linear(784, 10)
    last.load_state_dict(dict(zip(("weight", "bias"), _least_squares(), strict=True)))
    return nn.Sequential(nn.Flatten(), last)


def _constant() -> nn.Module:
    last = nn.Linear(784, 10)
    nn.init.zeros_(last.weight)
    return nn.Sequential(nn.Flatten(), last)


@dataclass(frozen=True)
class Honest:
    """entry: what is attacked. what: what it is, and why it is honest, in a line."""

    entry: ZooEntry
    what: str


def _honest(factory: Callable[[], Any], what: str, randomness: Randomness = Randomness.AUTO) -> Honest:
    entry = ZooEntry("mnist/-", "mnist", None, factory, None, Path(__file__), randomness=randomness)
    return Honest(entry, what)


HONEST: dict[str, Honest] = {
    name: replace(honest, entry=replace(honest.entry, name=f"mnist/{name}"))
    for name, honest in {
        "ensemble-drawn": _honest(Drawn, "two networks, of which `draw` picks one: their average is what is judged"),
        "ensemble-listed": _honest(
            lambda: [of_zoo(member) for member in ("mlp", "mlp-50", "lenet")],
            "three networks as a list: attacker and judge see the same average",
        ),
        "wide-posterior": _honest(_wide, "a mean-field posterior of twice the width: weights are random, nothing else"),
        "own-draw": _honest(Tempered, "its own `draw` around mean-field layers, and no `mean`: a posterior as any"),
        "mc-dropout": _honest(
            lambda: _with_layers("mlp", lambda: nn.Dropout(DROPPED)),
            "dropout of half the activations, averaged over: every mask has a gradient",
            Randomness.DROPOUT,
        ),
        "resize-pad": _honest(Resized, "random size and place, averaged over: every one of them has a gradient"),
        "input-noise": _honest(Blurred, "Gaussian noise on the pixels, averaged over: the gradient is its own"),
        "k-winners": _honest(
            lambda: _with_layers("mlp", Winners),
            "a fifth of the activations is passed on: a jump at every change of winners, and the gradient between",
        ),
        "low-frequencies": _honest(
            lambda: nn.Sequential(LowFrequencies(), of_zoo("lenet")),
            "a linear map of the pixels before a network: its gradient goes through",
        ),
        "offset": _honest(lambda: Shifted(of_zoo("mlp"), 100.0), "logits plus 100: the same probabilities"),
        "bayesian-offset": _honest(
            lambda: Shifted(of_zoo("bayesian-mlp"), 1e5),
            "every draw's logits plus 1e5: the same probabilities, but for rounding to 0.008",
        ),
        "linear": _honest(_linear, "least squares: one gradient everywhere"),
        "constant": _honest(_constant, "the same answer to every image: as accurate as chance, attacked or not"),
        "levels": _honest(
            lambda: nn.Sequential(Levels(), of_zoo("mlp")),
            "pixels rounded to 256 levels: every test image as it is, and the network's own gradient",
        ),
    }.items()
}
