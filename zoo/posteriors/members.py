"""Ensembles and Monte-Carlo samples, whose members are there one by one."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from zoo.combine import mean_of, shares
from zoo.kind import Kind
from zoo.posteriors.posterior import require_count


@dataclass(frozen=True)
class MemberPosterior:
    """M networks of known weight. given_weights: theirs, in any unit; alike by default.

    is_sample: whether they are Monte-Carlo samples of a posterior, and no ensemble that was made for itself.
    Of M members or more, each is drawn once, in their order: their weighted average is the prediction itself. Fewer are
    a random choice without replacement.
    """

    members: Callable[[], Sequence[nn.Module]]
    mean: Callable[[], nn.Module] | None = None
    given_weights: Callable[[], Sequence[float]] | None = None
    is_sample: bool = False

    kind = Kind.FINITE

    @functools.cached_property
    def _all(self) -> list[nn.Module]:
        """Built once: fresh draws ask for some of them at each step."""
        return list(self.members())

    @property
    def size(self) -> int:
        return len(self._all)

    @property
    def what(self) -> str:
        weighted = "" if self.given_weights is None else ", weighted"
        what = "Monte-Carlo samples of its posterior" if self.is_sample else "the members of an ensemble"
        return f"{what} ({self.size}{weighted})"

    @property
    def family(self) -> str:
        return "bayesian" if self.is_sample else "ensemble"

    def half(self, which: int) -> MemberPosterior:
        """The first (0) or the second (1) half of the members: samples of one chain lie beside each other, and stay so.

        Its mean is its own members': that of all would give the other half away.
        Raises ValueError where there are fewer than two.
        """
        if (size := self.size) < 2:
            raise ValueError(f"{size} member has no halves")
        part, given = slice(None, size // 2) if which == 0 else slice(size // 2, None), self.given_weights
        weights = None if given is None else lambda: list(given())[part]
        mean = None if self.mean is None else lambda: _mean(self._all[part], weights and weights())
        return MemberPosterior(lambda: self._all[part], mean, weights, self.is_sample)

    def draws(self, count: int, seed: int) -> list[nn.Module]:
        return [self._all[index] for index in _chosen(self.size, count, seed)]

    def weights(self, count: int, seed: int) -> list[float] | None:
        """Raises ValueError for weights that are not one number >= 0 a member, not all of them 0."""
        if self.given_weights is None:
            return None
        weights, size = [float(weight) for weight in self.given_weights()], self.size
        if len(weights) != size or not all(math.isfinite(w) and w >= 0 for w in weights) or not sum(weights) > 0:
            raise ValueError(
                f"weights() gave {weights[:5]}{' ...' if len(weights) > 5 else ''} for {size} members: give one number "
                ">= 0 for each, not all of them 0"
            )
        return [weights[index] for index in _chosen(size, count, seed)]


def _mean(members: Sequence[nn.Module], weights: Sequence[float] | None) -> nn.Module:
    """A network of their mean weights."""
    share, states = shares(weights), [member.state_dict() for member in members]
    mean = copy.deepcopy(members[0])
    mean.load_state_dict({name: mean_of(torch.stack([state[name] for state in states]), share) for name in states[0]})
    return mean


def _chosen(size: int, count: int, seed: int) -> list[int]:
    """Which of the members are drawn."""
    require_count(count)
    if count >= size:
        return list(range(size))
    order: list[int] = torch.randperm(size, generator=torch.Generator().manual_seed(seed)).tolist()
    return order[:count]
