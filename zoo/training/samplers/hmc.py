"""Full-batch Hamiltonian Monte Carlo over flat vectors of parameters: several chains in step, resumable.

Neal 2011, "MCMC using Hamiltonian dynamics" (Handbook of Markov Chain Monte Carlo, chapter 5): momenta from N(0, I), a
leapfrog trajectory of fixed length, acceptance by its energy error. Izmailov et al. 2021, "What Are Bayesian Neural
Network Posteriors Really Like?", take pi/2 times the prior's standard deviation as the length, a quarter of the period
of what the data say nothing about: each iteration draws such a direction anew.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from zoo.catalogue.samplers import Hmc
from zoo.seeding import private_generator
from zoo.training.samplers.checkpoint import read, write
from zoo.training.samplers.job import Draws, Job, Row, rounded

# Positions (C, D) of C chains -> log density (C,), in float64 and up to a constant, and its gradient (C, D).
Target = Callable[[Tensor], tuple[Tensor, Tensor]]

SAVE_EVERY = 10  # iterations between checkpoints
MOST_LEAPFROGS = 2000  # of a trajectory: a step size that asks for more has collapsed
_SLOWING = 0.6  # the gain of iteration t is t^-0.6: its sum is infinite, that of its squares is not


@dataclass(frozen=True)
class Settings:
    """How it is sampled.

    trajectory: its length, step size times leapfrogs.
    draws: samples of each chain, one from each `every` iterations after burn-in.
    step_size: where its tuning begins; it is tuned in the `burn_in` iterations and then fixed.
    acceptance: mean probability of acceptance that it is tuned to.    seed: of momenta and acceptance.
    Raises ValueError for numbers that are not positive and finite, and an acceptance that is no probability.
    """

    trajectory: float
    burn_in: int
    draws: int
    step_size: float
    acceptance: float = 0.8
    seed: int = 0
    every: int = 1

    def __post_init__(self) -> None:
        for name in ("trajectory", "burn_in", "draws", "step_size", "every"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} of HMC must be positive and finite, not {getattr(self, name)}")
        if not 0 < self.acceptance < 1:
            raise ValueError(f"acceptance of HMC is a probability between 0 and 1, not {self.acceptance}")

    @property
    def iterations(self) -> int:
        """Of each chain, burn-in included."""
        return self.burn_in + self.draws * self.every


@dataclass
class Samples:
    """What C chains have given in the iterations that are `done`, of T with those of burn-in, which come first.

    positions: (C, N, D) after burn-in.    current: (C, D), where the chains are.
    acceptance, log_density: (T, C), the probability of acceptance, and the density of where the chain then was.
    step_sizes: (T,).    seconds: spent by all the processes that had a part in it.
    """

    positions: Tensor
    current: Tensor
    acceptance: Tensor
    log_density: Tensor
    step_sizes: Tensor
    done: int = 0
    seconds: float = 0.0


def sample(
    target: Target,
    starts: Tensor,
    settings: Settings,
    checkpoint: Path | None = None,
    tell: Callable[[Samples], None] = lambda samples: None,
    of: str = "",
) -> Samples:
    """Sample from C chains that begin at `starts` (C, D), in their precision.

    checkpoint: safetensors from which a sampling that was killed, or was to have fewer draws, goes on to the same
        samples: every random number is derived from (seed, chain, iteration). Written every `SAVE_EVERY` iterations and
        at the end.
    tell: called after each iteration with what there is so far.    of: a word for what the target is of.
    Raises ValueError for starts, or a density there, that are not finite, for a chain that accepts nothing after
    burn-in, for a step size that falls to nothing, and for a checkpoint that is damaged, of another sampling or further
    than these draws.
    """
    if starts.ndim != 2 or not starts.numel() or not starts.isfinite().all():
        raise ValueError(f"starts of HMC are finite, a vector a chain (C, D); these {tuple(starts.shape)} are not")
    however_long = replace(settings, draws=1)
    identity = hashlib.sha256(f"{however_long} {of} {starts.dtype}".encode() + starts.numpy().tobytes()).hexdigest()
    samples = _empty(starts, settings)
    if checkpoint is not None and checkpoint.is_file():
        _load(checkpoint, identity, samples)
    log_density, gradient = target(samples.current)
    if not (log_density.isfinite().all() and gradient.isfinite().all()):
        raise ValueError(f"log density {log_density.tolist()} at HMC's starts: it and its gradient must be finite")
    while samples.done < settings.iterations:
        begun, now = time.perf_counter(), samples.done
        step_size = step_size_of(samples, settings)
        generators = [private_generator("hmc", settings.seed, chain, now) for chain in range(len(starts))]
        momentum = torch.stack([torch.randn(starts.shape[1], generator=g, dtype=starts.dtype) for g in generators])
        uniform = torch.cat([torch.rand(1, generator=g, dtype=torch.float64) for g in generators])
        steps = leapfrogs(settings.trajectory, step_size)
        proposal, end, proposed, at_proposal = leapfrog(target, samples.current, momentum, gradient, step_size, steps)
        gain = proposed - kinetic(end) - (log_density - kinetic(momentum))
        # a trajectory that ends where the density is not finite is rejected
        acceptance = torch.where(gain.isfinite(), gain.clamp(max=0).exp(), 0.0)
        accepted = uniform < acceptance
        samples.current = torch.where(accepted[:, None], proposal, samples.current)
        gradient = torch.where(accepted[:, None], at_proposal, gradient)
        log_density = torch.where(accepted, proposed, log_density)
        samples.acceptance[now], samples.log_density[now], samples.step_sizes[now] = acceptance, log_density, step_size
        row, rest = divmod(now - settings.burn_in + 1, settings.every)
        if row > 0 and rest == 0:
            samples.positions[:, row - 1] = samples.current
        samples.done += 1
        samples.seconds += time.perf_counter() - begun
        if checkpoint is not None and (samples.done % SAVE_EVERY == 0 or samples.done == settings.iterations):
            _save(checkpoint, identity, samples)
        tell(samples)
    stuck = (samples.acceptance[settings.burn_in :].sum(0) < 1).nonzero().flatten().tolist()
    if stuck:
        raise ValueError(f"HMC's chains {stuck} (from 0) accepted next to nothing after burn-in: lengthen burn_in")
    return samples


def leapfrog(
    target: Target, position: Tensor, momentum: Tensor, gradient: Tensor, step_size: float, steps: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`steps` leapfrogs from position, momentum and gradient (C, D): position, momentum, log density, gradient.

    Neal 2011, section 2.3: reversible, volume-preserving, with an energy error of second order.
    """
    log_density = position.new_empty(0)
    momentum = momentum + step_size / 2 * gradient
    for step in range(1, steps + 1):
        position = position + step_size * momentum
        log_density, gradient = target(position)
        momentum = momentum + (step_size if step < steps else step_size / 2) * gradient
    return position, momentum, log_density, gradient


def leapfrogs(trajectory: float, step_size: float) -> int:
    """How many steps a trajectory has. Raises ValueError for more than `MOST_LEAPFROGS`."""
    if not trajectory / step_size <= MOST_LEAPFROGS:
        raise ValueError(
            f"HMC's step size has fallen to {step_size:.1e}, over {MOST_LEAPFROGS} leapfrogs for a trajectory of "
            f"{trajectory:.3g}: is the density finite and smooth where its chains begin?"
        )
    return max(1, round(trajectory / step_size))


def kinetic(momentum: Tensor) -> Tensor:
    """(C, D) -> (C,) kinetic energies in float64: in float32 a sum of many terms loses what acceptance depends on."""
    return momentum.double().square().sum(-1) / 2


def step_size_of(samples: Samples, settings: Settings) -> float:
    """The step size of the next iteration: a function of what was accepted so far.

    In burn-in by Robbins and Monro, log step += t^-0.6 (mean acceptance - wanted) (Andrieu and Thoms 2008, "A tutorial
    on adaptive MCMC"); afterwards the geometric mean of the second half of burn-in.
    """
    now = samples.done
    if now == 0:
        return settings.step_size
    if now > settings.burn_in:
        return float(samples.step_sizes[settings.burn_in])
    log_steps = samples.step_sizes[:now].log()
    if now == settings.burn_in:
        return float(log_steps[now // 2 :].mean().exp())
    miss = samples.acceptance[now - 1].mean() - settings.acceptance
    return float((log_steps[-1] + now**-_SLOWING * miss).exp())


def _empty(starts: Tensor, settings: Settings) -> Samples:
    chains, dimensions = starts.shape
    each = torch.zeros(settings.iterations, chains, dtype=torch.float64)
    positions = starts.new_zeros(chains, settings.draws, dimensions)
    return Samples(positions, starts.clone(), each, each.clone(), torch.zeros(len(each), dtype=torch.float64))


def run(job: Job) -> Draws:
    """Sample a job's target from draws of its prior."""
    recipe, settings, target = job.recipe, job.recipe.sampler, job.target
    if not isinstance(settings, Hmc):
        raise ValueError(f"the recipe's sampler is {settings}, not Hmc")
    own = Settings(
        trajectory=math.pi / 2 * target.prior,
        burn_in=settings.burn_in,
        draws=(recipe.epochs - settings.burn_in) // settings.every,
        step_size=recipe.max_lr,
        acceptance=settings.acceptance,
        seed=recipe.seed,
        every=settings.every,
    )
    starts = job.from_prior("hmc start", settings.chains)
    with tqdm(total=recipe.epochs, desc=settings.title, unit="iteration") as bar:

        def tell(so_far: Samples) -> None:
            row = _row(so_far, so_far.done - 1)
            bar.update(so_far.done - bar.n)
            bar.set_postfix(acceptance=f"{row['acceptance']:.2f}", step=f"{row['step size']:.4f}")

        samples = sample(target, starts, own, job.checkpoint, tell, job.identity)
    after, step_size = samples.acceptance[settings.burn_in :], float(samples.step_sizes[-1])
    figures = {
        "burn_in": settings.burn_in,
        "iterations_per_sample": settings.every,
        "acceptance": round(float(after.mean()), 4),
        "acceptance_by_chain": [round(value, 4) for value in after.mean(0).tolist()],
        "step_size": float(f"{step_size:.5g}"),
        "leapfrogs": leapfrogs(own.trajectory, step_size),
    }
    passes = settings.chains * sum(leapfrogs(own.trajectory, float(size)) for size in samples.step_sizes)
    history = [_row(samples, iteration) for iteration in range(samples.done)]
    return Draws(samples.positions, history, float(passes), samples.seconds, figures)


def _row(samples: Samples, iteration: int) -> Row:
    return rounded(
        epoch=iteration + 1.0,
        acceptance=float(samples.acceptance[iteration].mean()),
        log_density=float(samples.log_density[iteration].mean()),
        step_size=float(samples.step_sizes[iteration]),
    )


_SAVED = ("positions", "current", "acceptance", "log_density", "step_sizes")


def _save(path: Path, identity: str, samples: Samples) -> None:
    tensors = {name: getattr(samples, name) for name in _SAVED}
    write(path, identity, tensors, done=samples.done, seconds=samples.seconds)


def _load(path: Path, identity: str, samples: Samples) -> None:
    tensors, words = read(path, identity, "done", "seconds")
    if (done := int(words["done"])) > (most := len(samples.step_sizes)):
        raise ValueError(f"{path} has {done} iterations, more than {most}; ask for as many or delete it")
    samples.current = tensors["current"]
    draws = tensors["positions"].shape[1]
    samples.positions[:, :draws] = tensors["positions"][:, : samples.positions.shape[1]]
    for name in ("acceptance", "log_density", "step_sizes"):
        getattr(samples, name)[: len(tensors[name])] = tensors[name][:most]
    samples.done, samples.seconds = done, float(words["seconds"])
