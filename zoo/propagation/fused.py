"""Moments with their derivatives in closed form: what autograd would keep and go through again is computed at once.

A network spends most of a pass in these two rules. By autograd each is a chain of some thirty elementwise operations,
all of them kept; here a backward pass is a few products. The functions are those of `zoo.propagation.moments` and agree
with them to rounding; second derivatives there are none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

FAR = 40.0  # standard deviations: phi(40) is 0 in float32 and 1e-348 in float64


def least_variance(dtype: torch.dtype) -> float:
    """Below it a variance counts as none: smaller would make infinite gradients."""
    return float(torch.finfo(dtype).tiny ** (2 / 3))


class Maximum(torch.autograd.Function):
    """(mean, variance) of max(x, y) of independent Gaussians, from (mean, variance) of either.

    With s^2 the sum of the variances, a = (mu_x - mu_y) / s, and Phi and phi at a:

        d mean / d mu_x = Phi                            d mean / d var = phi / 2s, of either
        d var / d mu_x = (var_x - var_y) phi / s + 2 a s Phi (1 - Phi) + s phi (1 - 2 Phi)
        d var / d var_x = Phi + T,                       d var / d var_y = 1 - Phi + T,
        T = -a phi (var_x - var_y) / 2s^2 + a phi (1 - 2 Phi) / 2 - phi^2
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, x_variance: Tensor, y: Tensor, y_variance: Tensor) -> tuple[Tensor, Tensor]:
        least = least_variance(x.dtype)
        spread = (x_variance + y_variance).clamp_min_(least)
        s = spread.sqrt()
        a = (x - y).div_(s).clamp_(-FAR, FAR)
        size, x_larger = a.abs(), a > 0
        # What no sum would notice is none: products of it would be denormal, which processors are slow with.
        none = torch.finfo(x.dtype).eps ** 2
        q = F.threshold(torch.erfc(size * math.sqrt(0.5)).mul_(0.5), none, 0.0, inplace=True)
        phi = a.square().mul_(-0.5).exp_().mul_(1 / math.sqrt(2 * math.pi))
        phi = F.threshold(phi, none, 0.0, inplace=True)
        h = torch.addcmul(phi, size, q, value=-1).clamp_min_(0)
        mean = torch.maximum(x, y).addcmul_(s, h)
        sure = 1 - 2 * q  # 2 Phi(|a|) - 1
        share = torch.addcmul(q, size + h, h, value=-1).clamp_min_(0)  # variance of ReLU at -|a|
        variance = torch.where(x_larger, x_variance, y_variance).mul_(sure).addcmul_(spread, share)
        if any(ctx.needs_input_grad):
            upper = torch.where(x_larger, 1 - q, q)
            density = phi / s
            by_variances = (x_variance - y_variance).mul_(density)
            slope = (size * q).mul_(2).mul_(1 - q).addcmul_(phi, sure, value=-1).mul_(s)
            by_mean = torch.where(x_larger, slope, -slope).add_(by_variances)
            rest = (by_variances.mul_(a).div_(s)).addcmul_(size.mul_(phi), sure).mul_(-0.5).addcmul_(phi, phi, value=-1)
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
        mean_by_mean, mean_by_variance, variance_by_mean, variance_by_variance = ctx.saved_tensors
        return (
            (of_mean * mean_by_mean).addcmul_(of_variance, variance_by_mean),
            (of_mean * mean_by_variance).addcmul_(of_variance, variance_by_variance),
            None,
            None,
            None,
        )


def _value_and_slope(f: Callable[[Tensor], Tensor], x: Tensor, wanted: bool) -> tuple[Tensor, Tensor | None]:
    if not wanted:
        return f(x), None
    # hooks of its own: what is kept for a moment is nobody else's to count or to store
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(lambda kept: kept, lambda kept: kept):
        value = f(x.requires_grad_())
        (slope,) = torch.autograd.grad(value, x, torch.ones_like(value))
    return value.detach(), slope
