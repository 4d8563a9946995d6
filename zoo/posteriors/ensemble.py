"""Networks that are there one by one, as one network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from zoo.combine import expected, shares
from zoo.posteriors.found import held_posterior


class Ensemble(nn.Module):
    """M networks of any architectures: (B, C, H, W) -> (B, K) log of the average of their softmaxes.

    given_weights: how much each member counts, in any unit; alike by default. is_sample: whether they are Monte-Carlo
    samples of a posterior.
    Raises ValueError for no member, and for a member that is itself a posterior.
    """

    weights: Callable[[], list[float]]

    def __init__(
        self, networks: Sequence[nn.Module], given_weights: Sequence[float] | None = None, is_sample: bool = False
    ) -> None:
        super().__init__()
        if not networks:
            raise ValueError("an ensemble has at least one network: the list is empty")
        for index, network in enumerate(networks):
            if held := held_posterior(network):
                raise ValueError(
                    f"a list of networks is one ensemble of ordinary ones, but network {index} has {held}; to evaluate "
                    "several networks beside each other, name them: evaluate({'a': ..., 'b': ...})"
                )
        self.networks = nn.ModuleList(networks)
        self.is_sample = is_sample
        if given_weights is not None:
            self.weights = lambda: list(given_weights)

    def members(self) -> list[nn.Module]:
        return list(self.networks)

    def forward(self, x: Tensor) -> Tensor:
        share = shares(self.weights()) if hasattr(self, "weights") else None
        logits = torch.stack([network(x) for network in self.networks])
        return expected(logits, None if share is None else share.to(logits))
