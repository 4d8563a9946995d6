"""One step of Bayes by Backprop by hand, and where the steps lead: `python -m examples.one_weight`.

y = w x with one observation (x, y) = (2, 3), noise N(0, 0.5^2) and prior w ~ N(0, 1). The tutorial prints every number
of one step from mu = 0.5, rho = 2 with the draw epsilon = 1.9070. The exact posterior is Gaussian, so the variational
one can reach it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor
from torch.distributions import Normal
from torch.nn import functional as F

from zoo.commands import mistakes_in_one_line
from zoo.layers import BayesianLinear, use_generator
from zoo.seeding import private_generator

X, Y, NOISE, PRIOR = 2.0, 3.0, 0.5, 1.0


@dataclass(frozen=True)
class Step:
    """The numbers of one step, in nats where they are logarithms."""

    w: float
    log_posterior: float
    log_prior: float
    log_likelihood: float
    loss: float
    mu_gradient: float
    rho_gradient: float
    new_mu: float
    new_rho: float


def step(mu: float = 0.5, rho: float = 2.0, epsilon: float = 1.9070, learning_rate: float = 0.01) -> Step:
    """One step of gradient descent on log q(w) - log p(w) - log p(y | w) (Blundell et al. 2015, section 3.2)."""
    m, r = torch.tensor(mu, requires_grad=True), torch.tensor(rho, requires_grad=True)
    sigma = F.softplus(r)
    w = m + sigma * epsilon
    log_posterior = Normal(m, sigma).log_prob(w)
    log_prior = Normal(0.0, PRIOR).log_prob(w)
    log_likelihood = Normal(w * X, NOISE).log_prob(torch.tensor(Y))
    loss = log_posterior - log_prior - log_likelihood
    by_mu, by_rho = torch.autograd.grad(loss, (m, r))
    return Step(
        w=w.item(),
        log_posterior=log_posterior.item(),
        log_prior=log_prior.item(),
        log_likelihood=log_likelihood.item(),
        loss=loss.item(),
        mu_gradient=by_mu.item(),
        rho_gradient=by_rho.item(),
        new_mu=mu - learning_rate * by_mu.item(),
        new_rho=rho - learning_rate * by_rho.item(),
    )


def exact_posterior() -> tuple[float, float]:
    """Mean and standard deviation of w given the observation."""
    precision = 1 / PRIOR**2 + X**2 / NOISE**2
    return X * Y / NOISE**2 / precision, precision**-0.5


def learned_posterior(steps: int = 3000) -> tuple[float, float]:
    """Mean and standard deviation that Bayes by Backprop ends with, the KL in closed form and a draw a step."""
    layer = BayesianLinear(1, 1, bias=False, prior=PRIOR, mu=(0.5, 0.0), rho=2.0)
    use_generator(layer, private_generator("one weight"))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    x, y = torch.full((64, 1), X), torch.full((64, 1), Y)
    layer.sampling = "activations"  # a draw for each of 64 copies of the observation: less noise in a step
    for _ in range(steps):
        loss = layer.kl() + nll(layer(x), y, NOISE).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    ((mu, sigma),) = layer.posterior()
    return mu.item(), sigma.item()


def nll(predicted: Tensor, y: Tensor, noise: float) -> Tensor:
    """-log N(y; predicted, noise^2), elementwise, in nats."""
    return F.gaussian_nll_loss(predicted, y, torch.full_like(predicted, noise**2), full=True, reduction="none")


@mistakes_in_one_line()
def run(out: Annotated[Path, typer.Option(help="Folder for the numbers.")] = Path("examples-out")) -> None:
    """Print and write the step and both posteriors."""
    posteriors = {"exact_posterior": exact_posterior(), "learned_posterior": learned_posterior()}
    text = json.dumps(asdict(step()) | posteriors, indent=2)
    out.mkdir(parents=True, exist_ok=True)
    (out / "one-weight.json").write_text(text + "\n")
    typer.echo(text)


if __name__ == "__main__":
    typer.run(run)
