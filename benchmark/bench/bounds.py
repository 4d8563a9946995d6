"""(i) Bounds of what attacks can do: what each method certifies, its time and memory; each in a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from benchmark.bench.memory import forget_peak, resident
from benchmark.measure import Line
from benchmark.protocol import JUDGE_DRAWS, example_order

CASES = (
    ("mnist/mlp", 0.02),
    ("mnist/lenet", 0.02),
    ("mnist/lenet-certified", 0.1),
    ("mnist/hmc-mlp", 0.02),
    ("mnist/bayesian-lenet", 0.02),
)  # on images that come with the project
IMAGES = 8


class Measured(NamedTuple):
    """certified: images. seconds: of processor time an image. growth: of resident memory at its peak, in MiB."""

    certified: int
    seconds: float
    growth: float


def bounds_table(cases: tuple[tuple[str, float], ...] = CASES, images: int = IMAGES) -> list[Line]:
    """A line an entry and method, at one linf eps where bounds say something of it."""
    from benchmark.attacks.spec import format_eps
    from zoo.bounds import METHODS

    lines: list[Line] = []
    for entry, eps in cases:
        for method in METHODS:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                draws, found = pool.submit(_measure, entry, eps, method, images).result()
            lines.append(
                {
                    "entry": entry,
                    "draws": draws,
                    "linf eps": format_eps(eps),
                    "method": method,
                    "certified": f"{found.certified} of {images}",
                    "processor seconds an image": f"{found.seconds:.3g}",
                    "more memory at the peak [MiB]": f"{found.growth:.0f}",
                }
            )
    return lines


def _measure(entry: str, eps: float, method: str, images: int) -> tuple[int, Measured]:
    import torch

    from zoo import models
    from zoo.bounds import certified
    from zoo.datasets import load_split

    split = load_split(models[entry].dataset, "test")
    places = list(example_order(len(split))[:images])
    x, y = split.pixels(places), torch.from_numpy(split.labels[places])
    _, posterior = models[entry].load()
    draws = posterior.draws(posterior.size or JUDGE_DRAWS, 0)
    certified(draws[:1], x[:1], y[:1], eps, "linf", method="interval")  # what is imported and allocated once
    forget_peak()
    before, began = resident("VmRSS"), time.process_time()
    leads = certified(draws, x, y, eps, "linf", method=method)  # type: ignore[arg-type]
    seconds = time.process_time() - began
    return len(draws), Measured(int((leads > 0).sum()), seconds / images, resident("VmHWM") - before)
