"""Dropout by propagation, figure 4.

`python -m benchmark.papers.uncertainty_propagation.dropout --data-root DATA`

The nine-layer network with dropout after every activation, from one start, by one schedule: trained as if there were no
dropout, with sampled dropout, with its mean and variance propagated, and so with analytic normalisation, too. Over an
hour on two cores; a killed run goes on from its last epoch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from matplotlib.figure import Figure
from torch import nn

from benchmark.papers.uncertainty_propagation.networks import ACTIVATIONS, Method, nine_layers, trained
from benchmark.papers.uncertainty_propagation.normalisation import pixel_statistics
from zoo.catalogue.recipes import Recipe
from zoo.commands import mistakes_in_one_line
from zoo.datasets import load_split
from zoo.propagation.statistics import AnalyticNormalisation
from zoo.style import COLUMN

DATASET = "cifar10-jpeg"
# title -> (how it is trained, whether it is normalised, line of the figure)
RUNS: dict[str, tuple[Method, bool, str]] = {
    "no dropout": ("AP1", False, ":"),
    "sampled dropout": ("sample", False, "--"),
    "analytic dropout": ("AP2", False, "-"),
    "analytic dropout, normalised": ("AP2", True, "-."),
}


def chain() -> nn.Sequential:
    """The network that all runs train."""
    return nine_layers(ACTIVATIONS["LReLU, dropout"])


def normalised(network: nn.Sequential) -> nn.Module:
    """The network with its statistics propagated in every pass."""
    return AnalyticNormalisation(network, pixel_statistics(DATASET))


def figure_of(found: pd.DataFrame) -> Figure:
    """Training loss and validation accuracy by epoch."""
    figure = Figure(figsize=(2 * COLUMN, 2.4))
    panels = (("loss", "training loss", 1), ("validation accuracy", "validation accuracy in %", 100))
    for axis, (column, title, factor) in zip(figure.subplots(1, 2), panels, strict=True):
        for place, (name, part) in enumerate(found.groupby("run", sort=False)):
            colour, (*_, line) = str(0.55 - 0.18 * place), RUNS[str(name)]
            axis.plot(part["epoch"], factor * part[column], line, color=colour, linewidth=1.2, label=name)
        axis.set_xlabel("epoch", fontsize=7.5)
        axis.set_ylabel(title, fontsize=7.5)
        axis.tick_params(labelsize=6.5)
        axis.grid(linewidth=0.4)
    figure.axes[0].legend(fontsize=6.5)
    figure.tight_layout(pad=0.4)
    return figure


@mistakes_in_one_line()
def run(
    data_root: Annotated[Path, typer.Option(help="Folder with the data.")] = Path("data"),
    epochs: Annotated[int, typer.Option(min=1)] = 15,
    checkpoints: Annotated[Path, typer.Option(help="Folder for checkpoints.")] = Path("checkpoints"),
    out: Annotated[Path, typer.Option(help="Folder for table and figure.")] = Path("examples-out"),
) -> None:
    """Train all four, or go on with them, print, write and draw."""
    recipe = Recipe("nine-layers", epochs=epochs, max_lr=2e-3, batch_size=128)
    split = load_split(DATASET, "train", data_root)
    rows = []
    for title, (method, with_normalisation, _) in RUNS.items():
        name = f"{DATASET}/dropout-{title.replace(', ', '-').replace(' ', '-')}"
        wrap = normalised if with_normalisation else None
        _, history = trained(name, chain, method, recipe, split, checkpoints, wrap)
        rows += [{"run": title, **row} for row in history]
    found = pd.DataFrame(rows)
    out.mkdir(parents=True, exist_ok=True)
    found.to_csv(out / "dropout.csv", index=False, float_format="%.6g")
    figure_of(found).savefig(out / "dropout.png", dpi=200)
    typer.echo(found[found["epoch"] == epochs].to_string(index=False))


if __name__ == "__main__":
    typer.run(run)
