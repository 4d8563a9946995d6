"""Statistics of a data set by propagation, table 4.

`python -m benchmark.papers.uncertainty_propagation.normalisation`

Mean and variance of every channel, from the pixels' alone, beside those measured on images: at random weights, after
the weights were normalised by measured statistics (as by batch normalisation), and after they were by propagated ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer
from torch import Tensor, nn

from benchmark.papers.uncertainty_propagation.networks import ACTIVATIONS, NETWORKS, normalise_by_images
from zoo.commands import mistakes_in_one_line
from zoo.datasets import dataset_spec, load_split
from zoo.propagation import Moments
from zoo.propagation.statistics import channel_statistics, normalise_by_propagation
from zoo.seeding import derive_seed, forked_random_state

STARTS = ("random weights", "batch normalisation", "analytic normalisation")
ACTIVATION = "LReLU"


def pixel_statistics(dataset: str) -> Moments:
    """Mean and variance of every channel of the training images."""
    spec = dataset_spec(dataset)
    return Moments(torch.tensor(spec.mean), torch.tensor(spec.std).square())


def started(network: str, start: str, images: Tensor) -> nn.Sequential:
    """The network at one of `STARTS`; the random weights are the same for all."""
    dataset, build = NETWORKS[network]
    with forked_random_state(derive_seed("examples.propagation.normalisation", network)):
        chain = build(ACTIVATIONS[ACTIVATION])
    if start == "batch normalisation":
        normalise_by_images(chain, images)
    elif start == "analytic normalisation":
        normalise_by_propagation(chain, pixel_statistics(dataset))
    return chain


@torch.no_grad()
def errors(chain: nn.Sequential, images: Tensor, pixels: Moments) -> list[dict[str, object]]:
    """A row for each stage: what propagation says of its channels beside what the images (B, C, H, W) give."""
    rows: list[dict[str, object]] = []
    x, propagated = images, pixels
    for name, stage in chain.named_children():
        if name == "flatten":  # a channel of a map is still one channel
            x = stage(x)
            continue
        x, propagated = stage(x), channel_statistics(stage, propagated)
        channels = x.double().unflatten(1, (len(propagated.mean), -1)).transpose(0, 1).flatten(1)
        mean, sigma = channels.mean(1), channels.std(1)
        rows.append(
            {
                "stage": name,
                "error of mean": float((propagated.mean - mean).abs().mean() / sigma.mean()),
                "factor of sigma": float((propagated.variance.sqrt() / sigma).log().mean().exp()),
                "|mean|, measured": float(mean.abs().mean()),
                "sigma, measured": float(sigma.mean()),
            }
        )
    return rows


@mistakes_in_one_line()
def run(
    data_root: Annotated[Path, typer.Option(help="Folder with the data.")] = Path("data"),
    examples: Annotated[int, typer.Option(min=2, help="Images that statistics are measured on.")] = 1000,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = Path("examples-out"),
) -> None:
    """Measure both networks at every start, print and write."""
    rows = []
    for network, (dataset, _) in NETWORKS.items():
        images, _ = load_split(dataset, "train", data_root).sample(examples, "examples.propagation.normalisation")
        for start in STARTS:
            found = errors(started(network, start, images), images, pixel_statistics(dataset))
            rows += [{"network": network, "start": start, **row} for row in found]
            typer.echo(f"{network}, {start}")
            typer.echo(pd.DataFrame(found).set_index("stage").T.to_string(float_format="{:.2f}".format))
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(out / "normalisation.csv", index=False, float_format="%.5g")


if __name__ == "__main__":
    typer.run(run)
