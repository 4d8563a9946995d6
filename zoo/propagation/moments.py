"""Mean and variance of functions of Gaussian variables: the rules of Shekhovtsov and Flach 2018.

"Feed-forward Uncertainty Propagation in Belief and Neural Networks", appendix C. Every rule
takes and returns `Moments` of independent units and works elementwise unless said. With a = mu / sigma, Phi and phi the
standard normal cdf and pdf, everything about a kink is written with two quantities that never cancel,

    q(a) = Phi(-|a|)        h(a) = phi(a) - |a| q(a) >= 0,

the mean of ReLU, for instance, being max(mu, 0) + sigma h: no NaN, no negative variance, and the deterministic function
in the limit of sigma to 0.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from zoo.propagation.fused import Kink, Maximum, least_variance

FAR = 40.0  # standard deviations: phi(40) is 0 in float32 and 1e-348 in float64
LOGISTIC_VARIANCE = math.pi**2 / 3  # of the standard logistic distribution


class Moments(NamedTuple):
    """Mean and variance of a layer of independent units, of the same shape."""

    mean: Tensor
    variance: Tensor


def certain(x: Tensor) -> Moments:
    """Values without uncertainty."""
    return Moments(x, torch.zeros_like(x))


def noisy(x: Tensor, variance: float) -> Moments:
    """Values with noise of the same variance everywhere."""
    return Moments(x, torch.full_like(x, variance))


class Sampled:
    """Mean and variance of samples that come in parts, summed in float64."""

    def __init__(self) -> None:
        self.count, self.total, self.square = 0, torch.zeros(()), torch.zeros(())

    def add(self, samples: Tensor) -> None:
        """samples: (S, ...)."""
        samples = samples.double()
        self.count += len(samples)
        self.total, self.square = self.total + samples.sum(0), self.square + samples.square().sum(0)

    def moments(self) -> Moments:
        """Of all samples so far."""
        mean = self.total / self.count
        return Moments(mean, (self.square / self.count - mean.square()).clamp_min(0))


def product(x: Moments, y: Moments) -> Moments:
    """Of independent factors; exact."""
    variance = x.variance * y.variance + x.variance * y.mean.square() + x.mean.square() * y.variance
    return Moments(x.mean * y.mean, variance)


# --- Functions with a kink -----------------------------------------------------------------------------------------


def relu(x: Moments) -> Moments:
    """max(x, 0); exact for a Gaussian."""
    return leaky_relu(x, 0.0)


def leaky_relu(x: Moments, slope: float = 0.01) -> Moments:
    """X for positive, slope * x for negative x; exact for a Gaussian. abs is slope = -1. No second derivatives."""
    return Moments(*Kink.apply(*x, slope))


def leaky_relu_logistic(x: Moments, slope: float = 0.01, scale: float = 0.3758) -> Moments:
    """The paper's cheaper variance, sigma^2 (slope^2 + (1 - slope^2) S(a / scale)); the mean is that of `leaky_relu`.

    Fitted for slope 0.01; poor for 0, where it gives 0.5 in place of 0.3408 at a = 0.
    """
    _, a = _standardised(x.mean, x.variance)
    share = slope**2 + (1 - slope**2) * torch.sigmoid(a / scale)
    return Moments(leaky_relu(x, slope).mean, x.variance * share)


def absolute(x: Moments) -> Moments:
    """|x|; exact for a Gaussian."""
    return leaky_relu(x, -1.0)


def maximum(x: Moments, y: Moments) -> Moments:
    """max(x, y) of independent Gaussians; exact. No second derivatives: those are in `maximum_of_correlated`."""
    return Moments(*Maximum.apply(*x, *y))


def maximum_of_correlated(x: Moments, y: Moments, covariance: Tensor | float) -> Moments:
    """max(x, y) of two Gaussians; exact (Clark 1961, Nadarajah and Kotz 2008).

    The maximum is that with the larger mean plus what the other exceeds it by.
    """
    spread = (x.variance + y.variance - 2 * covariance).clamp_min(0)
    s, a = _standardised(x.mean - y.mean, spread)
    q, h = _tail(a)
    larger = torch.where(a > 0, x.variance, y.variance)
    share = (q - (a.abs() + h) * h).clamp_min(0)  # variance of ReLU at -|a| for sigma = 1 (equation 43)
    variance = larger * (1 - 2 * q) + 2 * covariance * q + spread * share
    return Moments(torch.where(a > 0, x.mean, y.mean) + s * h, variance.clamp_min(0))


# --- Steps, stochastic units and sigmoids -----------------------------------------------------------------------------


def heaviside(x: Moments) -> Moments:
    """1 for positive x, else 0; exact for a Gaussian."""
    _, a = _standardised(x.mean, x.variance)
    return bernoulli(torch.special.ndtr(a))


def heaviside_logistic(x: Moments) -> Moments:
    """The same for x of a logistic distribution with these moments."""
    _, a = _standardised(x.mean, x.variance)
    return bernoulli(torch.sigmoid(a * math.sqrt(LOGISTIC_VARIANCE)))


def bernoulli(p: Tensor) -> Moments:
    """A binary unit that is 1 with probability p."""
    return Moments(p, p * (1 - p))


def logistic_bernoulli(x: Moments) -> Moments:
    """A binary unit that is 1 with probability S(x), logistic approximation (AP2b): S(mu / sqrt(var / var_S + 1))."""
    return bernoulli(_logistic_mean(x))


def logistic_bernoulli_normal(x: Moments) -> Moments:
    """The same by the normal approximation (AP2a): Phi(mu / sqrt(var + var_S))."""
    return probit(x, LOGISTIC_VARIANCE)


def logistic_transform(x: Moments) -> Moments:
    """S(x): the mean of the Bernoulli unit, and the paper's variance (equation 33), 4 (p (1 - p))^2 / (1 + 4 / var).

    The mean is within 0.025 for any Gaussian; the variance within 0.08, worst where sigma is large and about |mu|.
    """
    p = _logistic_mean(x)
    return Moments(p, 4 * (p * (1 - p)).square() * x.variance / (x.variance + 4))


def probit(x: Moments, noise: float = 1.0) -> Moments:
    """A binary unit that is 1 with probability Phi(x / sqrt(noise)); exact for a Gaussian."""
    return bernoulli(torch.special.ndtr(x.mean / (x.variance + noise).sqrt()))


def normal_cdf(x: Moments) -> Moments:
    """Phi(x); exact for a Gaussian.

    With m = mu / sqrt(1 + var) and b = 1 / sqrt(1 + 2 var) the variance is twice the difference of Owen's T function at
    1 and at b, which is one integral of a positive function: 1 / pi int_b^1 exp(-m^2 (1 + t^2) / 2) / (1 + t^2) dt.
    (The paper has an upper bound.)
    """
    m = x.mean / (1 + x.variance).sqrt()
    root = (1 + 2 * x.variance).sqrt()
    length = 2 * x.variance / (root * (root + 1))  # 1 - b, without its cancellation
    nodes, weights = (values.to(m) for values in _gauss_legendre())
    t = 1 - length[..., None] * nodes
    integrand = (-0.5 * m[..., None].square() * (1 + t.square())).exp() / (1 + t.square())
    return Moments(torch.special.ndtr(m), length / math.pi * (integrand * weights).sum(-1))


# --- Softmax ----------------------------------------------------------------------------------------------------------


def log_softmax_simplified(x: Moments) -> Tensor:
    """Log of the expected softmax over the last dimension: that of mu / sqrt(var / var_S + 1) (equation 64)."""
    return (x.mean / (x.variance / LOGISTIC_VARIANCE + 1).sqrt()).log_softmax(-1)


def log_softmax_logistic(x: Moments) -> Tensor:
    """The same by the multivariate logistic approximation (equations 61 to 63), renormalised."""
    difference, spread = _pairs(x)
    # the pair of a class with itself is 0, the 1 in the denominator
    scaled = -difference / (spread / LOGISTIC_VARIANCE + 1).sqrt()
    return (-scaled.logsumexp(-1)).log_softmax(-1)


def log_softmax_normal(x: Moments) -> Tensor:
    """The same by the normal approximation (equation 59): products of Phi over the other classes, renormalised.

    It takes the comparisons with the other classes for independent, and so is too sure where there are several.
    """
    difference, spread = _pairs(x)
    factors: Tensor = torch.special.log_ndtr(difference / (spread + LOGISTIC_VARIANCE).sqrt())
    own = torch.eye(x.mean.shape[-1], dtype=torch.bool, device=x.mean.device)
    return factors.masked_fill(own, 0.0).sum(-1).log_softmax(-1)


def _pairs(x: Moments) -> tuple[Tensor, Tensor]:
    """mu_k - mu_j and the sum of the variances of k and j, 0 where they are the same: (..., K, K)."""
    difference = x.mean[..., :, None] - x.mean[..., None, :]
    spread = x.variance[..., :, None] + x.variance[..., None, :]
    own = torch.eye(x.mean.shape[-1], dtype=torch.bool, device=x.mean.device)
    return difference, spread.masked_fill(own, 0.0)


# --- What they are made of --------------------------------------------------------------------------------------------


def _standardised(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """sigma, and a = mu / sigma, which is +-FAR beyond it, with gradients that are numbers everywhere.

    sigma is at least 2e-13 in float32 and 1e-102 in float64: smaller would make infinite gradients. a is never 0, where
    autograd would take the derivative of |a| for 0 and that of the rules with it: it counts as positive.
    """
    sigma = variance.clamp_min(least_variance(variance.dtype)).sqrt()
    near = mean.abs() < FAR * sigma
    a = torch.where(near, torch.where(near, mean, 0.0) / sigma, FAR * mean.sign())
    return sigma, torch.where(a == 0, a + torch.finfo(a.dtype).tiny, a)


def _tail(a: Tensor) -> tuple[Tensor, Tensor]:
    """The quantities q = Phi(-|a|) and h = phi(a) - |a| q, to a relative error of a^2 roundings."""
    size = a.abs()
    q = 0.5 * torch.erfc(size / math.sqrt(2))
    phi = (-0.5 * a.square()).exp() / math.sqrt(2 * math.pi)
    return q, (phi - size * q).clamp_min(0)


def _logistic_mean(x: Moments) -> Tensor:
    return torch.sigmoid(x.mean / (x.variance / LOGISTIC_VARIANCE + 1).sqrt())


@functools.cache
def _gauss_legendre(count: int = 16) -> tuple[Tensor, Tensor]:
    """Nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)
