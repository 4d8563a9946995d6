"""How fast is the expected prediction? `python -m benchmark.bench` prints ratios measured side by side in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    model: Annotated[str, typer.Option(help="Zoo entry with a posterior.")] = "mnist/bayesian-lenet",
    batch: Annotated[int, typer.Option(min=1, help="Images in a batch.")] = 100,
    draws: Annotated[int, typer.Option(min=1, help="Posterior draws S.")] = 8,
    repeats: Annotated[int, typer.Option(min=1, help="Interleaved repetitions; medians are printed.")] = 15,
) -> None:
    """Gradient of the expected prediction against S passes of one deterministic network of the same shape."""
    import torch
    from torch.nn import functional as F

    from zoo import models
    from zoo.datasets import dataset_spec
    from zoo.posterior import posterior_draws
    from zoo.seeding import private_generator

    entry = models[model]
    spec = dataset_spec(entry.dataset)
    generator = private_generator("bench")
    x = torch.rand((batch, *spec.shape), generator=generator)
    y = torch.randint(spec.classes, (batch,), generator=generator)
    prediction = entry.predictor(draws, seed=0)
    single = posterior_draws(entry.build(), 1, seed=0)[0].eval().to(memory_format=torch.channels_last)

    def gradient(output: Callable[[torch.Tensor], torch.Tensor]) -> None:
        leaf = x.clone().requires_grad_()
        F.cross_entropy(output(leaf), y, reduction="sum").backward()

    def s_passes() -> None:
        for _ in range(draws):
            gradient(single)

    works: dict[str, Callable[[], None]] = {
        "expected prediction": lambda: gradient(prediction),
        f"{draws} deterministic passes": s_passes,
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(repeats + 1):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            if repeat:  # the first is a warm-up
                times[name].append(time.perf_counter() - began)
    ours, floor = times.values()
    ratios = [a / b for a, b in zip(ours, floor, strict=True)]
    for name, seconds in times.items():
        typer.echo(f"{name}: median {1000 * statistics.median(seconds):.1f} ms")
    quartiles = statistics.quantiles(ratios, n=4) if repeats > 1 else [ratios[0]] * 3
    typer.echo(f"ratio: median {quartiles[1]:.2f}, quartiles {quartiles[0]:.2f} to {quartiles[2]:.2f}")


if __name__ == "__main__":
    app()
