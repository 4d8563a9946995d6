"""Priors over a weight, and the KL divergence of a Gaussian posterior from each."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


class Prior(ABC):
    """The same distribution for every weight of a layer, independently."""

    @abstractmethod
    def kl(self, mu: Tensor, sigma: Tensor, log_alpha: Tensor | None, sample: Callable[[], Tensor]) -> Tensor:
        """KL(N(mu, sigma^2) || prior) summed over all elements: a scalar in nats.

        log_alpha: log(sigma^2 / mu^2) where that is the parameter, of which sigma is made.
        sample: gives one reparameterised draw from the posterior, for priors whose KL is estimated from draws.
        """


@dataclass(frozen=True)
class GaussianPrior(Prior):
    """N(mu, sigma^2). The KL is exact. Raises ValueError if sigma is not positive."""

    sigma: float = 0.1
    mu: float = 0.0

    def __post_init__(self) -> None:
        _require_positive(self, "sigma")

    def kl(self, mu: Tensor, sigma: Tensor, log_alpha: Tensor | None, sample: Callable[[], Tensor]) -> Tensor:
        return gaussian_kl(mu, sigma, self.mu, self.sigma)


@dataclass(frozen=True)
class ScaleMixturePrior(Prior):
    """pi N(0, sigma1^2) + (1 - pi) N(0, sigma2^2) (Blundell et al. 2015, equation 7).

    The KL has no closed form: it is estimated without bias from one draw of every weight, log q(w) - log p(w)
    (their equation 2). The draw is the KL's own, not that of the forward pass.
    Raises ValueError if a sigma is not positive or pi not between 0 and 1.
    """

    pi: float = 0.5
    sigma1: float = 1.0
    sigma2: float = 0.0025

    def __post_init__(self) -> None:
        _require_positive(self, "sigma1")
        _require_positive(self, "sigma2")
        if not 0 < self.pi < 1:
            raise ValueError(f"pi must lie between 0 and 1, not {self.pi}")

    def kl(self, mu: Tensor, sigma: Tensor, log_alpha: Tensor | None, sample: Callable[[], Tensor]) -> Tensor:
        w = sample()
        wide = _log_normal(w, 0.0, self.sigma1) + math.log(self.pi)
        narrow = _log_normal(w, 0.0, self.sigma2) + math.log1p(-self.pi)
        return (_log_normal(w, mu, sigma) - torch.logaddexp(wide, narrow)).sum()


@dataclass(frozen=True)
class LogUniformPrior(Prior):
    """The improper prior p(log |w|) = constant, of variational dropout (Kingma et al. 2015).

    The KL is defined up to a constant, which is chosen so that it vanishes for sigma / |mu| to infinity, and
    approximated by equation 14 of Molchanov et al. 2017 ("Variational Dropout Sparsifies Deep Neural Networks"),
    within 0.01 nats a weight. It depends on alpha = sigma^2 / mu^2 alone: the natural partner of posteriors whose
    variance is alpha mu^2, which a Gaussian prior drives away from mu = 0 instead.
    """

    def kl(self, mu: Tensor, sigma: Tensor, log_alpha: Tensor | None, sample: Callable[[], Tensor]) -> Tensor:
        if log_alpha is None:
            log_alpha = 2 * (sigma.log() - mu.abs().clamp_min(torch.finfo(mu.dtype).tiny).log())
        k1, k2, k3 = 0.63576, 1.87320, 1.48695
        return (k1 * torch.sigmoid(-(k2 + k3 * log_alpha)) + 0.5 * F.softplus(-log_alpha)).expand(mu.shape).sum()


def gaussian_kl(mu_q: Tensor, sigma_q: Tensor, mu_p: float, sigma_p: float) -> Tensor:
    """KL(q || p) of independent Gaussians in closed form, summed over all elements: a scalar in nats.

    1/2 sum[2 log(sigma_p / sigma_q) - 1 + (sigma_q / sigma_p)^2 + ((mu_q - mu_p) / sigma_p)^2]
    """
    ratio = sigma_q / sigma_p
    return 0.5 * (-2 * ratio.log() - 1 + ratio.square() + ((mu_q - mu_p) / sigma_p).square()).sum()


def _log_normal(w: Tensor, mu: Tensor | float, sigma: Tensor | float) -> Tensor:
    log_sigma = sigma.log() if isinstance(sigma, Tensor) else math.log(sigma)
    return -0.5 * ((w - mu) / sigma).square() - log_sigma - 0.5 * math.log(2 * math.pi)


def _require_positive(prior: Prior, name: str) -> None:
    if not (value := getattr(prior, name)) > 0 or math.isinf(value):
        raise ValueError(f"{name} of a {type(prior).__name__} must be positive and finite, not {value}")
