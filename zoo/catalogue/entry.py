"""`ZooEntry`: what the zoo knows about a network, and how to turn it into a checked, loaded predictor."""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zoo
from zoo.kind import Outputs, Randomness
from zoo.numbers import numbers
from zoo.seeding import derive_seed, isolated_random_state
from zoo.targets import Gradient

if TYPE_CHECKING:
    from torch import nn

    from zoo.catalogue.behaviour import Behaviour
    from zoo.posteriors import Posterior
    from zoo.prediction.expected import ExpectedPrediction

FAMILIES = ("frequentist", "bayesian")  # a near miss of which is a mistake


@dataclass(frozen=True)
class ZooEntry:
    """A registered network.

    name: `<data set>/<network>`.     family: `frequentist`, `bayesian`, or another word, for pages; None for what is
        found, which is its `label`.
    factory: builds the network.      weights: safetensors file, None if the factory brings its own weights.
    source: the file that registers it, part of the fingerprint of a network from outside this repository.
    accuracy: on clean test images, between 0 and 1, as its author knows it; None where nobody says.
    normalize: (mean, std) per channel, for a network that expects pixels normalised so.
    randomness: what of it is random; what is found by default. outputs: logits, or probabilities, whose log is taken.
    map, twin: names of entries for the same images: the mode of its posterior, and the network of the same architecture
        that is trained without one. Attacks made on them are tried on this entry.
    Raises ValueError for a malformed name, an unknown data set, a family without a name, one that is nearly a known one
    or that a randomness contradicts, an unknown randomness, outputs that are neither, an accuracy that is no share, a
    normalisation that does not fit the data set.
    """

    name: str
    dataset: str
    family: str | None
    factory: Callable[[], nn.Module]
    weights: Path | None
    source: Path
    accuracy: float | None = None
    normalize: tuple[Sequence[float], Sequence[float]] | None = None
    randomness: Randomness = Randomness.AUTO
    outputs: Outputs = Outputs.LOGITS
    map: str | None = None
    twin: str | None = None

    def __post_init__(self) -> None:
        from zoo.datasets import DATASETS

        if self.dataset not in DATASETS:
            raise ValueError(f"{self.name}: no data set {self.dataset!r}; there are: {', '.join(DATASETS)}")
        if not self.name.startswith(f"{self.dataset}/"):
            raise ValueError(f"a zoo entry is named <data set>/<network>: {self.name!r} lacks '{self.dataset}/'")
        for field, words in (("randomness", Randomness), ("outputs", Outputs)):
            if (said := getattr(self, field)) not in tuple(words):
                raise ValueError(f"{self.name}: no {field} {said!r}; there are: {', '.join(words)}")
            object.__setattr__(self, field, words(said))  # of the same text
        self._check_family()
        for role, name in self.sources:
            if not name.startswith(f"{self.dataset}/") or name == self.name:
                raise ValueError(f"{self.name}: {role}={name!r} must be another network for {self.dataset}")
        if self.accuracy is not None and not 0 <= self.accuracy <= 1:
            raise ValueError(f"{self.name}: accuracy is a share between 0 and 1, such as 0.972, not {self.accuracy}")
        if self.normalize is not None:
            object.__setattr__(self, "normalize", self._checked_normalize(self.normalize))

    def _checked_normalize(self, given: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """As numbers for each channel; of one channel they may stand alone."""
        from zoo.datasets import DATASETS

        channels = DATASETS[self.dataset].shape[0]
        try:
            mean, std = (numbers(values, "normalize") for values in given)
        except (TypeError, ValueError):
            mean = std = ()
        if not len(mean) == len(std) == channels or min(std) <= 0:
            raise ValueError(
                f"{self.name}: normalize is (mean, std), {channels} numbers each for {self.dataset} and std > 0, "
                f"not {given}"
            )
        return mean, std

    def _check_family(self) -> None:
        if self.family is None:
            return
        if not self.family:
            raise ValueError(f"{self.name}: family must be a word such as 'frequentist' or 'bayesian'")
        near = difflib.get_close_matches(self.family.lower(), FAMILIES, n=1, cutoff=0.75)
        if near and self.family != near[0]:
            raise ValueError(f"{self.name}: no family {self.family!r}; did you mean {near[0]!r}?")
        if self.family == "frequentist" and self.randomness not in (Randomness.AUTO, Randomness.NONE):
            raise ValueError(
                f"{self.name}: family 'frequentist' is of one network, and randomness={str(self.randomness)!r} of more "
                "than one: leave out one of them"
            )

    @property
    def card(self) -> dict[str, Any]:
        """The model card beside the weights; empty if there is none. Raises ValueError for an unreadable one."""
        if self.weights is None or not (path := self.weights.with_suffix(".json")).is_file():
            return {}
        try:
            card: dict[str, Any] = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f"{self.name}: the model card {path} is not JSON ({error}); restore it") from error
        return card

    @property
    def sources(self) -> tuple[tuple[str, str], ...]:
        """(`map` or `twin`, name) of the entries that it names as its own sources of transfers."""
        return tuple((role, name) for role, name in (("map", self.map), ("twin", self.twin)) if name is not None)

    @functools.cached_property
    def label(self) -> str:
        """Its family as its author says it, or as it is found when it is loaded."""
        return self.family or self.load()[1].family

    @property
    def is_deterministic(self) -> bool:
        """Whether it is its own single draw."""
        return self.randomness is Randomness.NONE or self.label == "frequentist"

    @property
    def is_external(self) -> bool:
        """Whether the network is defined outside this package."""
        return Path(zoo.__file__).resolve().parent not in self.source.parents

    @property
    def fingerprint(self) -> str:
        """sha256 of what determines the network: family, structure, weights and buffers; for an external one also
        the file that registers it, and taken anew each time: its factory may hand out a network that is trained on.

        What its code and the files that it imports do is not in it: that is its `behaviour`.
        """
        if not self.is_external:
            return self._fingerprint
        digest = hashlib.sha256(self._structure().encode())
        digest.update(self.source.read_bytes() if self.source.is_file() else b"")
        return digest.hexdigest()

    @functools.cached_property
    def _fingerprint(self) -> str:
        return hashlib.sha256(self._structure().encode()).hexdigest()

    def _structure(self) -> str:
        from zoo.catalogue.state import state_digest

        return f"{self.label} {state_digest(self.build())}"

    def behaviour(self) -> Behaviour:
        """What the network does on a few images; see `zoo.catalogue.behaviour`. Raises ValueError as `load` does."""
        from zoo.catalogue.behaviour import behaviour_of

        _, posterior = self.load()
        with isolated_random_state(0):
            return behaviour_of(self.name, self.dataset, posterior)

    def build(self) -> nn.Module:
        """The network with its weights, checked: pixels (B, C, H, W) in [0, 1] -> logits (B, K).

        Raises ValueError, naming the entry and the remedy, for a missing, damaged or ill-fitting weights file.
        """
        from zoo.catalogue.state import load_weights
        from zoo.layers import normalized, with_log_outputs
        from zoo.posteriors.adapters import as_network

        with isolated_random_state(derive_seed("build", self.name)):  # constructors draw from the global random states
            try:
                given = self.factory()
            except Exception as error:  # whatever a user's factory raises
                raise ValueError(f"{self.name}: its factory failed: {type(error).__name__}: {error}") from error
        try:
            network = as_network(given, self.randomness)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error
        if self.weights is not None:
            if self.is_external and not self.weights.is_file():
                raise ValueError(
                    f"{self.name}: no weights at {self.weights}; put the safetensors there, or name in weights= where "
                    f"they are, as seen from {self.source.name}"
                )
            load_weights(network, self.weights, self.name, self.card.get("sha256"))
        if self.normalize is not None:
            network = normalized(network, *self.normalize)
        return with_log_outputs(network) if self.outputs is Outputs.PROBABILITIES else network

    def predictor(
        self,
        draws: int,
        seed: int,
        gradient: Gradient = Gradient(),
        device: str = "cpu",
        stack: bool | None = None,
        half: int | None = None,
    ) -> ExpectedPrediction:
        """The expected prediction over `draws` frozen draws; a frequentist network is the case of one draw.

        stack: whether draws are evaluated many at once, as of `ExpectedPrediction`.
        half: 0 or 1 for the first or the second half of a finite posterior's members; None for all.
        Raises ValueError if the network is not what it was registered as; see `zoo.catalogue.conformance`.
        """
        from zoo.posteriors import MemberPosterior
        from zoo.prediction.expected import ExpectedPrediction

        network, posterior = self.load()
        if half is not None:
            if not isinstance(posterior, MemberPosterior):
                raise ValueError(f"{self.name} has no members that could be halved: it is {posterior.kind}")
            posterior = posterior.half(half)
        # moved first: how the draws are evaluated depends on where
        return ExpectedPrediction.of(
            network.to(device),
            draws,
            seed,
            gradient,
            posterior=posterior,
            stack=stack,
        ).to(device)

    def load(self) -> tuple[nn.Module, Posterior]:
        """The network and its posterior, checked as by `zoo.catalogue.conformance`; a point for a frequentist one."""
        from zoo.catalogue.conformance import check_network

        network = self.build()
        with isolated_random_state(0):  # a network that takes NumPy's random numbers leaves no trace either
            posterior = check_network(network, self.name, self.dataset, self.family, self.randomness, self.outputs)
            return network, posterior
