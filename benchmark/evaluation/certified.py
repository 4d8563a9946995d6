"""Bounds of what an attack can do to an entry's own judge, recorded."""

from __future__ import annotations

import math

from torch import Tensor

from benchmark.evaluation.machine import Machine
from benchmark.plan.cells import Cell
from benchmark.plan.purposes import draws_seed
from benchmark.records.parts import Certificate
from zoo import ZooEntry
from zoo.bounds import certified
from zoo.prediction.target_networks import networks_of
from zoo.targets import Networks

DIGITS = 6  # of a lead: what is left of one that rounding might have made is no certificate


def certificate_of(entry: ZooEntry, cell: Cell, x: Tensor, y: Tensor, machine: Machine) -> Certificate:
    """Bounds of the images of a cell, x (B, C, H, W) with labels y (B,), under its threat model.

    They are of the draws that judge, averaged, or of all members of a finite posterior. Raises ValueError for a network
    with a layer that has no rule.
    """
    network, posterior = entry.load()
    seed = draws_seed(entry.name, "judge", cell.seed)
    drawn = networks_of(Networks.DRAWS, network.to(machine.device), posterior, cell.judge_draws, seed)
    threat = cell.attack.threat
    leads = certified(drawn.networks, x, y, threat.eps, threat.norm, weights=drawn.weights)
    return Certificate([math.floor(lead * 10**DIGITS) / 10**DIGITS for lead in leads.tolist()])
