"""Predictive entropy on images of pure noise, two ways: `python -m examples.digits`.

The tutorial averages the Bayesian network's log-probabilities over draws and takes exp of that: a geometric mean,
which does not sum to one, so that its "entropy" is none. The predictive distribution is the average of the
probabilities. Both are computed here, for `mnist/mlp` and `mnist/bayesian-mlp`, in bits as there.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import torch
import typer
from matplotlib.figure import Figure
from torch import Tensor

from zoo import models
from zoo.commands import mistakes_in_one_line
from zoo.datasets import DATASETS
from zoo.seeding import derive_seed
from zoo.studies.strange_images import strange_images
from zoo.style import COLUMN
from zoo.uncertainty import entropies

IMAGES, DRAWS, SHOWN = 1000, 100, 4


def noise(count: int = IMAGES) -> Tensor:
    """Standard normal pixels, (N, 1, 28, 28), as the tutorial draws them."""
    return strange_images("gaussian-noise", DATASETS["mnist"], torch.empty(count, 1, 28, 28), None)


def log_probabilities(name: str, images: Tensor, draws: int = DRAWS) -> Tensor:
    """(S, N, K) of an entry's draws."""
    prediction = models[name].predictor(draws, derive_seed("examples.digits"))
    return prediction.logits_in_batches(images).log_softmax(-1)


def tutorial_entropy(log_p: Tensor) -> float:
    """What the tutorial prints, in "bits": -sum p log2(p + 1e-10) of p = exp(mean_s log p_s), meaned over images."""
    p = log_p.mean(0).exp()
    return float(-((p + 1e-10).log2() * p).sum(-1).mean())


def predictive_entropy(log_p: Tensor) -> float:
    """Entropy of the averaged probabilities in bits, meaned over images."""
    return float(entropies(log_p).predictive.mean() / math.log(2))


def figure_of(images: Tensor, standard: Tensor, bayesian: Tensor) -> Figure:
    """A few images; the standard network, the tutorial's figure for the Bayesian one, and its true average."""
    figure = Figure(figsize=(2 * COLUMN, 1.05 * SHOWN))
    axes = figure.subplots(SHOWN, 4, width_ratios=[1, 2, 2, 2])
    columns = {
        "standard": standard.exp().mean(0),
        "Bayesian, exp of mean log p": bayesian.mean(0).exp(),
        "Bayesian, mean of p": bayesian.exp().mean(0),
    }
    for i, row in enumerate(axes):
        row[0].imshow(images[i, 0].clamp(0, 1), cmap="gray", vmin=0, vmax=1)
        row[0].grid(False)
        row[0].set_xticks([])
        row[0].set_yticks([])
        for axis, (title, p) in zip(row[1:], columns.items(), strict=True):
            axis.bar(range(10), p[i], color="0.5", width=0.8)
            axis.set_ylim(0, 1.02)
            axis.set_xticks(range(10))
            axis.tick_params(labelsize=5.5, pad=1)
            axis.grid(linewidth=0.3)
            axis.set_title(f"sum {p[i].sum():.2f}" if i else f"{title}\nsum {p[i].sum():.2f}", fontsize=6.5, pad=2)
    for axis in axes[-1, 1:]:
        axis.set_xlabel("class", fontsize=6.5)
    figure.tight_layout(pad=0.4, w_pad=0.6)
    return figure


@mistakes_in_one_line()
def run(
    out: Annotated[Path, typer.Option(help="Folder for the figure and the numbers.")] = Path("examples-out"),
) -> None:
    """Print and write the entropies of both networks."""
    images = noise()
    standard, bayesian = (log_probabilities(f"mnist/{name}", images) for name in ("mlp", "bayesian-mlp"))
    numbers = {
        "standard": predictive_entropy(standard),
        "bayesian_as_in_the_tutorial": tutorial_entropy(bayesian),
        "bayesian": predictive_entropy(bayesian),
        "sum_of_what_the_tutorial_calls_probabilities": float(bayesian.mean(0).exp().sum(-1).mean()),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "digits.json").write_text(json.dumps(numbers, indent=2) + "\n")
    figure_of(images, standard, bayesian).savefig(out / "digits.png", dpi=200)
    typer.echo(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    typer.run(run)
