"""The numbers of the protocol, in one place. A change of any of them needs a new `PROTOCOL_VERSION`.

The version is part of every cell's key, so results of different protocols never mix. Pure: no torch.
"""

from __future__ import annotations

import functools
import hashlib
from typing import get_args

from benchmark.attacks.methods import METHOD_OF, NORMS, Norm
from benchmark.attacks.spec import AttackSpec, ThreatModel
from zoo.datasets import DATASETS, dataset_spec
from zoo.targets import Gradient

PROTOCOL_VERSION = "1"

LIBRARIES = ("torchattacks", "foolbox", "art")

STEPS = {"fgsm": 1, "bim": 10, "pgd-linf": 20, "pgd-l2": 20}
ATTACKS = tuple(STEPS)
STEP_RATIO = 2.5  # step_size = 2.5 eps / steps for the iterative attacks

ATTACK_DRAWS, JUDGE_DRAWS = 8, 64
SHARD = 100  # examples in a cell

BUDGET_TOLERANCE = 1e-6  # in the threat model's norm
PIXEL_TOLERANCE = 1e-6
IDENTICAL_PIXELS = 0.999
SAME_VERDICTS = 0.98
SIGNIFICANCE = 0.01
CONFIDENCE = 0.95
ECE_BINS = 15


def eps_grid(dataset: str) -> dict[Norm, tuple[float, ...]]:
    """The eps per norm of the white-box suite, the data set's own; the smoke suite uses the first of each norm.

    Raises KeyError, with suggestions, for a data set that does not exist.
    """
    eps = dataset_spec(dataset).eps
    return {norm: eps[norm] for norm in get_args(Norm)}


def is_on_grid(dataset: str, threat: ThreatModel) -> bool:
    """Whether tables show a threat model: an eps of the data set's. Of one that is not known here they show each.

    Records are read where a user's data are not.
    """
    return dataset not in DATASETS or threat.eps in eps_grid(dataset)[threat.norm]


def standard_attack(name: str, eps: float, gradient: Gradient = Gradient()) -> AttackSpec:
    """The protocol's attack of that name. Raises ValueError for an unknown name or a bad eps."""
    if name not in STEPS:
        raise ValueError(f"no attack {name!r}; there are: {', '.join(STEPS)}")
    threat = ThreatModel(NORMS[name], eps)
    steps = STEPS[name]
    step_size = eps if METHOD_OF[name].single_step else STEP_RATIO * eps / steps
    # At eps = 0 any positive step will do: the projection onto a ball of radius 0 takes it back.
    return AttackSpec(
        name,
        threat,
        step_size or 0.01,
        steps,
        random_start=METHOD_OF[name].random_start,
        gradient=gradient,
    )


def attacks_in(norm: str) -> tuple[str, ...]:
    """The protocol's attacks in a norm: what a leaderboard row must have."""
    return tuple(name for name in ATTACKS if NORMS[name] == norm)


def required_agreement(spec: AttackSpec) -> str:
    """The level that the libraries must reach: starts are given, so only the l2 projection may differ."""
    return "same-verdict" if spec.threat.norm == "l2" else "identical"


@functools.lru_cache(maxsize=8)
def example_order(count: int) -> tuple[int, ...]:
    """The order in which a test split's `count` examples are used: a fixed pseudo-random permutation.

    The first n are a random sample of the split, so intervals over them mean something (MNIST's first half is
    easier than its second), and they are part of the first m > n, so a larger run reuses a smaller one.
    """
    return tuple(sorted(range(count), key=lambda index: hashlib.sha256(f"example {index}".encode()).digest()))
