"""How every layer takes mean and variance to mean and variance: one rule a kind of layer, by its type."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.layers import MeanFieldLayer, Preprocess
from zoo.propagation import moments
from zoo.propagation.fused import Quadrature
from zoo.propagation.moments import Moments
from zoo.propagation.units import Abs, Heaviside, NormalCdf, Unit


@functools.singledispatch
def propagate(layer: nn.Module, x: Moments) -> Moments:
    """Moments of a layer's output, its units taken for independent. Raises ValueError for a layer without a rule."""
    kind = type(layer).__name__
    raise ValueError(f"no rule propagates moments through {kind}: give it one with zoo.propagation.propagate.register")


@propagate.register
def _(layer: nn.Sequential, x: Moments) -> Moments:
    for part in layer:
        x = propagate(part, x)
    return x


@propagate.register
def _(layer: Unit, x: Moments) -> Moments:
    return layer.propagate(x)


# --- Linear -----------------------------------------------------------------------------------------------------------


@propagate.register(nn.Linear)
@propagate.register(nn.Conv1d)
@propagate.register(nn.Conv2d)
@propagate.register(nn.Conv3d)
def _(layer: nn.Linear | nn.Conv2d, x: Moments) -> Moments:
    """Exact where the inputs are independent."""
    own = {"weight": layer.weight.square()} | ({} if layer.bias is None else {"bias": torch.zeros_like(layer.bias)})
    return Moments(layer(x.mean), torch.func.functional_call(layer, own, (x.variance,)))


@propagate.register
def _(layer: MeanFieldLayer, x: Moments) -> Moments:
    return _through_random_weights(layer.affine, *_weight_moments(layer), x)


class RandomWeights(nn.Module):
    """A mean-field layer's map of moments, its weights frozen and their squares taken once."""

    mean: Tensor
    variances: Tensor
    bias_mean: Tensor | None
    bias_variance: Tensor | None

    def __init__(self, layer: MeanFieldLayer) -> None:
        super().__init__()
        self.affine = layer.affine
        names = ("mean", "variances", "bias_mean", "bias_variance")
        for name, value in zip(names, _weight_moments(layer), strict=True):
            frozen = None if value is None else nn.Parameter(_as_layer(value.detach().clone()), requires_grad=False)
            self.register_parameter(name, frozen)

    def propagate(self, x: Moments) -> Moments:
        """Moments of the layer's output."""
        return _through_random_weights(self.affine, self.mean, self.variances, self.bias_mean, self.bias_variance, x)


def _weight_moments(layer: MeanFieldLayer) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Mean of the weights; sigma_w^2 and sigma_w^2 + mu_w^2 side by side; mean and variance of the bias."""
    (mean, sigma), *bias = layer.posterior()
    variances = torch.cat([sigma.square(), sigma.square() + mean.square()], 1)
    return mean, variances, bias[0][0] if bias else None, bias[0][1].square() if bias else None


def _through_random_weights(
    affine: Callable[[Tensor, Tensor, Tensor | None], Tensor],
    mean: Tensor,
    variances: Tensor,
    bias_mean: Tensor | None,
    bias_variance: Tensor | None,
    x: Moments,
) -> Moments:
    """Two maps of independent Gaussian weights and inputs.

    The variance is the sum over inputs of sigma_w^2 mu^2 + (sigma_w^2 + mu_w^2) sigma^2: one map of mu^2 and sigma^2
    side by side, or of mu^2 alone where the inputs are certain.
    """
    inputs, weights = x.mean.square(), variances.chunk(2, 1)[0]
    if x.variance.any():
        # (..., C, H, W) or (..., F)
        inputs, weights = _as_layer(torch.cat([inputs, x.variance], 1 - mean.ndim)), variances
    return Moments(affine(x.mean, mean, bias_mean), affine(inputs, _as_layer(weights), bias_variance))


def _as_layer(x: Tensor) -> Tensor:
    """In the memory format that convolutions are fastest in."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


@propagate.register
def _(layer: RandomWeights, x: Moments) -> Moments:
    return layer.propagate(x)


@propagate.register
def _(layer: nn.BatchNorm2d, x: Moments) -> Moments:
    """As in evaluation: a fixed scale and shift per channel."""
    if layer.running_var is None or layer.running_mean is None:
        raise ValueError("batch normalisation without running statistics has no moments of its own")
    scale = (layer.running_var + layer.eps).rsqrt() * (1.0 if layer.weight is None else layer.weight)
    shift = (0.0 if layer.bias is None else layer.bias) - scale * layer.running_mean
    scale, shift = (value.view(-1, 1, 1) for value in (scale, shift))
    return Moments(x.mean * scale + shift, x.variance * scale.square())


@propagate.register
def _(layer: Preprocess, x: Moments) -> Moments:
    return Moments(layer(x.mean), F.pad(x.variance, [layer.pad] * 4) / layer.std.square())


@propagate.register
def _(layer: nn.AvgPool2d, x: Moments) -> Moments:
    return Moments(layer(x.mean), layer(x.variance) / math.prod(rows_and_columns(layer.kernel_size)))


@propagate.register(nn.Flatten)
@propagate.register(nn.Identity)
@propagate.register(nn.Dropout)  # as in evaluation; `BernoulliDropout` is the kind whose noise counts
def _(layer: nn.Module, x: Moments) -> Moments:
    same = layer if isinstance(layer, nn.Flatten) else nn.Identity()
    return Moments(same(x.mean), same(x.variance))


# --- Activations ------------------------------------------------------------------------------------------------------


@propagate.register
def _(layer: nn.ReLU, x: Moments) -> Moments:
    return moments.relu(x)


@propagate.register
def _(layer: nn.LeakyReLU, x: Moments) -> Moments:
    return moments.leaky_relu(x, layer.negative_slope)


@propagate.register
def _(layer: Abs, x: Moments) -> Moments:
    return moments.absolute(x)


@propagate.register
def _(layer: Heaviside, x: Moments) -> Moments:
    return moments.heaviside(x)


@propagate.register
def _(layer: NormalCdf, x: Moments) -> Moments:
    return moments.normal_cdf(x)


@propagate.register
def _(layer: nn.Sigmoid, x: Moments) -> Moments:
    return moments.logistic_transform(x)


@propagate.register(nn.Softplus)
@propagate.register(nn.Tanh)
@propagate.register(nn.GELU)
@propagate.register(nn.SiLU)
@propagate.register(nn.ELU)
def _(layer: nn.Module, x: Moments) -> Moments:
    """No closed form: quadrature, exact for small variances and within some per cent for large ones."""
    return quadrature(layer, x)


def quadrature(f: Callable[[Tensor], Tensor], x: Moments, count: int = 8) -> Moments:
    """Moments of f(x) for a Gaussian x by `count` nodes of Gauss and Hermite; the variance cannot be negative."""
    return Moments(*Quadrature.apply(*x, f, *_gauss_hermite(count)))


@functools.cache
def _gauss_hermite(count: int) -> tuple[list[float], list[float]]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes.tolist(), (weights / weights.sum()).tolist()


# --- Pooling ----------------------------------------------------------------------------------------------------------


def rows_and_columns(size: int | tuple[int, int]) -> tuple[int, int]:
    """A layer's size, which torch takes as one number for both."""
    return size if isinstance(size, tuple) else (size, size)


@propagate.register
def _(layer: nn.MaxPool2d, x: Moments) -> Moments:
    """Maxima of two, hierarchically, every one taken for Gaussian and all for independent."""
    if layer.padding not in (0, (0, 0)) or layer.dilation not in (1, (1, 1)) or layer.ceil_mode:
        raise ValueError("moments go through max-pooling without padding, dilation and ceil_mode only")
    (k_h, k_w), (s_h, s_w) = rows_and_columns(layer.kernel_size), rows_and_columns(layer.stride)
    return _max_along(_max_along(x, k_w, s_w, -1), k_h, s_h, -2)


def _max_along(x: Moments, size: int, stride: int, axis: int) -> Moments:
    count = (x.mean.shape[axis] - size) // stride + 1
    starts = [slice(first, first + stride * (count - 1) + 1, stride) for first in range(size)]
    return largest([Moments(*(part[..., at] if axis == -1 else part[..., at, :] for part in x)) for at in starts])


def largest(windows: list[Moments]) -> Moments:
    """Of independent variables, by maxima of two."""
    while len(windows) > 1:
        pairs = itertools.zip_longest(windows[::2], windows[1::2])
        windows = [first if second is None else moments.maximum(first, second) for first, second in pairs]
    return windows[0]
