"""What few records have beside outcomes: the health of a network, what was planted, bounds, a network built anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmark.records.state import State


@dataclass(frozen=True)
class Health:
    """The health of the attacker's prediction on some images.

    images: how many.
    repeat: largest difference of a log-probability between evaluations, in either mode, with and without a gradient, on
        the image where it is most beyond rounding.
    normalisation: largest |logsumexp| of the outputs.
    probabilities: images on which every network returns a distribution, where logits belong.
    dead, undefined: images whose gradient is zero in every pixel, and those where it is NaN or infinite in one.
    cosine: between the gradients of two independent sets of draws, the median over images; None without draws.
    shortfall: by library and attack, of the known optimum of a linear model; see `benchmark.evaluation.closed_form`.
    missed: libraries and attacks that are further from the optimum than they may be.
    rounding: what rounding may make of a log-probability of that image. vertices: images on which one class has all
        that an affine image of probabilities gives away, for every network. spread: largest difference between two
        classes' outputs. None and 0 in records that are older than these fields.
    """

    images: int
    repeat: float
    normalisation: float
    probabilities: int
    dead: int
    undefined: int
    cosine: float | None
    shortfall: dict[str, float]
    missed: list[str]
    rounding: float | None = None
    vertices: int = 0
    spread: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields, without those that are as in older records."""
        later = ("rounding", "vertices", "spread")
        return {name: value for name, value in asdict(self).items() if name not in later or value}


@dataclass(frozen=True)
class Planting:
    """The examples in whose ball an adversarial example was planted; see `benchmark.evaluation.planted`.

    planted: those where it is certainly there. by_chance: of these, those where random points find one.
    of_logits: whether the logits are what the planted readout reads, for lack of a last linear layer.
    """

    planted: list[int]
    by_chance: list[int]
    of_logits: bool


@dataclass(frozen=True)
class Certificate:
    """Bounds of what an attack can do, image by image; see `zoo.bounds.mixture.certified`.

    leads: below the lead of the label, p_y - max p_j of the judge's own draws averaged, over all images of the ball;
        rounded down. Where one is positive no attack breaks the image.
    """

    leads: list[float]


# Name of the field -> what reads it; records without it leave it out.
PARTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "health": lambda fields: Health(**fields),
    "state": State.from_json,
    "planting": lambda fields: Planting(**fields),
    "certificate": lambda fields: Certificate(**fields),
}
