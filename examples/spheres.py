"""Concentric spheres: has a posterior fewer adversarial examples than its maximum? `python -m examples.spheres`.

Gilmer et al. 2018, "Adversarial Spheres": points of a sphere of radius 1 are of one class, those of radius 1.3 of the
other. Every point of either has a true label, so that what an attack finds without leaving the sphere is an error of
the network and of nothing else. Bekasov and Murray 2018, "Bayesian Adversarial Spheres", put the question to Bayesian
networks. Here a perceptron of one hidden layer on 500 points of 10 dimensions: three maxima of the posterior, three
chains of full-batch HMC, three mean-field Gaussians, attacked along the sphere and in the l2 ball.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from examples.half_moons import climbed
from zoo.combine import answered, expected
from zoo.commands import mistakes_in_one_line
from zoo.seeding import derive_seed, forked_random_state, private_generator
from zoo.training.figures import convergence
from zoo.training.log_posterior import LogPosterior
from zoo.training.samplers.hmc import Settings, Target, sample

DIMENSIONS, WIDTH, POINTS, PRIOR = 10, 32, 500, 2.0
RADII = (1.0, 1.3)  # of the classes
TRAININGS, DRAWS = 3, 80  # of each kind, and samples of each that has any
EPS = {
    "sphere": (0.1, 0.2, 0.4, 0.8),
    "ball": (0.05, 0.1),
}  # l2; in the ball less than half the gap between the spheres
STEPS = 50
States = dict[str, Tensor]  # parameters of S networks (S, ...) by their names
Network = Callable[[Tensor], Tensor]  # (N, D) -> (N, 2) log-probabilities


class Perceptron(nn.Module):
    """D-H-2 with softplus."""

    def __init__(self) -> None:
        super().__init__()
        with forked_random_state(derive_seed("examples.spheres")):
            self.hidden, self.readout = nn.Linear(DIMENSIONS, WIDTH), nn.Linear(WIDTH, len(RADII))

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, 2) logits."""
        out: Tensor = self.readout(F.softplus(self.hidden(x)))
        return out


def spheres(split: str, count: int) -> tuple[Tensor, Tensor]:
    """Points (N, D), uniform on their spheres, and labels (N,), the classes in turn."""
    direction = torch.randn(count, DIMENSIONS, generator=private_generator("spheres", split))
    labels = torch.arange(count) % len(RADII)
    return torch.tensor(RADII)[labels, None] * F.normalize(direction, dim=-1), labels


def averaged(network: nn.Module, states: States) -> Network:
    """The log of the members' averaged softmax."""
    one = vmap(lambda state, x: functional_call(network, state, (x,)), in_dims=(0, None))
    return lambda x: expected(one(states, x))


def attack(network: Network, x: Tensor, y: Tensor, eps: float, *, on_sphere: bool) -> Tensor:
    """(N, D) points within eps of x in l2 that raise the loss: PGD, every step brought back to the sphere if asked."""
    found, length = x.clone(), 2.5 * eps / STEPS
    radius = x.norm(dim=-1, keepdim=True)
    worst, most = x.clone(), torch.full((len(x),), -math.inf)
    for step in range(STEPS + 1):
        leaf = found.detach().requires_grad_()
        loss = -network(leaf).gather(-1, y[:, None])[:, 0]
        better = loss.detach() > most
        worst, most = torch.where(better[:, None], found, worst), torch.where(better, loss.detach(), most)
        if step == STEPS:
            break
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        if on_sphere:
            outward = F.normalize(found, dim=-1)
            gradient = gradient - (gradient * outward).sum(-1, keepdim=True) * outward
        moved = found + length * gradient / gradient.norm(dim=-1, keepdim=True).clamp_min(1e-30)
        found = _back(moved, x, eps, radius if on_sphere else None)
    return worst


def _back(points: Tensor, x: Tensor, eps: float, radius: Tensor | None) -> Tensor:
    """The nearest point of the ball around x, or of the cap that it cuts off the sphere."""
    if radius is None:
        offset = points - x
        in_ball: Tensor = x + offset * (eps / offset.norm(dim=-1, keepdim=True).clamp_min(1e-30)).clamp_max(1)
        return in_ball
    centre, direction = x / radius, F.normalize(points, dim=-1)
    # a chord of eps spans the angle 2 asin(eps / 2r)
    widest = 2 * torch.asin((eps / (2 * radius)).clamp_max(1))
    angle = torch.acos((direction * centre).sum(-1, keepdim=True).clamp(-1, 1))
    tangent = F.normalize(direction - (direction * centre).sum(-1, keepdim=True) * centre, dim=-1)
    narrowed = torch.minimum(angle, widest)
    on_cap: Tensor = radius * (narrowed.cos() * centre + narrowed.sin() * tangent)
    return on_cap


def mean_field(target: Target, start: Tensor, generator: torch.Generator, steps: int = 1500) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (D,) of the Gaussian without covariances that is nearest the target in KL(q || p).

    By Adam on draws (Kingma and Welling 2014), two antithetic ones at each step; the rate falls to zero.
    """
    mean, rho = start[0].clone().requires_grad_(), torch.full_like(start[0], -3.0).requires_grad_()
    optimizer = torch.optim.Adam([mean, rho], lr=0.02)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for _ in range(steps):
        noise = torch.randn(len(mean), generator=generator)
        sigma = F.softplus(rho)
        draws = torch.stack([mean + sigma * noise, mean - sigma * noise])
        _, gradient = target(draws.detach())
        optimizer.zero_grad()
        (-(gradient * draws).sum(-1).mean() - sigma.log().sum()).backward()
        optimizer.step()
        schedule.step()
    return mean.detach(), F.softplus(rho).detach()


class Trained(NamedTuple):
    """A kind of network: the weights of each training (S, D) of S members, and how its sampler went."""

    positions: list[Tensor]
    said: dict[str, float]


def trained(target: Target, size: int, network: nn.Module, states_of: Callable[[Tensor], States]) -> dict[str, Trained]:
    """Three maxima, three mean-field Gaussians that begin there, and three chains that do not."""
    starts = [torch.randn(1, size, generator=private_generator("spheres", i)) for i in range(TRAININGS)]
    maxima = [climbed(target, 0.3 * start) for start in starts]
    fitted = []
    for i, start in enumerate(maxima):
        generator = private_generator("spheres", "mean-field", i)
        mean, sigma = mean_field(target, start, generator)
        fitted.append(mean + sigma * torch.randn(DRAWS, size, generator=generator))
    settings = Settings(trajectory=math.pi / 2 * PRIOR, burn_in=40, draws=DRAWS, step_size=0.02)
    chains = sample(target, PRIOR * torch.cat(starts), settings)
    x, y = spheres("test", 200)
    log_p = torch.stack([_of_label(network, states_of(chain), x, y) for chain in chains.positions])
    found = convergence(log_p)
    said = {
        "acceptance": round(float(chains.acceptance[settings.burn_in :].mean()), 3),
        **{name: found[name] for name in ("split_rhat_median", "split_rhat_max", "ess_median")},
    }
    return {"map": Trained(maxima, {}), "mean-field": Trained(fitted, {}), "hmc": Trained([*chains.positions], said)}


def _of_label(network: nn.Module, states: States, x: Tensor, y: Tensor) -> Tensor:
    """(S, N) log-probability of the label of each member."""
    logits = vmap(lambda state: functional_call(network, state, (x,)))(states)
    log_p: Tensor = logits.log_softmax(-1).gather(-1, y.expand(len(logits), -1)[..., None])[..., 0]
    return log_p.detach()


def outcomes(judge: Network, attacked: Network, x: Tensor, y: Tensor, where: str) -> dict[str, str]:
    """By eps, on the sphere or in the ball, which points survive, as 0 and 1; what is wrong as it is does not."""
    right = answered(judge(x).detach(), y) == y
    found = {"0": right}
    for eps in EPS[where]:
        worst = attack(attacked, x, y, eps, on_sphere=where == "sphere")
        found[f"{eps:g}"] = right & (answered(judge(worst).detach(), y) == y)
    return {eps: "".join("01"[one] for one in survive.tolist()) for eps, survive in found.items()}


@mistakes_in_one_line()
def run(
    out: Annotated[Path, typer.Option(help="Folder for the numbers.")] = Path("examples-out"),
    count: Annotated[int, typer.Option(help="Test points.", min=2)] = 100,
) -> None:
    """Train, sample, attack, print and write what was found."""
    network, (x, y), (test, labels) = Perceptron().eval(), spheres("train", POINTS), spheres("test", count)
    posterior = LogPosterior(network, x, y, PRIOR)
    kinds: dict[str, object] = {}
    for name, kind in trained(posterior, posterior.size, network, posterior.named).items():
        each: dict[str, dict[str, list[str]]] = {}
        for positions in kind.positions:
            half = len(positions) // 2
            every, first, last = (
                averaged(network, posterior.named(part)) for part in (positions, positions[:half], positions[half:])
            )
            for where in EPS:
                views = {"own": (every, every), **({"limit": (last, first)} if half else {})}
                for view, (judge, attacked) in views.items():
                    for eps, survive in outcomes(judge, attacked, test, labels, where).items():
                        each.setdefault(f"{where} {view}", {}).setdefault(eps, []).append(survive)
        kinds[name] = {**kind.said, "survive": each}
        typer.echo(f"{name} {json.dumps(kind.said)}")
        for what, by_eps in each.items():
            shares = {eps: sum(one.count("1") for one in of) / (count * len(of)) for eps, of in by_eps.items()}
            typer.echo(f"  {what}: {', '.join(f'{eps}: {share:.2f}' for eps, share in shares.items())}")
    numbers = {"dimensions": DIMENSIONS, "width": WIDTH, "points": POINTS, "prior": PRIOR, "kinds": kinds}
    out.mkdir(parents=True, exist_ok=True)
    (out / "spheres.json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(run)
