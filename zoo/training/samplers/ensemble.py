"""Deep ensembles: networks trained one by one, each from an initialisation and in an order of its own.

Lakshminarayanan, Pritzel and Blundell 2017, "Simple and Scalable Predictive Uncertainty Estimation using Deep
Ensembles"; without adversarial training unless the recipe has it.
"""

from __future__ import annotations

import time

import torch

from zoo.seeding import derive_seed
from zoo.training.samplers.job import Draws, Job, rounded


def member_seed(seed: int, member: int) -> int:
    """The seed of the recipe by which a member is trained, alone or in the ensemble."""
    return derive_seed("ensemble member", seed, member)


def run(job: Job) -> Draws:
    """Train all members; each has a checkpoint of its own, beside the job's, and those that are done stay done."""
    recipe, sampler, begun = job.recipe, job.recipe.sampler, time.perf_counter()
    size = 1 if sampler is None else sampler.size
    members = []
    for member in range(size):
        path = job.beside(f"member-{member}")
        members.append(job.target.flat(job.train(member_seed(recipe.seed, member), path, lambda network: None)))
    positions = torch.stack(members)[None]
    energies = -job.target.log_density(positions[0]) / len(job.target.labels)
    history = [
        rounded(epoch=float(recipe.epochs), member=member + 1.0, loss=float(energy))
        for member, energy in enumerate(energies)
    ]
    return Draws(positions, history, float(recipe.epochs * size), time.perf_counter() - begun)
