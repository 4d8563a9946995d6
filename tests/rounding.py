"""Rounding as another processor might do it: a plugin, `pytest -p tests.rounding`, with its seed in ROUNDING.

What matrix products, convolutions and functions such as exp give is moved by a few last digits. How far is a function
of a number's bits, its place and the seed: the same call gives the same bits again, as on one machine with one number
of threads, while another shape, order or place gives other ones, as on another machine. Tests that pass are not about
the last digit of any of them. Zero and one stay, which every processor computes exactly.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

SEED = int(os.environ.get("ROUNDING", "1"))
INTEGERS = {torch.float32: torch.int32, torch.float64: torch.int64}
# by how many units in the last place at most
OF_SUMS, OF_FUNCTIONS = 6, 1
SUMS = {"mm", "addmm", "mv", "bmm", "baddbmm", "convolution", "convolution_backward"}
FUNCTIONS = {
    "exp", "exp_", "log", "log1p", "expm1", "softplus", "softplus_backward", "tanh", "sigmoid", "erfc", "erfc_", "sin",
    "cos", "gelu", "silu", "elu", "special_ndtr", "special_log_ndtr", "logsumexp", "linalg_vector_norm", "_log_softmax",
    "_log_softmax_backward_data", "_softmax", "_softmax_backward_data", "randn", "normal_",
}  # fmt: skip


def move(x: Tensor, most: int) -> None:
    """Add from -most to most units in the last place to every number of x, in place."""
    bits = x.contiguous().view(INTEGERS[x.dtype])
    place = torch.arange(bits.numel()).view_as(bits)
    mixed = (bits.long() ^ (place * 40503 + SEED * 1013904223)) * 0x2545F4914F6CDD1D
    units = ((mixed >> 33) % (2 * most + 1) - most).to(bits.dtype)
    exact = x.isinf() | x.isnan() | (x.abs() == 1) | (x.abs() < 1024 * torch.finfo(x.dtype).tiny)
    x.copy_(torch.where(exact, x, (bits + units).view(x.dtype)))


class OtherRounding(TorchDispatchMode):
    """Every operation of `SUMS` and `FUNCTIONS`, forward and backward, on the CPU."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if most := OF_SUMS if name in SUMS else OF_FUNCTIONS if name in FUNCTIONS else 0:
            for part in output if isinstance(output, tuple) else (output,):
                if isinstance(part, Tensor) and part.dtype in INTEGERS and part.device.type == "cpu":
                    move(part, most)
        return output


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    with OtherRounding():
        return (yield)
