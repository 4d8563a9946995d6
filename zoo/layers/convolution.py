"""Convolutions of maps of at most half their kernel's size, as matrix products.

Where a map of 2 x 2 meets a kernel of 3 x 3, most of the kernel lies on padding, and libraries for convolutions were
written for larger maps. Every output position then is one linear layer of the whole map with the part of the kernel
that lies on it. Measured on two cores, training step of AlexNet's last three convolutions: a quarter to two fifths of
the time in float32 and in bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from zoo.layers.image import MOST_CHANNELS, image_convolution

Pair = tuple[int, int]
Window = tuple[int, int, slice, slice, slice, slice]  # output row and column; map's rows, columns; kernel's


def is_small(map_size: Pair, kernel: Pair, padding: Pair) -> bool:
    """Whether half of the kernel or more lies beside the map wherever it is put.

    What does not fit even the padded map is torch's to refuse.
    """
    fits = all(k <= size + 2 * pad for k, size, pad in zip(kernel, map_size, padding, strict=True))
    return fits and 2 * map_size[0] * map_size[1] <= kernel[0] * kernel[1]


def windows(map_size: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Iterator[Window]:
    """For every output position: which part of the map meets which part of the kernel."""
    rows, columns = (
        [
            (
                slice(_within(start, size), _within(start + length, size)),
                slice(_within(-start, length), _within(size - start, length)),
            )
            for start in range(-pad, size + pad - length + 1, step)
        ]
        for size, length, step, pad in zip(map_size, kernel, stride, padding, strict=True)
    )
    for i, (map_rows, kernel_rows) in enumerate(rows):
        for j, (map_columns, kernel_columns) in enumerate(columns):
            yield i, j, map_rows, map_columns, kernel_rows, kernel_columns


def _within(position: int, size: int) -> int:
    return max(0, min(position, size))


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair) -> Tensor:
    """`F.conv2d` up to rounding, faster on a CPU for small maps and for gradients at an image.

    (B, C, H, W) -> (B, C', H', W')
    """
    kernel, map_size = (weight.shape[2], weight.shape[3]), (x.shape[2], x.shape[3])
    if x.requires_grad and not weight.requires_grad and x.shape[1] <= MOST_CHANNELS:
        return image_convolution(x, weight, bias, stride, padding)
    if x.is_cuda or not is_small(map_size, kernel, padding):
        return F.conv2d(x, weight, bias, stride, padding)
    if torch.is_autocast_enabled(x.device.type):
        precision = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(precision), weight.to(precision), None if bias is None else bias.to(precision)
    output: Tensor = _SmallMapConvolution.apply(x, weight, stride, padding)
    return output if bias is None else output + bias[:, None, None]


def conv2d(
    input: Tensor,  # noqa: A002 - its name in F.conv2d
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """`F.conv2d`, through `convolution` where its options are those that `convolution` has."""
    if isinstance(padding, str) or groups != 1 or _pair(dilation) != (1, 1) or input.ndim != 4:
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    return convolution(input, weight, bias, _pair(stride), _pair(padding))


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` through `convolution`, where its options are those that `convolution` has."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in nn.Conv2d
        if self.padding_mode != "zeros":
            return super().forward(input)
        return conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class FastConvolutions(TorchFunctionMode):
    """A block in which every `F.conv2d` is ours, whichever module calls it: no network is changed or copied for it.

    Measured on one core: a ResNet-18 on 32 x 32 pixels, whose maps shrink to 2 x 2 and 1 x 1, takes two thirds of the
    time, at 20 images as at 100.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return (conv2d if func is torch.conv2d else func)(*args, **(kwargs or {}))


class _SmallMapConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
        ctx.save_for_backward(x, weight)
        map_size, kernel = (x.shape[2], x.shape[3]), (weight.shape[2], weight.shape[3])
        ctx.windows = list(windows(map_size, kernel, stride, padding))
        pixels, taps = x.permute(0, 2, 3, 1), weight.permute(0, 2, 3, 1)  # (B, H, W, C), (C', k, k, C)
        last_row, last_column = ctx.windows[-1][:2]
        output = x.new_empty(len(x), last_row + 1, last_column + 1, len(weight))
        for i, j, rows, columns, kernel_rows, kernel_columns in ctx.windows:
            seen = taps[:, kernel_rows, kernel_columns].flatten(1)
            output[:, i, j] = pixels[:, rows, columns].flatten(1) @ seen.T
        return output.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        pixels, taps, gradient = x.permute(0, 2, 3, 1), weight.permute(0, 2, 3, 1), gradients[0].permute(0, 2, 3, 1)
        # summed in float32 at least: in bfloat16 every addition would round
        precision = torch.promote_types(x.dtype, torch.float32)
        at_pixels = torch.zeros_like(pixels, dtype=precision) if ctx.needs_input_grad[0] else None
        at_taps = torch.zeros_like(taps, dtype=precision) if ctx.needs_input_grad[1] else None
        for i, j, rows, columns, kernel_rows, kernel_columns in ctx.windows:
            here, seen = gradient[:, i, j], taps[:, kernel_rows, kernel_columns]
            if at_pixels is not None:
                part = at_pixels[:, rows, columns]
                part += (here @ seen.flatten(1)).view(part.shape)
            if at_taps is not None:
                share = at_taps[:, kernel_rows, kernel_columns]
                share += (here.T @ pixels[:, rows, columns].flatten(1)).view(share.shape)
        return (
            None if at_pixels is None else at_pixels.to(x.dtype).permute(0, 3, 1, 2),
            None if at_taps is None else at_taps.to(weight.dtype).permute(0, 3, 1, 2),
            None,
            None,
        )


def _pair(value: int | Sequence[int]) -> Pair:
    first, *rest = (value, value) if isinstance(value, int) else value
    return (first, rest[0] if rest else first)
