"""Run one attack in one library and account for what it cost. Nothing a library returns is trusted here."""

from __future__ import annotations

import functools
import importlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.attacks.metered import GradientStore, MeteredModel
from benchmark.attacks.methods import Goal, Iterate, Loss, Norm
from benchmark.attacks.seen import WorstSeen
from benchmark.attacks.spec import AttackSpec
from benchmark.timing import Timing
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import derive_seed, isolated_random_state, private_generator

# (model, images in [0, 1], labels, spec, start inside the unit ball or None) -> adversarial images
Adapter = Callable[[MeteredModel, Tensor, Tensor, AttackSpec, Tensor | None], Tensor]


@dataclass(frozen=True)
class Crafted:
    """images: (B, C, H, W), unchecked. forwards, backwards: passes per example, times draws. seconds: wall time.

    timing: the seconds, divided between the network and the library. losses: (G, B), the attacker's cross-entropy in
    nats at each of the attack's gradients, run after run.
    """

    images: Tensor
    forwards: int
    backwards: int
    seconds: float
    timing: Timing
    losses: Tensor


def craft(
    library: str,
    prediction: ExpectedPrediction,
    x: Tensor,
    y: Tensor,
    spec: AttackSpec,
    examples: Sequence[int],
    seed: int,
    store: GradientStore | None = None,
    adapter: Adapter | None = None,
) -> Crafted:
    """Adversarial images for x (B, C, H, W) in [0, 1] with labels y (B,), by `spec` in `library`.

    y: the right labels; for the goal `confident` those that the attack drives the images towards.
    examples, seed: what the random starts are derived from, so that an example's start does not depend on the
    batch it is in. store: where libraries share gradients at the same images; it belongs to this prediction and
    these labels, and changes no result. adapter: what runs the attack; the library's own by default.
    Raises whatever the library raises, and ValueError if it returns another shape.
    """
    adapter = adapter or adapter_of(library)
    if store is not None:  # a walk that is longer than what is kept would share nothing
        store.size = max(store.size, 2 * spec.steps * spec.restarts)
    entropic = spec.method.loss is Loss.CROSS_ENTROPY
    # an attack on the margin, or one of a user's, sets a gradient's length against other lengths
    lengths = {"accumulated": spec.method.momentum, "exact": spec.is_own or spec.method.loss is Loss.MARGIN}
    towards = spec.goal is Goal.CONFIDENT
    worst = WorstSeen(x, y, spec.threat, towards) if spec.iterate is Iterate.BEST else None
    model = MeteredModel(prediction, y, store, entropic=entropic, worst=worst, **lengths).eval()
    began = time.perf_counter()
    images: Tensor | None = None
    for restart in range(spec.restarts):
        start = random_start(spec, x, examples, seed, restart) if spec.random_start else None
        with isolated_random_state(derive_seed("library", seed, restart), x.device):
            found = adapter(model, x.clone(), y.clone(), spec, start).detach().to(x)
        if found.shape != x.shape:
            raise ValueError(f"{library} returned images of shape {tuple(found.shape)} for {tuple(x.shape)}")
        if worst is not None:
            with torch.no_grad():
                worst.see(found, model(found))
            found = worst.images.clone()
        images = found if images is None else _worse(prediction, images, found, y, towards)
    seconds = time.perf_counter() - began
    draws, count = prediction.draws, len(x)
    assert images is not None  # restarts >= 1
    return Crafted(
        images,
        math.ceil(model.forwards * draws / count),
        math.ceil(model.backwards * draws / count),
        seconds,
        Timing(gradients=model.seconds, libraries=seconds - model.seconds, asked=model.asked, computed=model.computed),
        torch.stack(model.losses) if model.losses else x.new_empty(0, count),
    )


def adapter_of(library: str) -> Adapter:
    """What runs a library's attacks. It raises ValueError for a method that the library does not have."""
    with isolated_random_state(0):  # some libraries draw while they are imported
        runners: dict[str, Adapter] = importlib.import_module(f"benchmark.attacks.{library}").RUNNERS

    def attack(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
        if (method := spec.method.name) not in runners:
            raise ValueError(f"the adapter of {library} has no {method}; it has {', '.join(runners)}")
        return runners[method](model, x, y, spec, start)

    return attack


def random_start(spec: AttackSpec, x: Tensor, examples: Sequence[int], seed: int, restart: int) -> Tensor:
    """(B, C, H, W): a point of the unit ball of the attack's norm for each example, uniformly distributed."""
    return _unit_ball(spec.threat.norm, x.shape[1:], tuple(examples), seed, restart).to(x)


@functools.lru_cache(maxsize=2)  # the same for all libraries and every eps
def _unit_ball(norm: Norm, shape: torch.Size, examples: tuple[int, ...], seed: int, restart: int) -> Tensor:
    starts = []
    for example in examples:
        generator = private_generator("start", norm, seed, restart, example)
        if norm == "linf":
            starts.append(2 * torch.rand(shape, generator=generator) - 1)
        else:
            direction = torch.randn(shape, generator=generator)
            radius = torch.rand((), generator=generator) ** (1 / direction.numel())
            starts.append(direction / direction.norm() * radius)
    return torch.stack(starts)


@torch.no_grad()
def _worse(prediction: ExpectedPrediction, first: Tensor, second: Tensor, y: Tensor, towards: bool) -> Tensor:
    """Per example the image to whose label the attacker's model gives less probability; more, with `towards`."""
    column = y[:, None]
    gain = prediction(first).gather(1, column) - prediction(second).gather(1, column)
    take = gain < 0 if towards else gain > 0
    return torch.where(take.view(-1, *[1] * (first.ndim - 1)), second, first)
