"""Regression on six points of y = -x^4 + 3x^2 + 1: `python -m examples.regression`.

A standard network fits them and gives one number everywhere; a Bayesian one of the same kind gives a band that is wide
far outside the points. Between them, where there are none either, it is narrow and misses the function. Sizes, priors,
losses and optimisers are the tutorial's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from examples.one_weight import nll
from zoo.commands import mistakes_in_one_line
from zoo.layers import BayesianLinear, Options, kl_divergence, use_generator
from zoo.posteriors import posterior_draws
from zoo.seeding import derive_seed, forked_random_state, private_generator
from zoo.style import COLUMN

NOISE = 0.1  # standard deviation of an observation
X = torch.tensor([-2.0, -1.8, -1.0, 1.0, 1.8, 2.0])[:, None]


def curve(x: Tensor) -> Tensor:
    """The function that the six points are on."""
    return -(x**4) + 3 * x**2 + 1


Y = curve(X)


def standard_network() -> nn.Sequential:
    """1-16-16-1 with sigmoids."""
    with forked_random_state(derive_seed("examples.regression", "standard")):
        return nn.Sequential(nn.Linear(1, 16), nn.Sigmoid(), nn.Linear(16, 16), nn.Sigmoid(), nn.Linear(16, 1))


def bayesian_network() -> nn.Sequential:
    """1-32-1 with sigmoids, prior N(0, 10^2), beginning at mu = 0 and rho = 0."""
    options: Options = {"prior": 10.0, "mu": (0.0, 0.0), "rho": 0.0}
    return nn.Sequential(BayesianLinear(1, 32, **options), nn.Sigmoid(), BayesianLinear(32, 1, **options))


def fit_standard(network: nn.Module, steps: int = 30_000) -> list[float]:
    """Gradient descent on the mean squared error; the loss at every 5,000th step."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    return _fit(optimizer, lambda: F.mse_loss(network(X), Y), steps, every=5000)


def fit_bayesian(network: nn.Module, steps: int = 2000) -> list[float]:
    """Adam on KL + negative log-likelihood of the six points, one draw a step; the loss at every 10th step."""
    use_generator(network, private_generator("examples.regression", "draws"))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    return _fit(optimizer, lambda: kl_divergence(network) + nll(network(X), Y, NOISE).sum(), steps, every=10)


def _fit(optimizer: torch.optim.Optimizer, loss_of: Callable[[], Tensor], steps: int, every: int) -> list[float]:
    losses = []
    for step in range(steps):
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % every == 0:
            losses.append(loss.item())
    return losses


@dataclass(frozen=True)
class Band:
    """The posterior predictive of the function at some x: mean, and between which values 95 % of it lie. (N,) each."""

    mean: Tensor
    low: Tensor
    high: Tensor


@torch.no_grad()
def predictive_band(network: nn.Module, x: Tensor, draws: int = 1000) -> Band:
    """x: (N, 1)."""
    outputs = torch.stack([draw(x)[:, 0] for draw in posterior_draws(network, draws, derive_seed("band"))])
    return Band(outputs.mean(0), outputs.quantile(0.025, 0), outputs.quantile(0.975, 0))


def figure_of(standard: nn.Module, bayesian: nn.Module) -> Figure:
    """Both networks near the data and far from it."""
    figure = Figure(figsize=(2 * COLUMN, 2.5))
    for axis, extent in zip(figure.subplots(1, 2), (5, 100), strict=True):
        x = torch.linspace(-extent, extent, 401)[:, None]
        band = predictive_band(bayesian, x)
        with torch.no_grad():
            axis.plot(x[:, 0], standard(x)[:, 0], color="black", linewidth=1, label="standard network")
        axis.fill_between(x[:, 0], band.low, band.high, color="0.8", linewidth=0, label="95 % of the Bayesian one")
        axis.plot(x[:, 0], band.mean, "--", color="0.3", linewidth=1, label="its mean")
        inside = torch.linspace(-2.3, 2.3, 200)
        axis.plot(inside, curve(inside), ":", color="C0", linewidth=1.2, label="the function")
        axis.plot(X[:, 0], Y[:, 0], "o", color="C3", markersize=3.5, label="six points")
        axis.set_xlabel("x", fontsize=7.5)
        axis.tick_params(labelsize=6.5)
        axis.grid(linewidth=0.4)
    figure.axes[0].set_ylabel("y", fontsize=7.5)
    figure.axes[1].legend(fontsize=6, loc="upper right")
    figure.tight_layout(pad=0.4)
    return figure


@mistakes_in_one_line()
def run(
    out: Annotated[Path, typer.Option(help="Folder for the figure and the numbers.")] = Path("examples-out"),
) -> None:
    """Fit both networks, print and write what they say."""
    standard, bayesian = standard_network(), bayesian_network()
    losses = fit_standard(standard)
    bayesian_losses = fit_bayesian(bayesian)
    places = {"0": 0.0, "5": 5.0, "100": 100.0}
    bands = {name: predictive_band(bayesian, torch.tensor([[-x], [x]])) for name, x in places.items()}
    at_points = predictive_band(bayesian, X)
    numbers = {
        "standard_losses_every_5000": losses,
        "standard_at_100": standard(torch.tensor([[100.0]])).item(),
        "bayesian_loss_first": bayesian_losses[0],
        "bayesian_loss_last": bayesian_losses[-1],
        "band_width_at_the_points": (at_points.high - at_points.low).mean().item(),
        "band_at_0": [bands["0"].low.mean().item(), bands["0"].high.mean().item()],
        "function_at_0": curve(torch.tensor(0.0)).item(),
        **{f"band_width_at_{name}": (band.high - band.low).mean().item() for name, band in bands.items()},
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "regression.json").write_text(json.dumps(numbers, indent=2) + "\n")
    figure_of(standard, bayesian).savefig(out / "regression.png", dpi=200)
    typer.echo(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    typer.run(run)
