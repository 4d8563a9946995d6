"""An entry whose weights are sampled: the posterior of an architecture given images, by Hamiltonian Monte Carlo."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from tqdm import tqdm

from zoo.catalogue.recipes import Recipe
from zoo.combine import answered, expected
from zoo.datasets import Split
from zoo.files import write_whole
from zoo.networks import build_network
from zoo.posteriors import SampledNetwork
from zoo.seeding import private_generator
from zoo.training.diagnostics import bulk_ess, split_rhat
from zoo.training.hmc import Samples, Settings, leapfrogs, sample
from zoo.training.subset import divided
from zoo.uncertainty import entropies

CONVERGED = 1.01  # split R-hat below which Vehtari et al. 2021 take chains for converged
MODERATE = 1.05


class LogPosterior:
    """log p(labels | images, w) + log p(w), up to a constant, of the weights of a network: see `hmc.Target`.

    network: images -> logits. images: (N, C, H, W) in [0, 1]. labels: (N,). prior: standard deviation of N(0, prior^2)
    on every weight and bias.
    """

    def __init__(self, network: nn.Module, images: Tensor, labels: Tensor, prior: float) -> None:
        self.network, self.images, self.labels, self.prior = network, images, labels, prior
        self.shapes = {name: parameter.shape for name, parameter in network.named_parameters()}

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """(C, D) -> (C,) float64, (C, D)."""
        log_density, gradients = [], []
        for position in positions:
            leaf = position.detach().requires_grad_()
            with torch.enable_grad():
                logits = functional_call(self.network, self.named(leaf), (self.images,))
                loss = F.cross_entropy(logits, self.labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, leaf)
            # in float64: the prior's sum over all weights is large, and what matters is how little it changes
            log_prior = -position.double().square().sum() / (2 * self.prior**2)
            log_density.append(log_prior - loss.detach().double())
            gradients.append(-gradient - position / self.prior**2)
        return torch.stack(log_density), torch.stack(gradients)

    def named(self, positions: Tensor) -> dict[str, Tensor]:
        """(..., D) -> parameters (..., *shape) by their names."""
        parts = positions.split([shape.numel() for shape in self.shapes.values()], -1)
        named = zip(self.shapes.items(), parts, strict=True)
        return {name: part.unflatten(-1, shape) for (name, shape), part in named}


class Sampling:
    """One sampling, resumable from `checkpoint`; in use as `zoo.training.loop.Training` is.

    All samples of all chains are afterwards at `samples_path`: safetensors (chains x samples, ...) by the parameters'
    names, chain after chain, in the precision they were sampled in.
    """

    def __init__(self, name: str, recipe: Recipe, split: Split, checkpoint: Path) -> None:
        if recipe.hmc is None or recipe.prior is None:
            raise ValueError(f"{name} is trained, not sampled: its recipe has no hmc")
        self.recipe, self.hmc, self.checkpoint = recipe, recipe.hmc, checkpoint
        data = divided(split, recipe.images)
        self.held_out = data.held_out
        self.architecture = build_network(recipe.architecture, split.dataset).eval()
        self.target = LogPosterior(self.architecture, data.images.float() / 255, data.labels, recipe.prior)
        self.samples: Samples | None = None

    @property
    def samples_path(self) -> Path:
        """Where all samples are kept."""
        return self.checkpoint.with_name(f"{self.checkpoint.stem}-samples.safetensors")

    def run(self) -> tuple[SampledNetwork, list[dict[str, float]]]:
        """Sample what is left; the network of the kept samples, and a row of figures an iteration."""
        recipe, hmc, target = self.recipe, self.hmc, self.target
        settings = Settings(
            trajectory=math.pi / 2 * target.prior,
            burn_in=hmc.burn_in,
            draws=(recipe.epochs - hmc.burn_in) // hmc.every,
            step_size=recipe.max_lr,
            acceptance=hmc.acceptance,
            seed=recipe.seed,
            every=hmc.every,
        )
        size = sum(shape.numel() for shape in target.shapes.values())
        starts = torch.stack(
            [torch.randn(size, generator=private_generator("hmc start", recipe.seed, i)) for i in range(hmc.chains)]
        )
        with tqdm(total=recipe.epochs, desc="HMC", unit="iteration") as bar:

            def tell(so_far: Samples) -> None:
                row = _row(so_far, so_far.done - 1)
                bar.update(so_far.done - bar.n)
                bar.set_postfix(acceptance=f"{row['acceptance']:.2f}", step=f"{row['step size']:.4f}")

            samples = sample(target, target.prior * starts, settings, self.checkpoint, tell)
        self.samples = samples
        stacks = {name: value.flatten(0, 1).contiguous() for name, value in target.named(samples.positions).items()}
        write_whole(self.samples_path, save(stacks, {"chains": str(hmc.chains)}))
        kept = thinned(samples.positions, hmc.keep // hmc.chains)
        network = SampledNetwork.of(self.architecture, target.named(kept))
        return network, [_row(samples, iteration) for iteration in range(samples.done)]

    @torch.no_grad()
    def figures(self, test: Split) -> dict[str, Any]:
        """How the chains went and whether they agree on the test images: for the model card.

        As many quantities of independent draws are measured beside them: some of those have a large R-hat, too.
        """
        samples, hmc = self.samples, self.hmc
        if samples is None:
            raise ValueError("nothing has been sampled yet")
        step_size, after = float(samples.step_sizes[-1]), samples.acceptance[hmc.burn_in :]
        images, labels = test.pixels(), torch.from_numpy(test.labels.copy())
        networks = (self.target.named(position) for position in samples.positions.flatten(0, 1))
        log_p = torch.stack([functional_call(self.architecture, one, (images,)).log_softmax(-1) for one in networks])
        of_label = log_p.gather(-1, labels.expand(len(log_p), -1)[:, :, None])[:, :, 0].unflatten(0, (hmc.chains, -1))
        predicted = answered(expected(log_p), labels)
        found = convergence(of_label)
        independent = convergence(torch.randn(of_label.shape, generator=private_generator("independent")))
        return {
            "chains": hmc.chains,
            "burn_in": hmc.burn_in,
            "iterations_per_sample": hmc.every,
            "samples": len(log_p),
            "kept": hmc.keep,
            "acceptance": round(float(after.mean()), 4),
            "acceptance_by_chain": [round(value, 4) for value in after.mean(0).tolist()],
            "step_size": float(f"{step_size:.5g}"),
            "leapfrogs": leapfrogs(math.pi / 2 * self.target.prior, step_size),
            "test_log_probabilities": found,
            "independent_draws": independent,
            "converged": found["split_rhat_max"] < CONVERGED,
            "conclusion": conclusion(found, independent),
            "accuracy_of_all_samples": float((predicted == labels).double().mean()),
            "mutual_information_nats_of_all_samples": round(float(entropies(log_p).mutual_information.mean()), 6),
            "seconds": round(samples.seconds, 1),
        }


def convergence(values: Tensor) -> dict[str, Any]:
    """Split R-hat and bulk ESS of many quantities, values (C, N, quantities)."""
    rhat, ess = split_rhat(values.double().numpy()), bulk_ess(values.double().numpy())
    return {
        "quantities": len(rhat),
        "split_rhat_max": round(float(rhat.max()), 4),
        "split_rhat_median": round(float(np.median(rhat)), 4),
        f"share_of_split_rhat_from_{CONVERGED}": round(float((rhat >= CONVERGED).mean()), 4),
        f"share_of_split_rhat_from_{MODERATE}": round(float((rhat >= MODERATE).mean()), 4),
        "ess_min": round(float(ess.min()), 1),
        "ess_median": round(float(np.median(ess)), 1),
    }


def conclusion(found: dict[str, Any], independent: dict[str, Any]) -> str:
    """Whether chains have converged, in a sentence. Both of `convergence`; independent: of as many such draws."""
    if found["split_rhat_max"] < CONVERGED:
        return f"converged: split R-hat is below {CONVERGED} for all {found['quantities']} test log-probabilities"
    shares = (figures[f"share_of_split_rhat_from_{CONVERGED}"] for figures in (found, independent))
    chains, chance = (f"{100 * share:.1f} %" for share in shares)
    return (
        f"not converged by split R-hat < {CONVERGED} everywhere: {chains} of the test log-probabilities have more, and "
        f"{chance} of as many independent draws, which are {independent['split_rhat_max']:.3f} at most"
    )


def thinned(positions: Tensor, count: int) -> Tensor:
    """(C, N, D) -> (C count, D): of each chain `count`, evenly spaced and the last among them, chain after chain."""
    draws = positions.shape[1]
    return positions[:, [(i + 1) * draws // count - 1 for i in range(count)]].flatten(0, 1)


def _row(samples: Samples, iteration: int) -> dict[str, float]:
    row = {
        "epoch": iteration + 1.0,
        "acceptance": float(samples.acceptance[iteration].mean()),
        "log density": float(samples.log_density[iteration].mean()),
        "step size": float(samples.step_sizes[iteration]),
    }
    return {key: float(f"{value:.6g}") for key, value in row.items()}
