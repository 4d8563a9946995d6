"""S networks of the same plain architecture evaluated as one: (B, C, H, W) -> (S, B, K).

Small convolutions leave most of a processor idle, and a loop over draws pays for every layer S times. Here the
draws of a convolution stand side by side as the groups of one, those of a linear layer as one batched product, and
the first layer, whose input all draws share, is one ordinary layer with S times the outputs. Between them nothing
changes but the order of a monotone activation and the max-pooling after it, which commute exactly and leave the
activation a quarter of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.layers.convolution import Conv2d, Pair, is_small, windows
from zoo.layers.image import channels_last, image_convolution
from zoo.layers.order import IDENTITY, POINTWISE, pooling_first
from zoo.layers.preprocess import Preprocess

# How many draws at once on a CPU: the channels of the widest layer, times draws, that fill it. More only moves the
# work out of the caches. Measured on two cores: LeNet gains up to 16 draws and more, 3Conv3FC and AlexNet up to 4.
FULL_WIDTH = 512


class GroupedDraws(nn.Module):
    """As many networks at once as fill the processor: `StackedDraws` one after the other. (B, C, H, W) -> (S, B, K).

    at_once: networks in a stack; None decides. Raises ValueError as `StackedDraws` does.
    """

    in_one_pass = True

    def __init__(self, networks: Sequence[nn.Module], at_once: int | None = None) -> None:
        super().__init__()
        size = at_once or draws_at_once(networks)
        self.stacks = nn.ModuleList(StackedDraws(networks[i : i + size]) for i in range(0, len(networks), size))

    @property
    def parts(self) -> list[nn.Module]:
        """What is evaluated one after the other."""
        return list(self.stacks)

    def forward(self, x: Tensor) -> Tensor:
        if len(self.stacks) == 1:
            logits: Tensor = self.stacks[0](x)
            return logits
        return torch.cat([stack(x) for stack in self.stacks])


class StackedDraws(nn.Module):
    """The networks' logits in one pass. Raises ValueError if they are not the same chain of known layers."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        if not is_plain_chain(networks):
            raise ValueError("stacking needs networks that are the same chain of standard layers")
        self.draws = len(networks)
        self._steps: list[Callable[[Tensor], Tensor]] = []
        self.shared = nn.ModuleList()  # layers without weights, one for all draws
        self.weights = nn.ParameterList()
        spread = False  # whether the draws have parted: True from the first layer with weights on
        for column in pooling_first(list(zip(*(network.children() for network in networks), strict=True))):
            layer = column[0]
            if isinstance(layer, nn.Conv2d):
                self._steps.append(self._convolution(cast("tuple[nn.Conv2d, ...]", column), shared_input=not spread))
                spread = True
            elif isinstance(layer, nn.Linear):
                self._steps.append(self._linear(cast("tuple[nn.Linear, ...]", column), shared_input=not spread))
                spread = True
            elif isinstance(layer, nn.Flatten):
                self._steps.append(self._flatten if spread else layer)
            elif not isinstance(layer, IDENTITY):
                self.shared.append(layer)
                self._steps.append(layer)

    def forward(self, x: Tensor) -> Tensor:
        for step in self._steps:
            x = step(x)
        return x

    def _convolution(self, column: Sequence[nn.Conv2d], shared_input: bool) -> Callable[[Tensor], Tensor]:
        stride, padding = cast("Pair", column[0].stride), cast("Pair", column[0].padding)
        kernel = cast("Pair", column[0].kernel_size)
        weight = self._keep(torch.cat([layer.weight for layer in column]).contiguous(memory_format=torch.channels_last))
        bias = self._keep_biases([layer.bias for layer in column], torch.cat)

        def apply(x: Tensor) -> Tensor:  # (B, [S] C, H, W) -> (B, S C', H', W')
            b = None if bias is None else self.weights[bias]
            if shared_input:
                return image_convolution(x, self.weights[weight], b, stride, padding)
            if not x.is_cuda and is_small((x.shape[2], x.shape[3]), kernel, padding):
                return self._small_convolution(x, self.weights[weight], b, stride, padding)
            return F.conv2d(channels_last(x), self.weights[weight], b, stride, padding, 1, self.draws)

        return apply

    def _small_convolution(self, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair) -> Tensor:
        """As `zoo.layers.convolution`, every draw its own weights: (B, S C, H, W) -> (B, S C', H', W')."""
        count, _, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(count, height, width, self.draws, -1).permute(3, 0, 1, 2, 4)
        taps = weight.permute(0, 2, 3, 1).unflatten(0, (self.draws, -1))  # (S, C', k, k, C)
        outputs = {
            (i, j): torch.bmm(
                pixels[:, :, rows, columns].flatten(2), taps[:, :, kernel_rows, kernel_columns].flatten(2).mT
            )
            for i, j, rows, columns, kernel_rows, kernel_columns in windows(
                (height, width), (weight.shape[2], weight.shape[3]), stride, padding
            )
        }
        last_row, last_column = max(outputs)
        maps = torch.stack(list(outputs.values()), 2)  # (S, B, H' W', C')
        maps = maps.permute(1, 2, 0, 3).reshape(count, last_row + 1, last_column + 1, -1).permute(0, 3, 1, 2)
        return maps if bias is None else maps + bias.to(maps.dtype)[:, None, None]

    def _linear(self, column: Sequence[nn.Linear], shared_input: bool) -> Callable[[Tensor], Tensor]:
        weight = self._keep(torch.stack([layer.weight.T for layer in column]))  # (S, F, F')
        bias = self._keep_biases([layer.bias for layer in column], torch.stack)

        def apply(x: Tensor) -> Tensor:  # ([S,] B, F) -> (S, B, F')
            x = x.expand(self.draws, *x.shape) if shared_input else x
            if bias is None:
                return torch.bmm(x, self.weights[weight])
            return torch.baddbmm(self.weights[bias][:, None], x, self.weights[weight])

        return apply

    def _keep_biases(self, biases: list[Tensor | None], join: Callable[[list[Tensor]], Tensor]) -> int | None:
        present = [bias for bias in biases if bias is not None]
        return self._keep(join(present)) if present else None

    def _flatten(self, x: Tensor) -> Tensor:  # (B, S C, H, W) -> (S, B, C H W)
        return x.reshape(len(x), self.draws, -1).transpose(0, 1)

    def _keep(self, value: Tensor) -> int:
        self.weights.append(nn.Parameter(value.detach(), requires_grad=False))
        return len(self.weights) - 1


def is_plain_chain(networks: Sequence[nn.Module]) -> bool:
    """Whether all are `nn.Sequential`s of the same layers that `StackedDraws` knows."""
    first = networks[0]
    if not all(type(network) is nn.Sequential and repr(network) == repr(first) for network in networks):
        return False
    known = (nn.Conv2d, Conv2d, nn.Linear, nn.Flatten, nn.MaxPool2d, Preprocess, *POINTWISE, *IDENTITY)
    flat = False
    for layer in first.children():
        if type(layer) not in known:
            return False
        if isinstance(layer, nn.Conv2d) and (
            flat
            or layer.groups != 1
            or layer.padding_mode != "zeros"
            or layer.dilation != (1, 1)
            or isinstance(layer.padding, str)
        ):
            return False
        if isinstance(layer, nn.Flatten):
            flat = True
            if (layer.start_dim, layer.end_dim) != (1, -1):
                return False
        if isinstance(layer, nn.Linear) and not flat:
            return False
    return flat


def draws_at_once(networks: Sequence[nn.Module]) -> int:
    """All on a GPU, where launches dominate; on a CPU as many as keep it busy."""
    if any(parameter.is_cuda for parameter in networks[0].parameters()):
        return len(networks)
    widths = [layer.out_channels for layer in networks[0].modules() if isinstance(layer, nn.Conv2d)]
    return max(1, min(len(networks), max(4, FULL_WIDTH // max(widths, default=1))))
