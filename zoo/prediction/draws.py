"""How the draws of a gradient are evaluated: (B, C, H, W) -> (S, B, K), one after the other or many in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from zoo.layers.convolution import FastConvolutions
from zoo.prediction.architecture import is_one_architecture
from zoo.prediction.mapped import MappedDraws, shared_convolutions
from zoo.prediction.stacked import GroupedDraws, is_plain_chain

DrawsOfStep = Callable[[int], tuple[Sequence[nn.Module], Sequence[float] | None]]


# How much of an architecture, in convolutions, the networks share before they part, for one pass to be faster on a CPU.
# Measured there, 8 draws of a ResNet-18, as a part of the loop's time: 0.2 with the last layer alone random, 0.4 to 0.6
# with the last convolution, 0.7 with the last quarter of them, 1.7 with the last half, 2.6 to 3 with all.
SHARED = 0.75


class LoopedDraws(nn.Module):
    """The networks' logits one after the other: any networks. (B, C, H, W) -> (S, B, K)."""

    in_one_pass = False

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    @property
    def parts(self) -> list[nn.Module]:
        """What is evaluated one after the other."""
        return list(self.networks)

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
        with FastConvolutions():
            return torch.stack([network(x) for network in self.networks])


Draws = LoopedDraws | GroupedDraws | MappedDraws


def evaluated(networks: Sequence[nn.Module], stack: bool | None = None) -> Draws:
    """The networks' logits, in one pass where that is possible and faster.

    stack: False for one network after the other; True for one pass wherever it is possible. None takes one pass for
    plain chains of layers, for any architecture on a GPU, where launches dominate, and on a CPU for one most of which
    all networks share.
    Raises ValueError for True and networks that are not of one architecture.
    """
    if stack is False:
        return LoopedDraws(networks)
    if is_plain_chain(networks):
        return GroupedDraws(networks)
    return MappedDraws(networks) if stack or _is_faster_at_once(networks) else LoopedDraws(networks)


def _is_faster_at_once(networks: Sequence[nn.Module]) -> bool:
    if len(networks) == 1 or not is_one_architecture(networks):
        return False
    return any(value.is_cuda for value in networks[0].parameters()) or shared_convolutions(networks) >= SHARED


class DrawsInTurn(nn.Module):
    """One of the networks at a time, at each step the next, after the last the first: (B, C, H, W) -> (1, B, K).

    stack: as of `evaluated`.
    """

    def __init__(self, networks: Sequence[nn.Module], stack: bool | None) -> None:
        super().__init__()
        self.draws = nn.ModuleList(evaluated([network], stack) for network in networks)
        self.step = 1

    @property
    def in_one_pass(self) -> bool:
        """Of each network."""
        return bool(self.draws[0].in_one_pass)

    def turn_to(self, step: int) -> None:
        """Take the network of a step, the first of which is 1."""
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.draws[(self.step - 1) % len(self.draws)](x)
        return logits


class FreshDraws(nn.Module):
    """Other networks at each step: (B, C, H, W) -> (S, B, K).

    networks: of the first step, which is 1. draw: from the number of another step to its networks, and how much each
    counts. stack: as of `evaluated`.
    """

    def __init__(self, networks: Sequence[nn.Module], draw: DrawsOfStep, stack: bool | None) -> None:
        super().__init__()
        self.draw, self.stack = draw, stack
        self.networks, self.step = evaluated(networks, stack), 1

    @property
    def in_one_pass(self) -> bool:
        """Of a step's networks."""
        return self.networks.in_one_pass

    @property
    def parts(self) -> list[nn.Module]:
        """What is evaluated one after the other."""
        return list(getattr(self.networks, "parts", [self.networks]))

    def turn_to(self, step: int) -> Sequence[float] | None:
        """Draw the networks of a step; how much each counts, None where they count alike or nothing is drawn."""
        if step == self.step:
            return None
        networks, weights = self.draw(step)
        # what was found of the first step's networks holds for all
        self.networks = evaluated(networks, self.stack if self.in_one_pass else False).requires_grad_(False)
        self.step = step
        return weights

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.networks.to(x.device, memory_format=torch.channels_last)(x)  # type: ignore[call-overload]
        return logits
