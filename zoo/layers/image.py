"""The first convolution of an image network: few channels in, and a gradient that goes back to the pixels.

Libraries for convolutions are written for training, where the gradient at the pixels is never asked for: with one or
three channels in, theirs fills a fraction of the processor (measured on two cores: 3 to 5 times what is here). Here
it is one matrix product into the k x k patches and a sum of k^2 shifted images.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

MOST_CHANNELS = 4  # beyond that the library's own backward pass is as good


def channels_last(x: Tensor) -> Tensor:
    """(B, C, H, W) in NHWC memory, also for C = 1, whose strides say neither and which torch takes for NCHW."""
    if x.shape[1] > 1:
        return x.contiguous(memory_format=torch.channels_last)
    return x.contiguous().view(len(x), *x.shape[2:], 1).permute(0, 3, 1, 2)


def image_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """`F.conv2d` of frozen weights, with a fast gradient at x where x is on the CPU and has few channels."""
    if x.shape[1] > MOST_CHANNELS or x.is_cuda:
        return F.conv2d(channels_last(x), weight, bias, stride, padding)
    output: Tensor = _ImageConvolution.apply(x, weight, bias, stride, padding)
    return output


class _ImageConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.image, ctx.stride, ctx.padding = x.shape, stride, padding
        return F.conv2d(channels_last(x), weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (weight,) = ctx.saved_tensors
        gradient = gradients[0]
        (count, channels, height, width), (down, right) = ctx.image, ctx.stride
        rows, columns = gradient.shape[2:]
        kernel_rows, kernel_columns = weight.shape[2:]
        patches = weight.to(gradient.dtype).flatten(1).T @ gradient.permute(0, 2, 3, 1).flatten(1, 2).transpose(1, 2)
        patches = patches.view(count, channels, kernel_rows, kernel_columns, rows, columns)
        above, left = ctx.padding
        padded = torch.zeros(
            (count, channels, height + 2 * above, width + 2 * left), dtype=weight.dtype, device=weight.device
        )
        for i in range(kernel_rows):
            for j in range(kernel_columns):
                padded[:, :, i : i + down * rows : down, j : j + right * columns : right] += patches[:, :, i, j]
        return padded[:, :, above : above + height, left : left + width], None, None, None, None
