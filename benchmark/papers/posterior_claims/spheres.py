"""What `examples.spheres` wrote: which points of concentric spheres survive attacks along the sphere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.attacks.spec import ThreatModel

FILE = "spheres.json"  # in the folder of studies
BASE, SAMPLED, FITTED = "map", "hmc", "mean-field"  # kinds of networks there

# (kind, whether the attacker has the judge's own draws, threat model) -> (T, N), which points of each training survive
Spheres = Mapping[tuple[str, bool, ThreatModel], NDArray[np.bool_]]


def read_spheres(studies: Path) -> Spheres:
    """Along the sphere, at every eps above 0; empty where nothing was measured. One network is its own draw."""
    path = studies / FILE
    if not path.is_file():
        return {}
    found = {}
    for kind, of_kind in json.loads(path.read_text())["kinds"].items():
        for own in (True, False):
            by_eps = of_kind["survive"].get(f"sphere {'own' if own or kind == BASE else 'limit'}", {})
            for eps, trainings in by_eps.items():
                if float(eps) > 0:
                    survive = np.array([[one == "1" for one in training] for training in trainings])
                    found[kind, own, ThreatModel("l2", float(eps))] = survive
    return found
