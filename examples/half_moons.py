"""Half-moons: do gradients vanish in expectation, and is what they miss there? `python -m examples.half_moons`.

Carbone et al. 2020, "Robustness of Bayesian Neural Networks to Gradient-Based Attacks", show that the expected gradient
of the loss vanishes off the manifold of the data in the limit of width and data, and conclude that posteriors withstand
attacks by gradients. In two dimensions all of it can be seen: the field, its norm against width and draws, and, by a
search of the whole ball, what there is to be found without any gradient.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import maximum_filter, minimum_filter
from sklearn.datasets import make_moons
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from zoo.combine import answered, expected
from zoo.commands import mistakes_in_one_line
from zoo.seeding import derive_seed, forked_random_state, private_generator
from zoo.style import COLUMN
from zoo.training.figures import convergence
from zoo.training.log_posterior import LogPosterior
from zoo.training.samplers.hmc import Settings, Target, sample

WIDTHS = (4, 16, 64, 256)
CHAINS, PRIOR = 4, 4.0
EVERY = 5  # of the samples one in so many, where all of a lattice is looked at
EPS = tuple(i / 25 for i in range(11))
SPACING = 0.02  # of the lattice that the ball is searched on
CORNER, SIDES = (-2.0, -1.5), (251, 176)  # of the lattice: x from -2 to 3, y from -1.5 to 2
States = dict[str, Tensor]  # parameters of S networks (S, ...) by their names


class Moons(nn.Module):
    """2-H-2 with softplus; its readout is divided by the root of H, so that a prior means the same at every width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        with forked_random_state(derive_seed("examples.half_moons", width)):
            self.hidden, self.readout = nn.Linear(2, width), nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2) -> (N, 2) logits."""
        out: Tensor = self.readout(F.softplus(self.hidden(x))) / math.sqrt(self.hidden.out_features)
        return out


def moons(split: str, count: int = 200) -> tuple[Tensor, Tensor]:
    """Points (N, 2) and labels (N,) of two half-moons with noise of standard deviation .1."""
    points, labels = make_moons(count, noise=0.1, random_state=derive_seed("half-moons", split) % 2**32)
    return torch.from_numpy(points).float(), torch.from_numpy(labels)


def maximum(posterior: LogPosterior, starts: int = 5, steps: int = 500) -> States:
    """The highest maximum of the posterior that L-BFGS finds from some starts, as one network: (1, ...)."""
    size = sum(shape.numel() for shape in posterior.shapes.values())
    generators = (private_generator("half-moons", "MAP", start) for start in range(starts))
    found = [climbed(posterior, 0.5 * torch.randn(1, size, generator=each), steps) for each in generators]
    return posterior.named(max(found, key=lambda position: float(posterior(position)[0])))


def climbed(target: Target, start: Tensor, steps: int = 500) -> Tensor:
    """(1, D) the maximum that L-BFGS finds from a start."""
    position = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([position], max_iter=steps, line_search_fn="strong_wolfe", tolerance_change=0)

    def loss() -> float:
        density, gradient = target(position.detach())
        position.grad = -gradient
        return -float(density[0])

    optimizer.step(loss)
    return position.detach()


def gradients(network: nn.Module, states: States, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Each network's probability of the label, (S, N), and its gradient in the point, (S, N, 2)."""
    leaf = x.expand(len(next(iter(states.values()))), *x.shape).clone().requires_grad_()
    log_p = vmap(lambda state, points: functional_call(network, state, (points,)))(states, leaf).log_softmax(-1)
    p = log_p.gather(-1, y.expand(len(leaf), -1)[..., None])[..., 0].exp()
    (gradient,) = torch.autograd.grad(p.sum(), leaf)
    return p.detach(), gradient


def norm_of(p: Tensor, gradient: Tensor, draws: int, repeats: int = 50) -> float:
    """Mean norm of the gradient of -log of the averaged probability, over points and random sets of that many draws."""
    generator = private_generator("half-moons", "sets", draws)
    norms = []
    for _ in range(repeats if draws < len(p) else 1):
        chosen = torch.randperm(len(p), generator=generator)[:draws]
        norms.append((gradient[chosen].mean(0) / p[chosen].mean(0)[:, None]).norm(dim=-1).mean())
    return float(torch.stack(norms).mean())


def norm_in_the_limit(p: Tensor, gradient: Tensor) -> float:
    """The norm of the expected gradient, averaged over points, without what a finite number of draws adds to it.

    The product of two chains' averages has no noise of either in its expectation. p (C S, N), gradient (C S, N, 2).
    """
    chains = [g.mean(0) / q.mean(0)[:, None] for g, q in zip(gradient.chunk(CHAINS), p.chunk(CHAINS), strict=True)]
    products = [(a * b).sum(-1) for i, a in enumerate(chains) for b in chains[:i]]
    return float(torch.stack(products).mean(0).clamp_min(0).sqrt().mean())


@torch.no_grad()
def log_probabilities(network: nn.Module, states: States, points: Tensor) -> Tensor:
    """(N, 2) log of the averaged softmax at points (N, 2), of one in `EVERY` networks where there are many."""
    one = vmap(lambda state, x: functional_call(network, state, (x,)), in_dims=(0, None))
    states = {name: value[:: EVERY if len(value) > 100 else 1] for name, value in states.items()}
    return torch.cat([expected(one(states, part)) for part in points.split(500)])


def lattice() -> Tensor:
    """(X * Y, 2) points, y fastest."""
    x, y = (CORNER[i] + SPACING * torch.arange(SIDES[i]) for i in (0, 1))
    return torch.cartesian_prod(x, y)


def found_by_search(network: nn.Module, states: States, x: Tensor, y: Tensor) -> list[float]:
    """Accuracy at each eps where the whole linf ball is searched, on a lattice. No gradient is used."""
    log_p = log_probabilities(network, states, lattice())
    lead = (log_p[:, 1] - log_p[:, 0]).reshape(SIDES).numpy()
    at = ((x - torch.tensor(CORNER)) / SPACING).round().long().T.numpy()
    own = answered(log_probabilities(network, states, x), y) == y
    accuracies = []
    for eps in EPS:
        size = 2 * round(eps / SPACING) + 1
        low, high = (torch.from_numpy(found(lead, size)[at[0], at[1]]) for found in (minimum_filter, maximum_filter))
        right = own & torch.where(y == 1, low > 0, high < 0) if eps else own
        accuracies.append(float(right.double().mean()))
    return accuracies


def found_by_gradient(network: nn.Module, states: States, x: Tensor, y: Tensor) -> list[float]:
    """Accuracy at each eps under FGSM through the expected prediction of all networks."""
    _, gradient = gradients(network, states, x, y)
    sign = -gradient.mean(0).sign()  # of the loss; dividing by the probability changes no sign
    attacked = (log_probabilities(network, states, x + eps * sign) for eps in EPS)
    return [float((answered(log_p, y) == y).double().mean()) for log_p in attacked]


@dataclass(frozen=True)
class Norms:
    """How large gradients are at a width, at its maximum and in expectation, and whether its chains have mixed."""

    width: int
    acceptance: float
    split_rhat_max: float
    ess_median: float
    maximum: float
    by_draws: dict[int, float]
    limit: float


@dataclass(frozen=True)
class Fitted:
    """A width: the network, its maximum, the samples of all chains one after the other, and its gradients' norms."""

    network: Moons
    maximum: States
    samples: States
    norms: Norms


def fit(width: int, burn_in: int = 100, draws: int = 250) -> Fitted:
    """The maximum and the posterior of one width given 200 points, by full-batch HMC."""
    network, (x, y) = Moons(width).eval(), moons("train")
    posterior = LogPosterior(network, x, y, PRIOR)
    size = sum(shape.numel() for shape in posterior.shapes.values())
    settings = Settings(trajectory=math.pi / 2 * PRIOR, burn_in=burn_in, draws=draws, step_size=0.02)
    starts = torch.stack([torch.randn(size, generator=private_generator("half-moons", i)) for i in range(CHAINS)])
    chains = sample(posterior, PRIOR * starts, settings)
    test, labels = moons("test")
    samples = posterior.named(chains.positions.flatten(0, 1))
    p, gradient = gradients(network, samples, test, labels)
    at_maximum = gradients(network, best := maximum(posterior), test, labels)
    found = convergence(p.log().unflatten(0, (CHAINS, -1)))
    counts = [n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if n <= len(p)]
    norms = Norms(
        width,
        acceptance=round(float(chains.acceptance[burn_in:].mean()), 3),
        split_rhat_max=found["split_rhat_max"],
        ess_median=found["ess_median"],
        maximum=norm_of(*at_maximum, 1),
        by_draws={n: norm_of(p, gradient, n) for n in counts},
        limit=norm_in_the_limit(p, gradient),
    )
    return Fitted(network, best, samples, norms)


def _field(axis: Axes, network: nn.Module, states: States, title: str) -> None:
    grid = lattice().reshape(*SIDES, 2)[::2, ::2]
    log_p = log_probabilities(network, states, grid.reshape(-1, 2))
    probability = log_p[:, 1].exp().reshape(grid.shape[:2])
    axis.contourf(grid[..., 0], grid[..., 1], probability, levels=20, cmap="RdBu_r", alpha=0.55)
    axis.contour(grid[..., 0], grid[..., 1], probability, levels=[0.5], colors="black", linewidths=0.8)
    x, y = moons("test")
    p, gradient = gradients(network, states, x, y)
    arrow = -gradient.mean(0) / p.mean(0)[:, None]
    for label, colour in enumerate(("#08306b", "#67000d")):
        axis.plot(*x[y == label].T, "o", color=colour, markersize=2)
    axis.quiver(*x.T, *arrow.T, angles="xy", scale_units="xy", scale=10, width=0.003)
    axis.set(title=title, xlim=(-1.6, 2.6), ylim=(-1.1, 1.6), xticks=[], yticks=[])


def figure_of(fitted: list[Fitted], accuracies: dict[str, list[float]]) -> Figure:
    """The field of the widest network at its maximum and in expectation, norms, and accuracies."""
    figure = Figure(figsize=(2 * COLUMN, 5.0))
    grid = figure.add_gridspec(2, 6, height_ratios=(1.15, 1))
    widest, shades = fitted[-1], [str(0.75 - 0.25 * i) for i in range(len(fitted))]
    _field(figure.add_subplot(grid[0, :3]), widest.network, widest.maximum, "gradient of the loss: maximum (MAP)")
    _field(figure.add_subplot(grid[0, 3:]), widest.network, widest.samples, "the same in expectation: HMC")
    draws, widths, robust = (figure.add_subplot(grid[1, i : i + 2]) for i in (0, 2, 4))
    all_norms = [one.norms for one in fitted]
    for norms, shade in zip(all_norms, shades, strict=True):
        draws.loglog([*norms.by_draws], [*norms.by_draws.values()], color=shade, label=f"{norms.width}")
    single = all_norms[-1].by_draws[1]
    draws.loglog([1, 1000], [single, single / math.sqrt(1000)], ":", color="C3", label="only noise")
    draws.set(xlabel="draws", ylabel="mean gradient norm", title="against draws, by width")
    draws.legend(fontsize=6, title="width", title_fontsize=6)
    for name, values, mark in (
        ("one draw", [norms.by_draws[1] for norms in all_norms], "^:"),
        ("MAP", [norms.maximum for norms in all_norms], "s-"),
        ("expected", [norms.limit for norms in all_norms], "o-"),
    ):
        widths.loglog([norms.width for norms in all_norms], values, mark, label=name, markersize=3.5)
    widths.set(xlabel="width", title="against width")
    widths.legend(fontsize=6)
    for (name, shares), mark in zip(accuracies.items(), ("s:", "s-", "o:", "o-"), strict=True):
        robust.plot(EPS, shares, mark, color="C1" if mark[0] == "s" else "C2", label=name, markersize=3)
    robust.set(xlabel="eps (linf)", title="accuracy", ylim=(0, 1.02))
    robust.legend(fontsize=6)
    for axis in figure.axes:
        axis.title.set_fontsize(8)
        axis.xaxis.label.set_fontsize(7.5)
        axis.yaxis.label.set_fontsize(7.5)
        axis.tick_params(which="both", labelsize=6.5)
    figure.tight_layout(pad=0.4)
    return figure


@mistakes_in_one_line()
def run(
    out: Annotated[Path, typer.Option(help="Folder for the figure and the numbers.")] = Path("examples-out"),
) -> None:
    """Sample the posteriors of all widths, print and write what they say."""
    fitted = []
    for width in WIDTHS:
        fitted.append(fit(width))
        typer.echo(json.dumps(asdict(fitted[-1].norms)))
    widest, (x, y) = fitted[-1], moons("test")
    accuracies = {
        f"{name}, {way}": found(widest.network, states, x, y)
        for name, states in (("MAP", widest.maximum), ("HMC", widest.samples))
        for way, found in (("FGSM", found_by_gradient), ("search", found_by_search))
    }
    numbers = {"eps": EPS, "accuracy": accuracies, "widths": [asdict(one.norms) for one in fitted]}
    out.mkdir(parents=True, exist_ok=True)
    (out / "half-moons.json").write_text(json.dumps(numbers, indent=2) + "\n")
    figure_of(fitted, accuracies).savefig(out / "half-moons.png", dpi=200)
    typer.echo(json.dumps(accuracies, indent=2))


if __name__ == "__main__":
    typer.run(run)
