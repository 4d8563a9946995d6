"""Moments with their derivatives in closed form: what autograd would keep and go through again is computed at once.

A network spends most of a pass in these rules. By autograd each is a chain of some thirty elementwise operations,
all of them kept; here a backward pass is a few products. `zoo.propagation.moments` gives them their names; second
derivatives there are none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

FAR = 12.0  # standard deviations: phi(12) is 2e-32, nothing in float64; farther out exp and erfc underflow and are slow


def least_variance(dtype: torch.dtype) -> float:
    """A variance below it counts as 0: a smaller one would make infinite gradients."""
    return float(torch.finfo(dtype).tiny ** (2 / 3))


def sides(a: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """U = Phi(a), L = Phi(-a), phi(a), P = phi + a U and N = phi - a L: the means of ReLU at a and -a for sigma = 1.

    Values that no sum would notice become 0: their products would be denormal, which processors are slow with.
    """
    none = torch.finfo(a.dtype).eps ** 2
    upper = F.threshold((a * -math.sqrt(0.5)).erfc_().mul_(0.5), none, 0.0, inplace=True)
    phi = a.square().mul_(-0.5).exp_().mul_(1 / math.sqrt(2 * math.pi))
    phi = F.threshold(phi, none, 0.0, inplace=True)
    lower = 1 - upper
    positive = torch.addcmul(phi, a, upper).clamp_min_(0)
    return upper, lower, phi, positive, torch.addcmul(phi, a, lower, value=-1).clamp_min_(0)


class Kink(torch.autograd.Function):
    """(mean, variance) of a Gaussian x where it is positive, of slope * x where it is negative, from those of x.

    With r = 1 - slope and the `sides` of a = mu / sigma, the variance is share * sigma^2 for

        share = slope^2 + (1 - slope^2) U - r^2 P N, and D = 2 r (slope phi + r P L):
        d mean / d mu = slope + r U          d mean / d var = r phi / 2 sigma
        d var / d mu = sigma D               d var / d var = share - a D / 2
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, x_variance: Tensor, slope: float) -> tuple[Tensor, Tensor]:
        least, rest = least_variance(x.dtype), 1 - slope
        sigma = x_variance.clamp_min(least).sqrt_()
        a = (x / sigma).clamp_(-FAR, FAR)
        upper, lower, phi, positive, negative = sides(a)
        mean = F.leaky_relu(x, slope).addcmul_(sigma, torch.minimum(positive, negative), value=rest)
        share = upper.mul(1 - slope**2).add_(slope**2).addcmul_(positive, negative, value=-(rest**2)).clamp_min_(0)
        variance = share * x_variance
        if any(ctx.needs_input_grad):
            by_mean = positive.mul_(lower).mul_(2 * rest**2).add_(phi, alpha=2 * rest * slope)
            by_variance = share.addcmul_(a, by_mean, value=-0.5)
            density = phi.div_(sigma).mul_(rest / 2).masked_fill_(x_variance <= least, 0.0)
            ctx.save_for_backward(upper.mul_(rest).add_(slope), density, by_mean.mul_(sigma), by_variance)
        return mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_mean: Tensor, of_variance: Tensor) -> tuple[Tensor | None, ...]:
        return *_chained(ctx.saved_tensors, of_mean, of_variance), None


class Maximum(torch.autograd.Function):
    """(mean, variance) of max(x, y) of independent Gaussians, from (mean, variance) of either.

    With s^2 the sum of the variances and the `sides` of a = (mu_x - mu_y) / s:

        var = var_x U + var_y L - s^2 P N
        d mean / d mu_x = U                              d mean / d var = phi / 2s, of either
        d var / d mu_x = (var_x - var_y) phi / s + s (P L - N U)
        d var / d var_x = U + T,                         d var / d var_y = L + T,
        T = -a phi (var_x - var_y) / 2s^2 - a phi (U - L) / 2 - phi^2
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, x_variance: Tensor, y: Tensor, y_variance: Tensor) -> tuple[Tensor, Tensor]:
        least = least_variance(x.dtype)
        spread = (x_variance + y_variance).clamp_min_(least)
        s = spread.sqrt()
        a = (x - y).div_(s).clamp_(-FAR, FAR)
        upper, lower, phi, positive, negative = sides(a)
        mean = torch.maximum(x, y).addcmul_(s, torch.minimum(positive, negative))
        variance = (x_variance * upper).addcmul_(y_variance, lower)
        variance = variance.addcmul_(spread, positive * negative, value=-1).clamp_min_(0)
        if any(ctx.needs_input_grad):
            density = phi / s
            by_variances = (x_variance - y_variance).mul_(density)
            by_mean = positive.mul_(lower).addcmul_(negative, upper, value=-1).mul_(s).add_(by_variances)
            rest = by_variances.div_(s).addcmul_(phi, upper - lower).mul_(a).mul_(-0.5).addcmul_(phi, phi, value=-1)
            certain = spread <= least
            ctx.save_for_backward(
                upper, density.mul_(0.5).masked_fill_(certain, 0.0), by_mean, rest.masked_fill_(certain, 0.0)
            )
        return mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_mean: Tensor, of_variance: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        upper, density, by_mean, rest = ctx.saved_tensors
        to_x = (of_mean * upper).addcmul_(of_variance, by_mean)
        to_both = (of_mean * density).addcmul_(of_variance, rest)
        to_x_variance = torch.addcmul(to_both, of_variance, upper)
        return to_x, to_x_variance, of_mean - to_x, to_both.mul_(2).add_(of_variance).sub_(to_x_variance)


class Quadrature(torch.autograd.Function):
    """(mean, variance) of f(x) for a Gaussian x, by nodes and weights for the standard normal distribution.

    f: elementwise. With f_i at node z_i and its derivative f'_i there, d mean / d sigma is the sum of w_i z_i f'_i, and
    that of the variance the sum of 2 w_i z_i (f_i - mean) f'_i.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        x_variance: Tensor,
        f: Callable[[Tensor], Tensor],
        nodes: list[float],
        weights: list[float],
    ) -> tuple[Tensor, Tensor]:
        least = least_variance(x.dtype)
        sigma = x_variance.clamp_min(least).sqrt_()
        wanted = any(ctx.needs_input_grad)
        values, slopes = zip(*(_value_and_slope(f, torch.add(x, sigma, alpha=z), wanted) for z in nodes), strict=True)
        mean = torch.zeros_like(x)
        for weight, value in zip(weights, values, strict=True):
            mean.add_(value, alpha=weight)
        deviations = [value.sub_(mean) for value in values]
        variance = torch.zeros_like(x)
        for weight, deviation in zip(weights, deviations, strict=True):
            variance.addcmul_(deviation, deviation, value=weight)
        if wanted:
            partials = [torch.zeros_like(x) for _ in range(4)]
            for node, weight, deviation, slope in zip(nodes, weights, deviations, slopes, strict=True):
                partials[0].add_(slope, alpha=weight)
                partials[1].add_(slope, alpha=weight * node)
                partials[2].addcmul_(deviation, slope, value=2 * weight)
                partials[3].addcmul_(deviation, slope, value=2 * weight * node)
            to_variance = sigma.mul_(2).reciprocal_().masked_fill_(x_variance <= least, 0.0)
            ctx.save_for_backward(
                partials[0], partials[1].mul_(to_variance), partials[2], partials[3].mul_(to_variance)
            )
        return mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_mean: Tensor, of_variance: Tensor) -> tuple[Tensor | None, ...]:
        return *_chained(ctx.saved_tensors, of_mean, of_variance), None, None, None


def _chained(partials: Sequence[Tensor], of_mean: Tensor, of_variance: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients at mean and variance of a layer of single units.

    partials: of the mean by mean and by variance, of the variance by mean and by variance.
    """
    mean_by_mean, mean_by_variance, variance_by_mean, variance_by_variance = partials
    return (
        (of_mean * mean_by_mean).addcmul_(of_variance, variance_by_mean),
        (of_mean * mean_by_variance).addcmul_(of_variance, variance_by_variance),
    )


def _value_and_slope(f: Callable[[Tensor], Tensor], x: Tensor, wanted: bool) -> tuple[Tensor, Tensor | None]:
    if not wanted:
        return f(x), None
    # hooks of its own: what is kept for a moment is nobody else's to count or to store
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(lambda kept: kept, lambda kept: kept):
        value = f(x.requires_grad_())
        (slope,) = torch.autograd.grad(value, x, torch.ones_like(value))
    return value.detach(), slope
