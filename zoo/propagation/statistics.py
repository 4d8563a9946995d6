"""Mean and variance of every channel over a data set and over positions, propagated from the statistics of its pixels.

Nothing but the channels is kept: (C,) for each moment, whatever the images' number and size (Shekhovtsov and
Flach 2018, "Normalization of Neural Networks using Analytic Variance Propagation"). It costs what a
single pixel costs and is differentiable in the weights, so it can replace the batch's statistics in normalisation.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn

from zoo.layers import Preprocess
from zoo.propagation.layers import largest, propagate, rows_and_columns
from zoo.propagation.moments import Moments, certain


@functools.singledispatch
def channel_statistics(layer: nn.Module, x: Moments) -> Moments:
    """Channels' moments (C,) after a layer from those before. A layer that acts unit by unit acts so on the moments.

    Raises ValueError for a layer without a rule.
    """
    return propagate(layer, x)


@channel_statistics.register
def _(layer: nn.Sequential, x: Moments) -> Moments:
    for part in layer:
        x = channel_statistics(part, x)
    return x


@channel_statistics.register(nn.Linear)
@channel_statistics.register(nn.Conv2d)
def _(layer: nn.Linear | nn.Conv2d, x: Moments) -> Moments:
    """Units of a channel are taken for independent; a linear layer after `Flatten` has many inputs of each channel."""
    weight = layer.weight.flatten(2) if layer.weight.ndim > 2 else layer.weight.unflatten(1, (len(x.mean), -1))
    shift = 0.0 if layer.bias is None else layer.bias
    return Moments(weight.sum(2) @ x.mean + shift, weight.square().sum(2) @ x.variance)


@channel_statistics.register
def _(layer: nn.Flatten, x: Moments) -> Moments:
    """A channel stays one."""
    return x


@channel_statistics.register
def _(layer: Preprocess, x: Moments) -> Moments:
    if layer.pad:
        raise ValueError("channels have no statistics of their own where zeros are padded to the image")
    return Moments((x.mean - layer.mean.flatten()) / layer.std.flatten(), x.variance / layer.std.flatten().square())


@channel_statistics.register
def _(layer: nn.AvgPool2d, x: Moments) -> Moments:
    return Moments(x.mean, x.variance / math.prod(rows_and_columns(layer.kernel_size)))


@channel_statistics.register
def _(layer: nn.MaxPool2d, x: Moments) -> Moments:
    return largest([x] * math.prod(rows_and_columns(layer.kernel_size)))


class AnalyticNormalisation(nn.Module):
    """A chain of layers whose linear layers' outputs are normalised by the statistics that propagation gives them.

    chain: pixels (B, C, H, W) -> logits (B, K). pixels: moments of its input's channels over the data set. After every
    layer with weights comes (y - mean) / sigma, scaled and shifted by what is learned per channel, 1 and 0 at first; a
    layer's own bias then has no effect.
    """

    pixel_mean: Tensor
    pixel_variance: Tensor

    def __init__(self, chain: nn.Sequential, pixels: Moments) -> None:
        super().__init__()
        self.chain = chain
        self.register_buffer("pixel_mean", pixels.mean, persistent=False)
        self.register_buffer("pixel_variance", pixels.variance, persistent=False)
        sizes = [len(layer.weight) for layer in chain if isinstance(layer, nn.Linear | nn.Conv2d)]
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(size)) for size in sizes)
        self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(size)) for size in sizes)

    def forward(self, x: Tensor) -> Tensor:
        return self.moments(certain(x), stochastic=False).mean

    def moments(self, x: Moments, stochastic: bool = True) -> Moments:
        """The output's moments for uncertain inputs (AP2); not stochastic: the mean as the chain itself computes it."""
        channels = Moments(self.pixel_mean, self.pixel_variance)
        learned = iter(zip(self.scales, self.shifts, strict=True))
        for layer in self.chain:
            x = propagate(layer, x) if stochastic else certain(layer(x.mean))
            channels = channel_statistics(layer, channels)
            if isinstance(layer, nn.Linear | nn.Conv2d):
                gain, offset = next(learned)
                scale = gain / channels.variance.sqrt()
                shift = offset - scale * channels.mean
                wide = (-1,) + (1,) * (x.mean.ndim - 2)
                x = Moments(x.mean * scale.view(wide) + shift.view(wide), x.variance * scale.square().view(wide))
                channels = Moments(offset, gain.square())
        return x


@propagate.register
def _(layer: AnalyticNormalisation, x: Moments) -> Moments:
    return layer.moments(x)


@torch.no_grad()
def normalise_by_propagation(chain: nn.Sequential, pixels: Moments) -> None:
    """Scale and shift every linear layer so that its propagated statistics are mean 0 and variance 1 per channel."""
    channels = pixels
    for layer in chain:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            rescale(layer, channel_statistics(layer, channels))
        channels = channel_statistics(layer, channels)


@torch.no_grad()
def rescale(layer: nn.Linear | nn.Conv2d, outputs: Moments) -> None:
    """Give a layer outputs of mean 0 and variance 1 whose moments (C,) are these. Nothing, if it has no bias."""
    if layer.bias is not None:
        sigma = outputs.variance.sqrt()
        layer.weight /= sigma.view(-1, *[1] * (layer.weight.ndim - 1))
        layer.bias.copy_((layer.bias - outputs.mean) / sigma)
