"""The numbers of the protocol, in one place. A change of any of them needs a new `PROTOCOL_VERSION`.

The version is part of every cell's key, so results of different protocols never mix. Pure: no torch.
"""

from __future__ import annotations

import functools
import hashlib
import math
from typing import get_args

from benchmark.attacks.methods import BOUND, METHOD_OF, NORMS, Norm, Setting, method_of, norm_of
from benchmark.attacks.spec import AttackSpec, ThreatModel, format_eps
from zoo.datasets import DATASETS, dataset_spec
from zoo.targets import Gradient

PROTOCOL_VERSION = "1"

LIBRARIES = ("torchattacks", "foolbox", "art")
REFEREE = "pyautoattack"  # AutoAttack's official code, run by suite thorough where it is installed

STEPS = {"fgsm": 1, "bim": 10, "pgd-linf": 20, "pgd-l2": 20}
ATTACKS = tuple(STEPS)
# Of the methods beyond the protocol's: AutoAttack's for APGD and FAB, queries for Square, HopSkipJump and noise.
# MI-FGSM is run with draws of each step's own, which momentum averages over.
FURTHER_STEPS = {
    "mifgsm": 40,
    **dict.fromkeys(("apgd-ce", "apgd-dlr", "apgd-t", "pma", "fab-t", "ddn", "fmn"), 100),
    "brendel-bethge": 200,  # from each of two starts
    "square": 1000,
    "hopskipjump": 5000,
    "noise": 100,
}
AUTOATTACK = {"apgd-ce": 100, "apgd-t": 100, "fab-t": 100, "square": 5000}  # its parts, in order, with their budgets
# Of an attack that looks for the nearest adversarial image: a ball that holds every image, as no eps bounds it.
EVERYWHERE: dict[Norm, float] = {"linf": 1.0, "l2": 1000.0}
STEP_RATIO = 2.5  # step_size = 2.5 eps / steps for the iterative attacks
# the first step of those that choose the next themselves, over eps; else 1
REACH = dict.fromkeys(("apgd-ce", "apgd-dlr", "apgd-t", "pma"), 2.0)
DECAY = 0.9  # of momentum

_PARTS: dict[Norm, tuple[int, ...]] = {"linf": (20, 10, 5, 2), "l2": (100, 50, 20, 10, 5, 2)}  # of eps, for bounds

ATTACK_DRAWS, JUDGE_DRAWS = 8, 64
SHARD = 100  # examples in a cell

SURROGATE_RECIPE = "1"  # of `benchmark.evaluation.surrogate`: part of the keys of the cells that it is the source of

BOUNDS_VERSION = "2"  # of `zoo.bounds`: part of the keys of what it certifies, which is more or less by its rules

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


def certified_grid(dataset: str) -> dict[Norm, tuple[float, ...]]:
    """The eps per norm of the suite of bounds: parts of the data set's smallest, where bounds still say something, and
    its own. In linf quarters of a level where its eps are levels of 1/255.
    """
    found: dict[Norm, tuple[float, ...]] = {}
    for norm, radii in eps_grid(dataset).items():
        levels = norm == "linf" and format_eps(radii[0]).endswith("/255")
        parts = (8, 4, 2) if levels else _PARTS[norm]
        found[norm] = (*(float(f"{radii[0] / part:.12g}") if not levels else radii[0] / part for part in parts), *radii)
    return found


def is_on_grid(dataset: str, threat: ThreatModel) -> bool:
    """Whether tables show a threat model: an eps of the data set's. Of one that is not known here they show each.

    Records are read where a user's data are not.
    """
    return dataset not in DATASETS or threat.eps in eps_grid(dataset)[threat.norm]


def standard_attack(name: str, eps: float, gradient: Gradient = Gradient()) -> AttackSpec:
    """The protocol's attack of that name. Raises ValueError for an unknown name or a bad eps."""
    if name not in STEPS:
        raise ValueError(f"no attack {name!r}; there are: {', '.join(STEPS)}")
    return usual_attack(name, eps, gradient)


@functools.cache  # plans ask for the same few attacks thousands of times
def usual_attack(
    name: str,
    eps: float,
    gradient: Gradient = Gradient(),
    *,
    steps: int | None = None,
    step_size: float | None = None,
    restarts: int = 1,
) -> AttackSpec:
    """The attack of that name, of the protocol or beyond it, with its usual settings but for those that are given.

    step_size: in the attack's norm; usual for so many steps by default. Raises ValueError as `AttackSpec` does.
    """
    method, steps = method_of(name), usual_steps(name) if steps is None else steps
    return AttackSpec(
        name,
        ThreatModel(norm_of(name), eps),
        usual_step_size(name, eps, steps) if step_size is None else step_size,
        steps,
        random_start=method.random_start,
        restarts=restarts,
        gradient=gradient,
        decay=DECAY if method.momentum else 0.0,
    )


def usual_steps(name: str) -> int:
    """The steps of an attack, or its queries."""
    return STEPS[name] if name in STEPS else FURTHER_STEPS[METHOD_OF[name].name]


def usual_step_size(name: str, eps: float, steps: int) -> float:
    """The length of each of so many steps of an attack."""
    method = METHOD_OF[name]
    walks = Setting.STEP_SIZE in method.settings and steps > 0
    size = STEP_RATIO * eps / steps if walks else REACH.get(method.name, 1.0) * eps
    return size or 0.01  # at eps = 0 any positive step will do: the projection onto a ball of radius 0 takes it back


def label_of(spec: AttackSpec) -> str:
    """The attack's name and what is not usual about it: `pgd-linf, 100 steps, 5 starts`."""
    if spec.is_own or spec.method is BOUND:
        return spec.label
    eps, parts = spec.threat.eps, [spec.name]
    if spec.steps != usual_steps(spec.name):
        parts.append(f"{spec.steps} {'steps' if spec.method.gradients else 'queries'}")
    if not math.isclose(spec.step_size, usual_step_size(spec.name, eps, spec.steps)):
        parts.append(f"step size {format_eps(spec.step_size)}")
    if spec.gradient.precision != "float32":
        parts.append(spec.gradient.precision)
    return ", ".join([*parts, *spec.distinctions])


def attacks_in(norm: str) -> tuple[str, ...]:
    """The protocol's attacks in a norm: what a leaderboard row must have."""
    return tuple(name for name in ATTACKS if NORMS[name] == norm)


def required_agreement(spec: AttackSpec) -> str:
    """The level that the libraries must reach: starts are given, so only the l2 projection may differ."""
    return "same-verdict" if spec.threat.norm == "l2" else "identical"


def surrogate_fingerprint(model: str) -> str:
    """What identifies a surrogate as a source: how it is made, and of what. model: the attacked network's fingerprint.

    Its weights are not in it: they depend on rounding, so on machine and threads.
    """
    return hashlib.sha256(f"surrogate {SURROGATE_RECIPE} {model}".encode()).hexdigest()


@functools.lru_cache(maxsize=8)
def example_order(count: int) -> tuple[int, ...]:
    """The order in which a test split's `count` examples are used: a fixed pseudo-random permutation.

    The first n are a random sample of the split, so intervals over them mean something (MNIST's first half is
    easier than its second), and they are part of the first m > n, so a larger run reuses a smaller one.
    """
    return tuple(sorted(range(count), key=lambda index: hashlib.sha256(f"example {index}".encode()).digest()))
