"""(a) The gradient of the expected prediction, beside every other way to get it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.bench.peers import peer_kits
from benchmark.measure import Line, compared, side_by_side
from zoo.combine import expected
from zoo.layers import Preprocess, use_generator
from zoo.networks import FREQUENTIST_SOFTPLUS, LayerKit, bayesian, conv3fc3, lenet
from zoo.prediction.expected import LARGEST_TENSOR, ExpectedPrediction
from zoo.seeding import derive_seed, forked_random_state, private_generator
from zoo.targets import Gradient, Schedule

OURS = "expected prediction"
# title: network, images (batch, channels, height, width), draws
CASES: dict[str, tuple[Callable[[int, int, LayerKit], nn.Sequential], tuple[int, int, int, int], int]] = {
    "bayesian-lenet, batch 256, S = 16": (lenet, (256, 1, 28, 28), 16),
    "bayesian-3conv3fc, batch 64, S = 8": (conv3fc3, (64, 3, 32, 32), 8),
}


def gradient_tables(repeats: int) -> dict[str, list[Line]]:
    """One table for each case: time of one gradient of the whole batch, and as a multiple of ours."""
    with forked_random_state(derive_seed("bench")):  # other libraries draw their weights from the global one
        return {
            title: compared(side_by_side(works(*case), repeats), OURS, "times ours") for title, case in CASES.items()
        }


def chunk_tables(repeats: int) -> dict[str, list[Line]]:
    """The same gradient in chunks of different sizes: the default is chosen by it."""
    tables = {}
    for title, (network, shape, draws) in CASES.items():
        body, x, y = _network(network, shape, bayesian()), *_batch(shape)
        sides: dict[str, Callable[[], object]] = {}
        for largest in (LARGEST_TENSOR, *((LARGEST_TENSOR >> 4) << power for power in (0, 1, 2, 3, 5, 6, 7))):
            prediction = ExpectedPrediction.of(body, draws, 0, largest_tensor=largest)
            name = f"{largest / (1 << 20):g} MiB, {prediction.chunk_size(x)} images"
            sides[name] = partial(prediction.value_and_gradient, x, y)
        first, *_ = sides
        tables[title] = compared(side_by_side(sides, repeats), first, "times the default")
    return tables


def works(
    network: Callable[[int, int, LayerKit], nn.Sequential], shape: tuple[int, int, int, int], draws: int
) -> dict[str, Callable[[], object]]:
    """Every way to the gradient. All weights are frozen, as an attack leaves them, whatever the library's default."""
    x, y = _batch(shape)
    build = partial(_network, network, shape)

    def gradient(module: nn.Module, passes: int, memory_format: torch.memory_format, chunk: int) -> None:
        """The gradient of the prediction averaged over so many passes."""
        for images, labels in zip(x.split(chunk), y.split(chunk), strict=True):
            leaf = images.clone(memory_format=memory_format).requires_grad_()
            output = expected(torch.stack([module(leaf) for _ in range(passes)]))
            F.cross_entropy(output, labels, reduction="sum").backward()

    def one_after_the_other(module: nn.Module, memory_format: torch.memory_format, chunk: int) -> None:
        for _ in range(draws):
            gradient(module, 1, memory_format, chunk)

    body = build(bayesian())
    ours = {
        OURS: ExpectedPrediction.of(body, draws, 0),
        f"{OURS}, draws one after the other (--no-stack)": ExpectedPrediction.of(body, draws, 0, stack=False),
        f"{OURS}, bfloat16": ExpectedPrediction.of(body, draws, 0, Gradient(precision="bfloat16")),
    }
    made: dict[str, Callable[[], object]] = {
        name: partial(prediction.value_and_gradient, x, y) for name, prediction in ours.items()
    }
    made[f"{OURS}, drawn anew for each gradient"] = lambda: ExpectedPrediction.of(body, draws, 0).value_and_gradient(
        x, y
    )
    fresh, steps = ExpectedPrediction.of(body, draws, 0, Gradient(schedule=Schedule.FRESH)), itertools.count(1)
    made[f"{OURS}, fresh draws at each step"] = lambda: fresh.value_and_gradient(x, y, next(steps))
    chunk = ours[OURS].chunk_size(x)
    formats = (
        ("", torch.contiguous_format, len(x)),
        (", channels_last", torch.channels_last, len(x)),
        (f", channels_last, chunks of {chunk}", torch.channels_last, chunk),
    )
    for suffix, memory_format, size in formats:
        single = build(FREQUENTIST_SOFTPLUS).to(memory_format=memory_format)
        made[f"{draws} passes of one deterministic network{suffix}"] = partial(
            one_after_the_other, single, memory_format, size
        )
    for suffix, memory_format, size in formats:
        for name, kit in peer_kits().items():
            module = build(kit).to(memory_format=memory_format)
            made[f"{name}{suffix}"] = partial(gradient, module, draws, memory_format, size)
    return made


def _batch(shape: tuple[int, int, int, int]) -> tuple[Tensor, Tensor]:
    x = torch.rand(shape, generator=private_generator("bench", *shape))
    return x, torch.arange(len(x)) % 10


def _network(
    network: Callable[[int, int, LayerKit], nn.Sequential], shape: tuple[int, int, int, int], kit: LayerKit
) -> nn.Sequential:
    channels = shape[1]
    preprocess = Preprocess((0.5,) * channels, (0.5,) * channels, pad=(32 - shape[-1]) // 2)
    made = nn.Sequential(preprocess, *network(channels, 10, kit).children())
    use_generator(made, private_generator("bench"))
    return made.requires_grad_(False)
