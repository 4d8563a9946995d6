"""What an adaptive attack is, and the attacks that several are made of. Pure: no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from benchmark.attacks.methods import METHODS, Norm
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.cells import Reading
from benchmark.protocol import EVERYWHERE, standard_attack, usual_attack
from zoo.kind import Kind
from zoo.targets import Gradient

On = Literal["all", "surviving", "strong", "last"]
NORMS: tuple[Norm, ...] = get_args(Norm)


@dataclass(frozen=True)
class AdaptiveAttack:
    """An attack beyond the white-box attacks.

    help: what it is, for tables.    attack: the attack under a threat model, but for the source of a transfer.
    on: `all` images, those that are `surviving` the white-box attacks, or those that survive everything before it, as
        a `strong` attack, which costs most; `last` is on all images, after every other attack.
    draws: how many the attacker has, from the protocol's number, several for a ladder of them.
    kinds: the posteriors that it is for.    reading: what the attacker knows of the judge's draws.
    library: the one that runs it.    norms: those that it attacks in.
    gradient: what it follows: the network's own, an `other` network's, the network's own along its decision `boundary`,
        which is there where it is flat elsewhere, or `none`.
    images: how many of the first images it is run on; None for all that `on` says.
    on_suspicion: whether, of the strong ones, it waits until others have found too much; see `benchmark.plan.cascade`.
    always: whether images beyond the audit's meet it whatever it broke among these; see `benchmark.plan.decisive`.
    """

    name: str
    help: str
    attack: Callable[[ThreatModel], AttackSpec]
    on: On = "surviving"
    draws: Callable[[int], tuple[int, ...]] = lambda draws: (draws,)
    kinds: tuple[Kind, ...] = tuple(Kind)
    reading: Reading = Reading.HEADLINE
    library: str = "torchattacks"
    gradient: Literal["own", "other", "boundary", "none"] = "own"
    norms: tuple[Norm, ...] = NORMS
    images: int | None = None
    on_suspicion: bool = False
    always: bool = False

    @property
    def is_ladder(self) -> bool:
        """Whether it is run with several numbers of draws, one after the other."""
        return len(self.draws(1)) > 1

    @property
    def is_nearest(self) -> bool:
        """Whether it looks for the nearest adversarial image, so that it is run once for all eps of a norm."""
        return self.attack(ThreatModel(self.norms[0], 1.0)).method.nearest


def pgd(threat: ThreatModel) -> AttackSpec:
    """The protocol's PGD in a threat model's norm."""
    return standard_attack(METHODS["pgd"].attack(threat.norm), threat.eps)


def doubled(threat: ThreatModel) -> AttackSpec:
    """PGD with twice the steps, each half as long."""
    spec = pgd(threat)
    return replace(spec, steps=2 * spec.steps, step_size=spec.step_size / 2)


def usual(
    method: str, gradient: Gradient = Gradient(), steps: int | None = None
) -> Callable[[ThreatModel], AttackSpec]:
    """A method with its usual settings, under any threat model. steps: in place of the usual number."""
    return lambda threat: usual_attack(METHODS[method].attack(threat.norm), threat.eps, gradient, steps=steps)


def nearest(method: str) -> Callable[[ThreatModel], AttackSpec]:
    """A method that looks for the nearest adversarial image: the same attack, whatever the eps."""
    return lambda threat: usual_attack(METHODS[method].attack(threat.norm), EVERYWHERE[threat.norm])


def pgd_by(gradient: Gradient) -> Callable[[ThreatModel], AttackSpec]:
    """The protocol's PGD by another gradient."""
    return lambda threat: replace(pgd(threat), gradient=gradient)
