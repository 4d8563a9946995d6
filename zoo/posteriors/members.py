"""Ensembles, whose members are there one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from zoo.posteriors.posterior import Kind, require_count


@dataclass(frozen=True)
class MemberPosterior:
    """An ensemble: each of M networks is as likely as the others.

    Of M members or more, each is drawn once, in their order: their average is the prediction itself. Fewer are a random
    choice without replacement.
    """

    members: Callable[[], list[nn.Module]]
    mean: Callable[[], nn.Module] | None = None

    kind = Kind.FINITE

    @property
    def size(self) -> int:
        return len(self.members())

    @property
    def what(self) -> str:
        return f"the members of an ensemble ({self.size})"

    def draws(self, count: int, seed: int) -> list[nn.Module]:
        require_count(count)
        members = list(self.members())
        if count >= len(members):
            return members
        order = torch.randperm(len(members), generator=torch.Generator().manual_seed(seed))
        return [members[index] for index in order[:count]]
