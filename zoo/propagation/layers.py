"""How every layer takes mean and variance to mean and variance: one rule a kind of layer, by its type."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.layers import MeanFieldLayer
from zoo.networks import Preprocess
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
    return Moments(layer(x.mean), _linear(layer, x.variance, layer.weight.square(), None))


@propagate.register
def _(layer: MeanFieldLayer, x: Moments) -> Moments:
    return RandomWeights(layer).propagate(x)


class RandomWeights(nn.Module):
    """A mean-field layer's map of moments, its weights frozen and their squares taken once.

    The variance is the sum over inputs of sigma_w^2 mu^2 + (sigma_w^2 + mu_w^2) sigma^2, for independent Gaussian
    weights and inputs: one map of mu^2 and sigma^2 side by side.
    """

    def __init__(self, layer: MeanFieldLayer) -> None:
        super().__init__()
        self.affine = layer.affine
        (mean, sigma), *bias = layer.posterior()
        self.mean, self.variance = _frozen(mean), _frozen(sigma.square())
        self.variances = _frozen(torch.cat([self.variance, self.variance + self.mean.square()], 1))
        self.bias_mean = _frozen(bias[0][0]) if bias else None
        self.bias_variance = _frozen(bias[0][1].square()) if bias else None

    def propagate(self, x: Moments) -> Moments:
        """Two maps, of as many inputs where they are certain."""
        mean = self.affine(x.mean, self.mean, self.bias_mean)
        if not x.variance.any():
            return Moments(mean, self.affine(x.mean.square(), self.variance, self.bias_variance))
        both = _as_layer(torch.cat([x.mean.square(), x.variance], 1 - self.mean.ndim))  # (..., C, H, W) or (..., F)
        return Moments(mean, self.affine(both, self.variances, self.bias_variance))


def _frozen(value: Tensor) -> nn.Parameter:
    return nn.Parameter(_as_layer(value.detach().clone()), requires_grad=False)


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
    kernel = layer.kernel_size if isinstance(layer.kernel_size, tuple) else (layer.kernel_size,) * 2
    return Moments(layer(x.mean), layer(x.variance) / (kernel[0] * kernel[1]))


@propagate.register(nn.Flatten)
@propagate.register(nn.Identity)
@propagate.register(nn.Dropout)  # as in evaluation; `BernoulliDropout` is the kind whose noise counts
def _(layer: nn.Module, x: Moments) -> Moments:
    same = layer if isinstance(layer, nn.Flatten) else nn.Identity()
    return Moments(same(x.mean), same(x.variance))


def _linear(layer: nn.Module, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A layer's map with other weights."""
    zero = torch.zeros(len(weight), dtype=x.dtype, device=x.device) if bias is None else bias
    own = {"weight": weight} | ({} if getattr(layer, "bias", None) is None else {"bias": zero})
    output: Tensor = torch.func.functional_call(layer, own, (x,))
    return output


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


@propagate.register
def _(layer: nn.MaxPool2d, x: Moments) -> Moments:
    """Maxima of two, hierarchically, every one taken for Gaussian and all for independent."""
    if layer.padding not in (0, (0, 0)) or layer.dilation not in (1, (1, 1)) or layer.ceil_mode:
        raise ValueError("moments go through max-pooling without padding, dilation and ceil_mode only")
    (k_h, k_w), (s_h, s_w) = (
        value if isinstance(value, tuple) else (value, value) for value in (layer.kernel_size, layer.stride)
    )
    return _max_along(_max_along(x, k_w, s_w, -1), k_h, s_h, -2)


def _max_along(x: Moments, size: int, stride: int, axis: int) -> Moments:
    count = (x.mean.shape[axis] - size) // stride + 1
    starts = [slice(first, first + stride * (count - 1) + 1, stride) for first in range(size)]
    windows = [Moments(*(part[..., at] if axis == -1 else part[..., at, :] for part in x)) for at in starts]
    while len(windows) > 1:
        pairs = itertools.zip_longest(windows[::2], windows[1::2])
        windows = [first if second is None else moments.maximum(first, second) for first, second in pairs]
    return windows[0]
