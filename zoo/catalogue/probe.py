"""Passes of a network over a few fixed images, to see what it does before anything is attacked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from zoo.datasets import dataset_spec
from zoo.kind import Outputs
from zoo.seeding import forked_random_state, private_generator

State = Callable[[int], AbstractContextManager[None]]


class Probe:
    """Four random images, a black and a white one.

    name, outputs: of the entry, for what is refused.
    """

    def __init__(self, name: str, dataset: str, outputs: Outputs = Outputs.LOGITS) -> None:
        self.name, self.spec, self.outputs = name, dataset_spec(dataset), outputs
        shape = self.spec.shape
        noise = torch.rand((4, *shape), generator=private_generator("probe", dataset))
        self.images = torch.cat([noise, torch.zeros(1, *shape), torch.ones(1, *shape)]).requires_grad_()  # (6, C, H, W)

    def logits(self, network: nn.Module, seed: int = 0, state: State = forked_random_state) -> Tensor:
        """One pass under a global random state of its own: a frozen network gives the same for every seed.

        state: which of the global random states are seeded for the pass; torch's by default.
        Raises ValueError for a network that fails, or that returns something else than a tensor.
        """
        try:
            with state(seed):
                logits = network.eval()(self.images)
        except Exception as error:  # whatever a user's network raises
            what = f"{type(error).__name__}: {error}"
            raise ValueError(f"{self.name}: fails on images of shape {tuple(self.images.shape)}: {what}") from error
        if not isinstance(logits, Tensor):
            raise ValueError(f"{self.name}: returns {type(logits).__name__}; return one tensor of logits (B, K)")
        return logits

    def repeats(self, network: nn.Module, state: State) -> bool:
        """Whether two passes from the same random state are the same."""
        return torch.equal(self.logits(network, 0, state), self.logits(network, 0, state))

    def reached_by(self, logits: Tensor) -> bool:
        """Whether the output depends differentiably on the images."""
        if not logits.requires_grad:
            return False
        (gradient,) = torch.autograd.grad(logits.sum(), self.images, retain_graph=True, allow_unused=True)
        return gradient is not None
