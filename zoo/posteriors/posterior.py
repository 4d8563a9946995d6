"""What every posterior answers: of what kind it is, what is random in it, its draws and its mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import nn

from zoo.kind import Kind


class Posterior(Protocol):
    """What a network's weights may be. Whether a network is Bayesian is asked here, by `kind`, and nowhere else.

    size: how many networks it is made of; None where they are drawn. what: what is random in it, in words.
    family: what the field calls it: frequentist, bayesian, ensemble or stochastic.
    mean: makes the network of the posterior mean; None where none is defined.
    is_sample: whether it is made of Monte-Carlo samples, which stand for a limit as well as for themselves.
    """

    @property
    def kind(self) -> Kind: ...

    @property
    def size(self) -> int | None: ...

    @property
    def what(self) -> str: ...

    @property
    def family(self) -> str: ...

    @property
    def is_sample(self) -> bool: ...

    @property
    def mean(self) -> Callable[[], nn.Module] | None: ...

    def draws(self, count: int, seed: int) -> list[nn.Module]:
        """`count` frozen draws, deterministic in `seed`; all networks once where there are no more than `count`.

        The first n of less than all do not depend on `count`. The global random state is not touched.
        Raises ValueError for a count below one.
        """

    def weights(self, count: int, seed: int) -> list[float] | None:
        """How much each of these draws counts; None where they count alike."""


class DrawnAlike:
    """A posterior whose draws count alike, and which is no sample of another one."""

    is_sample = False

    @property
    def family(self) -> str:
        return "bayesian"

    def weights(self, count: int, seed: int) -> None:
        """None."""


def require_count(count: int) -> None:
    """Raises ValueError for less than one draw."""
    if count < 1:
        raise ValueError(f"at least one posterior draw is needed, not {count}")
