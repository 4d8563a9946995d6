"""What a broken network is to the self-test: an entry, what is wrong with it, what it hides and what must catch it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmark.attacks.craft import Adapter
from benchmark.selftest.hidden import DATASET_OF, hidden
from zoo import ZooEntry, models
from zoo.posteriors import PointPosterior, Posterior, posterior_draws, posterior_of
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import derive_seed
from zoo.targets import Gradient


class _Resampling(ExpectedPrediction):
    """An expected prediction that draws its networks anew at every call."""

    def __init__(self, network: nn.Module, draws: int, seed: int, gradient: Gradient, stack: bool | None) -> None:
        super().__init__(posterior_draws(network, draws, seed), gradient, stack=stack)
        self.network, self.seed, self.calls = network, seed, 0

    def logits(self, x: Tensor) -> Tensor:
        self.calls += 1
        drawn = posterior_draws(self.network, self.draws, derive_seed(self.seed, self.calls))
        return torch.stack([draw.eval()(x) for draw in drawn])


@dataclass(frozen=True)
class Unchecked(ZooEntry):
    """An entry that is not refused when it is loaded, as some of the broken ones would be.

    resampling: whether its draws are taken anew at every call.
    """

    resampling: bool = False

    def load(self) -> tuple[nn.Module, Posterior]:
        network = self.build()
        return network, PointPosterior(network) if self.is_deterministic else posterior_of(network)

    def predictor(
        self,
        draws: int,
        seed: int,
        gradient: Gradient = Gradient(),
        device: str = "cpu",
        stack: bool | None = None,
        half: int | None = None,
    ) -> ExpectedPrediction:
        if self.resampling:
            return _Resampling(self.build().to(device), draws, seed, gradient, stack)
        return super().predictor(draws, seed, gradient, device, stack, half)


@dataclass(frozen=True)
class Broken:
    """entry: what is attacked. defect: in a line. source: the paper that it is from.

    checks: those that must catch it, each of them; none where its number is not above the truth.
    behind: the honest entry that it hides, whose worst case is its own; None where the defect is the network's own, and
        nobody knows better than the attacks that were tried.
    adapters: library -> what runs its attacks, where these are the defect.
    """

    entry: ZooEntry
    defect: str
    source: str
    checks: tuple[str, ...]
    behind: ZooEntry | None
    adapters: Mapping[str, Adapter]


def hidden_entry(name: str) -> ZooEntry:
    """A hidden network as an entry that hides nothing."""
    dataset = DATASET_OF[name]
    return ZooEntry(f"{dataset}/hidden-{name}", dataset, "frequentist", partial(hidden, name), None, Path(__file__))


MLP = "mnist/mlp"  # accuracy 98 % on MNIST, 2 % at linf eps 0.1, 0 % at 0.3; transfers of the zoo come from it, too


def behind_as_entry(behind: str) -> ZooEntry:
    """What a broken network hides. behind: the name of a hidden network, or of an entry of the zoo."""
    return hidden_entry(behind) if behind in DATASET_OF else models[behind]


class Around(nn.Module):
    """A hidden network behind something; subclasses say what."""

    def __init__(self, behind: str = MLP) -> None:
        super().__init__()
        self.inner = behind_as_entry(behind).build().eval()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.inner(x)
        return logits


def neighbours(x: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Of images (B, ...) and known ones (N, D) with N > 0: (B,) which is nearest in l2, and whether it is near.

    Near is whatever an attack may make of it in either norm, at the eps of MNIST.
    """
    flat = x.detach().flatten(1)
    distances, nearest = torch.cdist(flat, images).min(1)
    most = (flat - images[nearest]).abs().amax(1)
    return nearest, (most < 0.31) | (distances < 2.1)


def broken(
    factory: Callable[[], nn.Module],
    defect: str,
    source: str,
    checks: tuple[str, ...],
    *,
    behind: str | None = "conv",
    dataset: str = "mnist",
    family: str | None = "frequentist",
    kind: Callable[..., ZooEntry] = ZooEntry,
    adapters: Mapping[str, Adapter] | None = None,
) -> Callable[[str], Broken]:
    """A row: from its name to a broken network.

    behind: the hidden network, or an entry of the zoo. dataset: where nothing is hidden.
    kind: `Unchecked` where it would be refused when it is loaded.
    """

    def named(name: str) -> Broken:
        hides = None if behind is None else behind_as_entry(behind)
        data = dataset if hides is None else hides.dataset
        entry = kind(f"{data}/{name}", data, family, factory, None, Path(__file__))
        return Broken(entry, defect, source, checks, hides, adapters or {})

    return named


def table(rows: Mapping[str, Callable[[str], Broken]]) -> dict[str, Broken]:
    """The rows by their names."""
    return {name: row(name) for name, row in rows.items()}


def merged(tables: Iterable[dict[str, Broken]]) -> dict[str, Broken]:
    """All tables as one. Raises ValueError for a name that is in two."""
    found: dict[str, Broken] = {}
    for one in tables:
        if twice := found.keys() & one.keys():
            raise ValueError(f"two broken networks are called {', '.join(sorted(twice))}")
        found |= one
    return found
