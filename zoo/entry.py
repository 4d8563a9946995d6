"""`ZooEntry`: what the zoo knows about a network, and how to turn it into a checked, loaded predictor."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.seeding import derive_seed, forked_random_state

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zoo.predictive import ExpectedPrediction
    from zoo.targets import GradientTarget


@dataclass(frozen=True)
class ZooEntry:
    """A registered network.

    name: `<data set>/<network>`.     family: `frequentist`, `bayesian`, or another word for a stochastic one.
    factory: builds the network.      weights: safetensors file, None if the factory brings its own weights.
    source: the file that registers it, part of the fingerprint of a network from outside this repository.
    Raises ValueError for a malformed name, an unknown data set or a family without a name.
    """

    name: str
    dataset: str
    family: str
    factory: Callable[[], nn.Module]
    weights: Path | None
    source: Path

    def __post_init__(self) -> None:
        from zoo.datasets import DATASETS

        if self.dataset not in DATASETS:
            raise ValueError(f"{self.name}: no data set {self.dataset!r}; there are: {', '.join(DATASETS)}")
        if not self.name.startswith(f"{self.dataset}/"):
            raise ValueError(f"a zoo entry is named <data set>/<network>: {self.name!r} lacks '{self.dataset}/'")
        if not self.family:
            raise ValueError(f"{self.name}: family must be a word such as 'frequentist' or 'bayesian'")

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
    def is_deterministic(self) -> bool:
        """Whether it is its own single draw."""
        return self.family == "frequentist"

    @property
    def is_external(self) -> bool:
        """Whether the network is defined outside this package."""
        return Path(__file__).resolve().parent not in self.source.parents

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 of what determines the network: family, structure, weights and buffers; for an external one also
        the file that registers it.
        """
        digest = hashlib.sha256(f"{self.family} {_state_digest(self.build())}".encode())
        if self.is_external:
            digest.update(self.source.read_bytes() if self.source.is_file() else b"")
        return digest.hexdigest()

    def build(self) -> nn.Module:
        """The network with its weights, checked: pixels (B, C, H, W) in [0, 1] -> logits (B, K).

        Raises ValueError, naming the entry and the remedy, for a missing, damaged or ill-fitting weights file.
        """
        import torch
        from safetensors.torch import load

        with forked_random_state(derive_seed("build", self.name)):  # constructors draw from the global random state
            try:
                network = self.factory()
            except Exception as error:  # whatever a user's factory raises
                raise ValueError(f"{self.name}: its factory failed: {type(error).__name__}: {error}") from error
        if not isinstance(network, torch.nn.Module):
            raise ValueError(f"{self.name}: its factory returned {type(network).__name__}, not an nn.Module")
        if self.weights is not None:
            content = self._verified_weights(self.weights)
            try:
                network.load_state_dict(_with_shared(load(content), network))
            except Exception as error:
                raise ValueError(f"{self.name}: {self.weights} does not fit the network: {error}") from error
        return network

    def predictor(
        self,
        draws: int,
        seed: int,
        target: GradientTarget = "expected",
        device: str = "cpu",
        **options: Any,
    ) -> ExpectedPrediction:
        """The expected prediction over `draws` frozen draws; a frequentist network is the case of one draw.

        options: those of `ExpectedPrediction`.
        Raises ValueError if the network is not what it was registered as; see `zoo.conformance`.
        """
        from zoo.conformance import check_network
        from zoo.predictive import ExpectedPrediction

        network = self.build()
        check_network(self, network)
        # moved first: how the draws are evaluated depends on where
        return ExpectedPrediction.of(
            network.to(device),
            draws,
            seed,
            target,
            deterministic=self.is_deterministic,
            **options,
        )

    def _verified_weights(self, path: Path) -> bytes:
        if not path.is_file():
            raise ValueError(f"{self.name}: no weights at {path}; train it: python -m zoo.train {self.name}")
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        expected = self.card.get("sha256", found)
        if found != expected:
            raise ValueError(
                f"{self.name}: {path} has sha256 {found[:12]}…, its card says {expected[:12]}…; the file is "
                "damaged or was replaced: restore it, or train it again"
            )
        return content


def _with_shared(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """With every name of a tensor that a network has under several, of which safetensors keep one."""
    own = network.state_dict()
    names = {(value.data_ptr(), value.shape): name for name, value in own.items() if name in state}
    shared = {name: names.get((value.data_ptr(), value.shape)) for name, value in own.items() if name not in state}
    return state | {name: state[kept] for name, kept in shared.items() if kept is not None}


def _state_digest(network: nn.Module) -> str:
    """sha256 over a network's structure, parameters and buffers, also those that are not saved with its weights.

    The structure is that of a posterior draw: priors and how training samples determine no prediction. Neither do the
    buffers into which other Bayesian libraries draw their noise, eps_weight and the like.
    """
    import torch

    from zoo.layers import bayesian_layers
    from zoo.posterior import is_foreign, posterior_mean

    drawn = posterior_mean(network) if bayesian_layers(network) else network
    digest = hashlib.sha256(repr(drawn).encode())
    noise = {
        f"{path}.{name}".removeprefix(".")
        for path, layer in network.named_modules()
        if is_foreign(layer)
        for name, _ in layer.named_buffers(recurse=False)
        if name.startswith("eps")
    }
    for name, value in (*network.named_parameters(), *network.named_buffers()):
        if name not in noise:
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)  # NumPy has no bfloat16
            digest.update(content.numpy().tobytes())
    return digest.hexdigest()
