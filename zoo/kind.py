"""Of what kind a posterior is, and what a network is said to be. Planning a run asks it: no torch."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a network's weights may be."""

    POINT = "point"
    """One network: there is nothing to average."""
    FINITE = "finite"
    """M members of known weight: their weighted average is the prediction, exactly."""
    CONTINUOUS = "continuous"
    """Whatever can be drawn: the prediction is an average over draws."""


class Randomness(StrEnum):
    """What of a network is random, and averaged over."""

    AUTO = "auto"
    """What is found: members, what it draws, mean-field layers, a forward pass that samples, or else nothing."""
    NONE = "none"
    """Nothing: one network, in evaluation mode."""
    DROPOUT = "dropout"
    """Its dropout layers, which evaluation mode turns off: MC dropout."""
    FORWARD = "forward"
    """What its forward pass samples in evaluation mode: layers of other Bayesian libraries, noise, random resizing."""
    DRAW = "draw"
    """What its method `draw(generator)` gives, or the weights of its mean-field layers."""
    MEMBERS = "members"
    """Its members, by a method `members()` or in one pass that answers for all of them."""


class Outputs(StrEnum):
    """What a network returns."""

    LOGITS = "logits"
    """Logits or log-probabilities: what an attack's cross-entropy takes."""
    PROBABILITIES = "probabilities"
    """Probabilities, whose logarithm is taken."""


class Said(NamedTuple):
    """What a user says of a network that is not registered; the defaults say nothing. family: for pages."""

    family: str | None = None
    randomness: str = Randomness.AUTO
    outputs: str = Outputs.LOGITS
