"""How near propagated moments are, layer by layer: tables 2 and 3.

`python -m benchmark.papers.uncertainty_propagation.accuracy --network lenet --data-root DATA` trains what it needs
(some minutes; for `nine-layers` an hour and more) and holds AP1 and AP2 against samples. Errors are the paper's: of the
mean, the average of |mu - mu*| over that of sigma*; of sigma, the geometric mean of sigma / sigma*; at the end the KL
from the average softmax.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.papers.uncertainty_propagation.networks import ACTIVATIONS, NETWORKS, Method, trained
from benchmark.papers.uncertainty_propagation.published import ERRORS, KL
from zoo.catalogue.recipes import Recipe
from zoo.commands import mistakes_in_one_line
from zoo.datasets import load_split
from zoo.lookup import lookup
from zoo.propagation import Moments, propagate, sample
from zoo.propagation.moments import Sampled, log_softmax_logistic, log_softmax_simplified, noisy
from zoo.seeding import private_generator

IMAGES, AT_ONCE = 8, 32  # AT_ONCE samples of every image


@dataclass(frozen=True)
class Case:
    """What is uncertain: the input, with a variance after normalisation, or units. method: how it is trained."""

    title: str
    activation: str
    noise: float
    method: Method


CASES = (
    Case("LReLU, input noise 1e-4", "LReLU", 1e-4, "AP1"),
    Case("LReLU, input noise 1e-2", "LReLU", 1e-2, "AP1"),
    Case("LReLU, dropout 0.2", "LReLU, dropout", 0.0, "sample"),
    Case("logistic Bernoulli", "logistic Bernoulli", 0.0, "AP2"),
    Case("logistic transform, input noise 1e-4", "logistic transform", 1e-4, "AP1"),
)


RECIPES = {
    "lenet": Recipe("lenet", epochs=5, max_lr=2e-3, batch_size=128),
    "nine-layers": Recipe("nine-layers", epochs=10, max_lr=2e-3, batch_size=128),
}


@torch.no_grad()
def sampled_moments(network: nn.Sequential, x: Tensor, noise: float, samples: int) -> tuple[list[Moments], Tensor]:
    """Moments of every stage's output, over samples of input noise and units, in float64; log of the average softmax.

    x: (B, C, H, W), normalised: what the stages after `input` take.
    """
    generator = private_generator("examples.propagation.accuracy", noise)
    sampled, log_p = [Sampled() for _ in network], []
    rounds = math.ceil(samples / AT_ONCE)
    for _ in range(rounds):
        values = x.repeat(AT_ONCE, *[1] * (x.ndim - 1))
        values = values + math.sqrt(noise) * torch.randn(values.shape, generator=generator)
        for stage, so_far in zip(network, sampled, strict=True):
            values = sample(stage, values, generator)
            so_far.add(values.unflatten(0, (AT_ONCE, -1)))
        log_p.append(values.double().log_softmax(-1).unflatten(0, (AT_ONCE, -1)).logsumexp(0))
    return [so_far.moments() for so_far in sampled], torch.stack(log_p).logsumexp(0) - math.log(rounds * AT_ONCE)


@torch.no_grad()
def errors(network: nn.Sequential, images: Tensor, noise: float, samples: int) -> list[dict[str, object]]:
    """A row for each stage, and one for the softmax with the KLs in nats. images: pixels in [0, 1]."""
    stages = network[1:]
    x = network[0](images)
    exact, log_p = sampled_moments(stages, x, noise, samples)
    rows: list[dict[str, object]] = []
    ap1, ap2 = x, noisy(x, noise)
    for (name, stage), truth in zip(list(network.named_children())[1:], exact, strict=True):
        ap1, ap2 = stage(ap1), propagate(stage, ap2)
        sigma = truth.variance.sqrt()
        uncertain = sigma > 1e-4 * sigma.mean()
        if name == "flatten" or not uncertain.any():
            continue
        ratio = (ap2.variance.double().sqrt() / sigma)[uncertain & (ap2.variance > 0)]
        measured = (
            (ap1 - truth.mean).abs().mean() / sigma.mean(),
            (ap2.mean - truth.mean).abs().mean() / sigma.mean(),
            ratio.log().mean().exp(),
        )
        rows.append({"stage": name} | {error: float(value) for error, value in zip(ERRORS, measured, strict=True)})
    exactly = Moments(ap2.mean.double(), ap2.variance.double())  # a KL of 1e-8 is rounding in float32
    log_q = (ap1.double().log_softmax(-1), log_softmax_logistic(exactly), log_softmax_simplified(exactly))
    kl = (float(F.kl_div(one, log_p, reduction="batchmean", log_target=True)) for one in log_q)
    rows.append({"stage": "softmax"} | dict(zip(KL, kl, strict=True)))
    return rows


@mistakes_in_one_line()
def run(
    network: Annotated[str, typer.Option(help="lenet or nine-layers.")] = "lenet",
    data_root: Annotated[Path, typer.Option(help="Folder with the data.")] = Path("data"),
    samples: Annotated[int, typer.Option(min=2, help="Samples of every image.")] = 10_000,
    checkpoints: Annotated[Path, typer.Option(help="Folder for checkpoints.")] = Path("checkpoints"),
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = Path("examples-out"),
) -> None:
    """Train, or go on, measure every case, print and write."""
    dataset, chain = lookup(NETWORKS, network, "network")
    images, _ = load_split(dataset, "test", data_root).sample(IMAGES, "examples.propagation.accuracy")
    split = load_split(dataset, "train", data_root)
    rows = []
    for case in CASES:
        name = f"{dataset}/{network}-{case.activation.replace(', ', '-').replace(' ', '-')}-{case.method}"
        build = functools.partial(chain, ACTIVATIONS[case.activation])
        model, history = trained(name, build, case.method, RECIPES[network], split, checkpoints)
        accuracy = history[-1]["validation accuracy"]
        found = errors(model, images, case.noise, samples)
        rows += [{"case": case.title, "validation accuracy": accuracy, **row} for row in found]
        typer.echo(f"{case.title}: validation accuracy {accuracy:.4f}")
        typer.echo(pd.DataFrame(found).set_index("stage").T.to_string(float_format="{:.3f}".format, na_rep=""))
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(out / f"accuracy-{network}.csv", index=False, float_format="%.5g")


if __name__ == "__main__":
    typer.run(run)
