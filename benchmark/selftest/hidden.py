"""The networks behind the defects: accurate, not robust at all, and no source of transfers of the zoo.

Each is a small convolutional network that was trained for this alone (`python -m benchmark.selftest.train`), so that no
attack on another network of the zoo is an attack on what is hidden. As entries they are honest networks, and their own
worst case is what a network that hides one of them has.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmark.selftest.data import RARE, RARE_DIGITS, SMALL
from zoo.catalogue.state import load_weights

WEIGHTS = Path(__file__).parent / "weights"


class KWinners(nn.Module):
    """All but the k largest activations of an image become zero (Xiao et al. 2020): (B, ...) -> the same."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        least = x.flatten(1).topk(self.k, dim=1).values[:, -1]
        return torch.where(x >= least.view(-1, *[1] * (x.ndim - 1)), x, 0.0)

    def extra_repr(self) -> str:
        return str(self.k)


@dataclass(frozen=True)
class Hidden:
    """What is trained: for which data set, and how.

    dataset: whose images it is for. channels, size: of them. classes: its logits. width: channels of its first layer,
        and twice as many of the second. winners: k of its k-winners-take-all layer; None for two ReLU.
    kept: the share of pixels that it sees in training, others each time; 1 for all.
    epochs: of Adam over all training images, in batches of 100.
    """

    dataset: str
    channels: int = 1
    size: int = 28
    classes: int = 10
    width: int = 8
    winners: int | None = None
    kept: float = 1.0
    epochs: int = 4

    def network(self) -> nn.Sequential:
        """The network without its weights: pixels (B, C, H, W) in [0, 1] -> logits (B, K)."""
        between = [nn.ReLU(), nn.ReLU()] if self.winners is None else [KWinners(self.winners), KWinners(self.winners)]
        side = self.size // 4
        return nn.Sequential(
            nn.Conv2d(self.channels, self.width, 4, 2, 1),
            between[0],
            nn.Conv2d(self.width, 2 * self.width, 4, 2, 1),
            between[1],
            nn.Flatten(),
            nn.Linear(2 * self.width * side * side, self.classes),
        )


HIDDEN: dict[str, Hidden] = {
    "conv": Hidden("mnist"),
    "masked": Hidden("mnist", kept=0.3, epochs=8),
    "winners": Hidden("mnist", winners=40),
    "colour": Hidden("cifar10-jpeg", channels=3, size=32, width=12, epochs=8),
    "small": Hidden(SMALL, size=20),
}

DATASET_OF = {**{name: recipe.dataset for name, recipe in HIDDEN.items()}, "rare": RARE}


class Rare(nn.Module):
    """A network for ten digits as one for two classes: whether it is a rare digit."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        digits = self.inner(x)
        parts = [digit for digit in range(10) if digit not in RARE_DIGITS], list(RARE_DIGITS)
        return torch.stack([digits[:, part].logsumexp(1) for part in parts], 1)


def hidden(name: str = "conv") -> nn.Module:
    """A hidden network with its weights, in evaluation mode. Raises ValueError for weights that are not the trained."""
    if name == "rare":
        return Rare(hidden("small")).eval()
    network, path = HIDDEN[name].network(), WEIGHTS / f"{name}.safetensors"
    load_weights(network, path, f"hidden {name}", json.loads(path.with_suffix(".json").read_text())["sha256"])
    return network.eval()
