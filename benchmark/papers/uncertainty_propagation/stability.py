"""Stability of 784-100-10, figures 5 and D.1.

`python -m benchmark.papers.uncertainty_propagation.stability`

`mnist/logistic` is a standard network, `mnist/logistic-ap2` the same with binary units, trained with its mean and
variance propagated and noise assumed at the input. Both are as accurate on clean images; the second withstands more
Gaussian noise and a stronger gradient-sign attack.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import torchattacks
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from benchmark.statistics import wilson
from zoo import models
from zoo.combine import answered
from zoo.commands import mistakes_in_one_line
from zoo.datasets import load_split
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import private_generator
from zoo.style import COLUMN

NETWORKS = ("mnist/logistic", "mnist/logistic-ap2")
SIGMAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
EPS = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15)


Change = Callable[[ExpectedPrediction, Tensor, Tensor, float], Tensor]


def noisy(x: Tensor, sigma: float) -> Tensor:
    """Pixels with Gaussian noise, the same for every network; not clipped, as in the paper."""
    noise = torch.randn(x.shape, generator=private_generator("stability", sigma))
    return x + sigma * noise


def attacked(network: ExpectedPrediction, x: Tensor, y: Tensor, eps: float) -> Tensor:
    """Images under the gradient-sign attack on the network itself."""
    return torchattacks.FGSM(network, eps=eps)(x, y) if eps else x


def accuracies(name: str, kind: str, sizes: tuple[float, ...], change: Change) -> list[dict[str, object]]:
    """A row for each size of a change, with the Wilson 95 % interval, over the test images."""
    test = load_split("mnist", "test")
    network, labels = models[name].predictor(1, 0), torch.from_numpy(test.labels.copy())
    images = test.pixels()
    rows = []
    for size in sizes:
        hits = 0
        for x, y in zip(images.split(1000), labels.split(1000), strict=True):
            changed = change(network, x, y, size)
            with torch.no_grad():
                hits += int((answered(network(changed), y) == y).sum())
        low, high = wilson(hits, len(labels))
        rows.append(
            {"entry": name, "under": kind, "size": size, "accuracy": hits / len(labels), "low": low, "high": high}
        )
    return rows


def measured() -> pd.DataFrame:
    """Both networks under noise and under attack."""
    rows = []
    for name in NETWORKS:
        rows += accuracies(name, "noise", SIGMAS, lambda _network, x, _y, sigma: noisy(x, sigma))
        rows += accuracies(name, "attack", EPS, attacked)
    return pd.DataFrame(rows)


def figure_of(found: pd.DataFrame) -> Figure:
    """Accuracy against the standard deviation of noise, and against eps."""
    figure = Figure(figsize=(2 * COLUMN, 2.3))
    titles = {"noise": "standard deviation of Gaussian noise", "attack": "eps of the gradient-sign attack"}
    axes: list[Axes] = list(figure.subplots(1, 2, sharey=True))
    for axis, (kind, title) in zip(axes, titles.items(), strict=True):
        for name, style, colour in zip(NETWORKS, ("--", "-"), ("0.45", "black"), strict=True):
            part = found[(found["entry"] == name) & (found["under"] == kind)]
            axis.fill_between(part["size"], 100 * part["low"], 100 * part["high"], color=colour, alpha=0.2, linewidth=0)
            axis.plot(part["size"], 100 * part["accuracy"], style, color=colour, linewidth=1.2, label=name)
        axis.set_xlabel(title, fontsize=7.5)
        axis.tick_params(labelsize=6.5)
        axis.grid(linewidth=0.4)
    axes[0].set_ylabel("accuracy in %, 10,000 images", fontsize=7.5)
    axes[0].legend(fontsize=6.5)
    figure.tight_layout(pad=0.4)
    return figure


@mistakes_in_one_line()
def run(out: Annotated[Path, typer.Option(help="Folder for table and figure.")] = Path("examples-out")) -> None:
    """Measure both networks, print, write and draw."""
    found = measured()
    out.mkdir(parents=True, exist_ok=True)
    found.to_csv(out / "stability.csv", index=False, float_format="%.6g")
    figure_of(found).savefig(out / "stability.png", dpi=200)
    wide = found.pivot(index=["under", "size"], columns="entry", values="accuracy")
    typer.echo(wide.to_string(float_format="{:.4f}".format))


if __name__ == "__main__":
    typer.run(run)
