"""The convolution of small maps against torch's own, in value and in every gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from zoo.layers import BayesianConv2d, Conv2d
from zoo.layers.convolution import convolution, is_small
from zoo.seeding import forked_random_state, private_generator


@st.composite
def small_cases(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]:
    """(map, kernel, stride, padding) that the fast path takes and torch accepts."""
    kernel = draw(st.integers(2, 6)), draw(st.integers(2, 6))
    height = draw(st.integers(1, kernel[0]))
    width = draw(st.integers(1, max(1, kernel[0] * kernel[1] // (2 * height))))
    padding = tuple(
        draw(st.integers(max(0, -(-(k - size) // 2)), k + 3)) for size, k in zip((height, width), kernel, strict=True)
    )
    return (height, width), kernel, (draw(st.integers(1, 3)), draw(st.integers(1, 3))), (padding[0], padding[1])


@given(small_cases(), st.booleans())
def test_equal_to_torch_in_value_and_gradients(
    case: tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]], with_bias: bool
) -> None:
    (height, width), kernel, stride, padding = case
    assert is_small((height, width), kernel, padding)
    generator = private_generator("small maps", case)
    x = torch.randn(3, 2, height, width, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 2, *kernel, generator=generator, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, generator=generator, dtype=torch.float64, requires_grad=True) if with_bias else None
    expected = F.conv2d(x, weight, bias, stride, padding)
    found = convolution(x, weight, bias, stride, padding)
    torch.testing.assert_close(found, expected)
    at = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    leaves = [leaf for leaf in (x, weight, bias) if leaf is not None]
    for ours, theirs in zip(
        torch.autograd.grad(found, leaves, at), torch.autograd.grad(expected, leaves, at), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("part", ["x", "weight"])
def test_a_gradient_that_nobody_asks_for_is_not_computed(part: str) -> None:
    x, weight = torch.ones(1, 1, 2, 2), torch.ones(1, 1, 3, 3)
    leaf = (x if part == "x" else weight).requires_grad_()
    convolution(x, weight, None, (1, 1), (1, 1)).sum().backward()
    assert leaf.grad is not None
    assert (weight if part == "x" else x).grad is None


def test_autocast_computes_in_its_precision() -> None:
    """In bfloat16, as close to the exact values and gradients as torch's own, but for rounding when the bias is added.

    Two independent roundings have sqrt(2) times the error of one.
    """
    with forked_random_state(0):
        layer = Conv2d(64, 64, 3, padding=1)
    x = torch.rand(16, 64, 2, 2, generator=private_generator("autocast"), requires_grad=True)

    def errors(module: nn.Module) -> list[float]:
        exact = F.conv2d(x, layer.weight, layer.bias, padding=1)
        with torch.autocast("cpu", torch.bfloat16):
            found = module(x)
        assert found.dtype == torch.bfloat16
        pairs = [(found.float(), exact)]
        for of in (x, layer.weight):
            gradients = (
                torch.autograd.grad(out.float().square().sum(), of, retain_graph=True)[0] for out in (found, exact)
            )
            pairs.append(tuple(gradients))
        return [float(((a - b).norm() / b.norm()).detach()) for a, b in pairs]

    theirs = nn.Conv2d(64, 64, 3, padding=1)
    theirs.weight, theirs.bias = layer.weight, layer.bias
    for ours, reference in zip(errors(layer), errors(theirs), strict=True):
        assert ours < 1.45 * reference < 0.02


@pytest.mark.parametrize(
    "options", [{"dilation": 2, "padding": 2}, {"groups": 2, "padding": 1}, {"padding": "same"},
                {"padding": 1, "padding_mode": "circular"}]
)  # fmt: skip
def test_options_that_the_fast_path_lacks_are_torchs(options: dict[str, Any]) -> None:
    layer, x = Conv2d(2, 2, 3, **options), torch.rand(1, 2, 2, 2, generator=private_generator("options"))
    reference = nn.Conv2d(2, 2, 3, **options)
    reference.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x), reference(x))
    unbatched = Conv2d(2, 2, 3, padding=1)
    torch.testing.assert_close(unbatched(x[0]), unbatched(x)[0])
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        Conv2d(2, 2, 3)(torch.ones(1, 2, 1, 1))


def test_a_bayesian_layer_and_its_draw_agree() -> None:
    """The layer's own forward pass and the plain layer that holds the same draw."""
    layer = BayesianConv2d(4, 6, 3, padding=1)
    layer.generator = private_generator("draw")
    x = torch.rand(2, 4, 2, 2, generator=private_generator("x"))
    torch.testing.assert_close(layer(x), layer.draw(private_generator("draw"))(x))
