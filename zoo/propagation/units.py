"""Stochastic units of belief networks, as modules: their mean, or a draw where they were given a generator."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from zoo.propagation import moments
from zoo.propagation.moments import Moments


class Unit(nn.Module, ABC):
    """A layer whose output is random given its input. `generator`: where draws come from, None for the mean."""

    generator: torch.Generator | None = None

    @abstractmethod
    def mean(self, x: Tensor) -> Tensor:
        """The expected output for a certain input: what a standard network would compute (AP1)."""

    @abstractmethod
    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A draw of the output for a certain input."""

    @abstractmethod
    def propagate(self, x: Moments) -> Moments:
        """Moments of the output for an uncertain input (AP2)."""

    def forward(self, x: Tensor) -> Tensor:
        return self.mean(x) if self.generator is None else self.sample(x, self.generator)


def sample(network: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
    """A network's output for a certain input, every unit drawn: the third kind of propagation beside AP1 and AP2."""
    units = [part for part in network.modules() if isinstance(part, Unit)]
    for unit in units:
        unit.generator = generator
    try:
        output: Tensor = network(x)
        return output
    finally:
        for unit in units:
            unit.generator = None


class LogisticBernoulli(Unit):
    """1 with probability S(x), else 0. normal: by approximation AP2a in place of AP2b."""

    def __init__(self, normal: bool = False) -> None:
        super().__init__()
        self.normal = normal

    def mean(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.bernoulli(torch.sigmoid(x), generator=generator)

    def propagate(self, x: Moments) -> Moments:
        return moments.logistic_bernoulli_normal(x) if self.normal else moments.logistic_bernoulli(x)


class Probit(Unit):
    """1 with probability Phi(x), else 0."""

    def mean(self, x: Tensor) -> Tensor:
        p: Tensor = torch.special.ndtr(x)
        return p

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.bernoulli(torch.special.ndtr(x), generator=generator)

    def propagate(self, x: Moments) -> Moments:
        return moments.probit(x)


class GaussianNoise(Unit):
    """x + N(0, sigma^2)."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def extra_repr(self) -> str:
        return f"sigma={self.sigma:g}"

    def mean(self, x: Tensor) -> Tensor:
        return x

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x + self.sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype)

    def propagate(self, x: Moments) -> Moments:
        return Moments(x.mean, x.variance + self.sigma**2)


class BernoulliDropout(Unit):
    """x times 0 with probability p, else 1 / (1 - p): dropout whose noise is part of the model."""

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p must be at least 0 and below 1, not {p}")
        self.p = p

    def extra_repr(self) -> str:
        return f"p={self.p:g}"

    def mean(self, x: Tensor) -> Tensor:
        return x

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        kept = torch.bernoulli(torch.full_like(x, 1 - self.p), generator=generator)
        return x * kept / (1 - self.p)

    def propagate(self, x: Moments) -> Moments:
        return Moments(x.mean, torch.addcmul(x.variance, x.mean, x.mean, value=self.p) / (1 - self.p))


class Heaviside(nn.Module):
    """1 for positive x, else 0: no gradient of its own, but one once its input is uncertain."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0).to(x.dtype)


class Abs(nn.Module):
    """|x|."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs()


class NormalCdf(nn.Module):
    """Phi(x)."""

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = torch.special.ndtr(x)
        return output
