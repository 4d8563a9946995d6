"""The convolution with a fast gradient at the pixels against torch's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from zoo.layers.image import MOST_CHANNELS, channels_last, image_convolution
from zoo.seeding import private_generator

sizes = st.integers(1, 3)


@settings(deadline=None, max_examples=60)
@given(
    channels=st.integers(1, MOST_CHANNELS + 1),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.tuples(sizes, sizes),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    extra=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_output_and_gradient_are_those_of_conv2d(
    channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    extra: tuple[int, int],
    bias: bool,
    seed: int,
) -> None:
    """Also where the stride leaves the last rows out, which then have no gradient."""
    generator = private_generator("convolution", seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    x = random(2, channels, kernel[0] + extra[0], kernel[1] + extra[1]).requires_grad_()
    weight, shift = random(7, channels, *kernel), random(7) if bias else None
    ours, theirs = image_convolution(x, weight, shift, stride, padding), F.conv2d(x, weight, shift, stride, padding)
    cotangent = random(*theirs.shape)
    (gradient,) = torch.autograd.grad(ours, x, cotangent)
    (expected,) = torch.autograd.grad(theirs, x, cotangent)
    assert torch.allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    assert torch.allclose(gradient, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
def test_memory_is_nhwc_also_for_one_channel(channels: int) -> None:
    x = torch.rand(2, channels, 5, 4)
    moved = channels_last(x)
    assert torch.equal(moved, x)
    assert moved.stride() == (20 * channels, 1, 4 * channels, channels)
