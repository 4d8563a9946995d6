"""What training does to a posterior, and what frequentist and Bayesian filters look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor

from zoo.layers import MeanFieldLayer
from zoo.style import COLUMN

History = Sequence[Mapping[str, float]]  # a row an epoch, as `zoo.training.loop.Training` writes it


def posterior_over_epochs(posteriors: Mapping[int, tuple[Tensor, Tensor]], history: History, weight: int = 0) -> Figure:
    """The density of one weight at some epochs, the spread of all of a layer's, and mean sigma.

    As in the post "Bayesian Convolutional Neural Networks with Bayes by Backprop".

    posteriors: (mu, sigma) of a layer's weights after each of these epochs.
    """
    figure = Figure(figsize=(2 * COLUMN, 2.3))
    one, all_weights, sigmas = figure.subplots(1, 3)
    shades = sns.color_palette("viridis_r", len(posteriors))
    values = {epoch: (mu.flatten(), sigma.flatten()) for epoch, (mu, sigma) in posteriors.items()}
    low, high = _range([(float(mu[weight]), float(sigma[weight])) for mu, sigma in values.values()])
    grid = np.linspace(low, high, 400)
    for (epoch, (mu, sigma)), shade in zip(values.items(), shades, strict=True):
        one.plot(grid, norm.pdf(grid, float(mu[weight]), float(sigma[weight])), color=shade, label=f"epoch {epoch}")
    sns.boxplot(
        data=pd.DataFrame({epoch: sigma.numpy() for epoch, (_, sigma) in values.items()}),
        ax=all_weights,
        palette=list(shades),
        linewidth=0.7,
        fliersize=1,
    )
    one.set_xlabel("one weight of the first layer", fontsize=7)
    one.set_ylabel("posterior density", fontsize=7)
    one.set_ylim(0, 1.45 * one.get_ylim()[1])
    one.legend(fontsize=6, frameon=False, ncols=2, loc="upper center")
    all_weights.set_xlabel("epoch", fontsize=7)
    all_weights.set_ylabel("sigma of that layer's weights", fontsize=7)
    sigmas.plot([row["epoch"] for row in history], [row["sigma"] for row in history], color="black", linewidth=1.2)
    sigmas.set_ylim(0, 1.1 * sigmas.get_ylim()[1])
    sigmas.set_xlabel("epoch", fontsize=7)
    sigmas.set_ylabel("mean sigma of all weights", fontsize=7)
    for axis in figure.axes:
        axis.tick_params(labelsize=6)
        axis.grid(linewidth=0.4)
    figure.tight_layout(pad=0.4)
    return figure


def learning_curves(histories: Mapping[str, History]) -> Figure:
    """Training against validation accuracy; solid: frequentist, dashed: Bayesian; light: training."""
    figure = Figure(figsize=(COLUMN, 2.5))
    axis: Axes = figure.subplots()
    for name, history in histories.items():
        line = "--" if "bayesian" in name else "-"
        epochs = [row["epoch"] for row in history]
        for key, colour in (("accuracy", "0.6"), ("validation accuracy", "black")):
            label = f"{name}, {'training' if key == 'accuracy' else 'validation'}"
            values = [100 * row[key] for row in history]
            axis.plot(epochs, values, line, color=colour, linewidth=1.2, label=label)
    axis.set_xlabel("epoch", fontsize=7.5)
    axis.set_ylabel("accuracy in %", fontsize=7.5)
    axis.tick_params(labelsize=6.5)
    axis.grid(linewidth=0.4)
    axis.legend(fontsize=6, frameon=False)
    figure.tight_layout(pad=0.4)
    return figure


def filters(frequentist: Tensor, bayesian: MeanFieldLayer, count: int = 6) -> Figure:
    """The first filters of two first layers (F, C, k, k): weights; posterior means; standard deviations.

    Of several channels the mean is shown. One scale for weights and means, another for standard deviations.
    """
    mu, sigma = next(bayesian.posterior())
    rows = {
        "frequentist w": frequentist[:count].detach().mean(1),
        "Bayesian mu": mu[:count].detach().mean(1),
        "Bayesian sigma": sigma[:count].detach().mean(1),
    }
    figure = Figure(figsize=(2 * COLUMN, 3.1))
    axes = figure.subplots(3, count, squeeze=False)
    largest = max(float(rows[name].abs().max()) for name in ("frequentist w", "Bayesian mu"))
    for line, (name, maps) in zip(axes, rows.items(), strict=True):
        is_sigma = name.endswith("sigma")
        low, high = (float(maps.min()), float(maps.max())) if is_sigma else (-largest, largest)
        for axis, values in zip(line, maps, strict=True):
            drawn = axis.imshow(values, cmap="Greys" if is_sigma else "RdBu_r", vmin=low, vmax=high)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.grid(False)
        line[0].set_ylabel(name, fontsize=7)
        figure.colorbar(drawn, ax=line.tolist(), fraction=0.02, pad=0.01).ax.tick_params(labelsize=6)
    return figure


def _range(gaussians: Sequence[tuple[float, float]]) -> tuple[float, float]:
    spread: NDArray[np.float64] = np.array([[mean - 3.5 * std, mean + 3.5 * std] for mean, std in gaussians])
    return float(spread[:, 0].min()), float(spread[:, 1].max())
