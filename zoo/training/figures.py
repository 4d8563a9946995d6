"""What there is to say of samples: whether chains agree, how good their average is, what they cost. For the card."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from zoo.combine import answered, expected
from zoo.datasets import Split
from zoo.seeding import private_generator
from zoo.training.diagnostics import bulk_ess, split_rhat
from zoo.training.log_posterior import LogPosterior
from zoo.training.samplers.job import Draws
from zoo.uncertainty import entropies

CONVERGED = 1.01  # split R-hat below which Vehtari et al. 2021 take chains for converged
MODERATE = 1.05
WORST = 1000.0  # split R-hat is said to be at most: chains that stand still have an infinite one, and JSON has none
LEAST = 4  # samples of a chain that convergence can be told from


@torch.no_grad()
def figures_of(draws: Draws, target: LogPosterior, test: Split) -> dict[str, Any]:
    """How sampling went, whether chains agree on the test images and on the energy, and what all samples predict.

    As many quantities of independent draws are measured beside them: some of those have a large R-hat, too.
    """
    chains, each = draws.positions.shape[:2]
    images, labels = test.pixels(), torch.from_numpy(test.labels.copy())
    networks = (target.named(position) for position in draws.positions.flatten(0, 1))
    log_p = torch.stack([functional_call(target.network, one, (images,)).log_softmax(-1) for one in networks])
    of_label = log_p.gather(-1, labels.expand(len(log_p), -1)[:, :, None])[:, :, 0]
    average = expected(log_p)
    width = float(draws.positions.double().square().mean()) / target.prior**2
    return {
        **draws.figures,
        "chains": chains,
        "samples": chains * each,
        "energy": energy(draws, target),
        # 1 for the prior: shows whether the many weights that the data say little about have its width
        "mean_square_of_weights_over_prior": round(width, 4),
        **(_agreement(of_label.unflatten(0, (chains, each))) if chains > 1 and each >= LEAST else {}),
        "accuracy_of_all_samples": float((answered(average, labels) == labels).double().mean()),
        "negative_log_likelihood_of_all_samples": round(float(-average.gather(-1, labels[:, None]).mean()), 6),
        "mutual_information_nats_of_all_samples": round(float(entropies(log_p).mutual_information.mean()), 6),
        "passes_through_all_images": round(draws.passes, 1),
        "seconds": round(draws.seconds, 1),
    }


def energy(draws: Draws, target: LogPosterior) -> dict[str, Any]:
    """Of U = -log p(D | w) - log p(w), up to a constant, at the samples: in nats, and chain by chain.

    Chains that sample one posterior have one distribution of it; optimisation and cold posteriors have less.
    """
    energies = -target.log_density(draws.positions)  # (C, N)
    found: dict[str, Any] = {
        "mean": round(float(energies.mean()), 2),
        "least": round(float(energies.min()), 2),
        "most": round(float(energies.max()), 2),
        "mean_by_chain": [round(value, 2) for value in energies.mean(1).tolist()],
        "standard_deviation_in_chains": round(float(energies.var(1, correction=0).mean().sqrt()), 2),
    }
    if len(energies) > 1 and energies.shape[1] >= LEAST:
        values = energies[:, :, None].numpy()
        found["split_rhat"] = round(min(float(split_rhat(values)[0]), WORST), 4)
        found["ess"] = round(float(bulk_ess(values)[0]), 1)
    return found


def _agreement(of_label: Tensor) -> dict[str, Any]:
    """Whether chains agree, of the test images' log-probabilities (C, N, images)."""
    found = convergence(of_label)
    independent = convergence(torch.randn(of_label.shape, generator=private_generator("independent")))
    return {
        "test_log_probabilities": found,
        "independent_draws": independent,
        "converged": found["split_rhat_max"] < CONVERGED,
        "conclusion": conclusion(found, independent),
    }


def convergence(values: Tensor) -> dict[str, Any]:
    """Split R-hat and bulk ESS of many quantities, values (C, N, quantities)."""
    rhat, ess = split_rhat(values.double().numpy()), bulk_ess(values.double().numpy())
    return {
        "quantities": len(rhat),
        "split_rhat_max": round(min(float(rhat.max()), WORST), 4),
        "split_rhat_median": round(min(float(np.median(rhat)), WORST), 4),
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
