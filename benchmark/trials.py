"""What is tried beyond the white-box attacks, and on which images. Pure: no torch.

An attack that fails leaves a network looking robust, so every trial here is a way in which the white-box attacks may
have failed: too few steps, starts or draws, a gradient that vanishes, a gradient that points nowhere. They attack what
the white-box attacks left standing, which costs least where it matters least; a few speak of all images.

Sources: Carlini et al. 2019, "On Evaluating Adversarial Robustness"; Croce and Hein 2020, "Reliable Evaluation of
Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks" (APGD, AutoAttack); Tramèr et al. 2020, "On
Adaptive Attacks to Adversarial Example Defenses"; Andriushchenko et al. 2020, "Square Attack".
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from benchmark.attacks.methods import METHODS, Goal
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.cells import Cell, Subject
from benchmark.protocol import ATTACK_DRAWS, STEP_RATIO, standard_attack
from zoo.targets import Gradient

if TYPE_CHECKING:
    from benchmark.record import Record

APGD_STEPS = 100  # those of AutoAttack
SQUARE_QUERIES = 1000
NOISE_QUERIES = 100
RESTARTS = 5
UNBOUNDED = ThreatModel("linf", 1.0)


@dataclass(frozen=True)
class Trial:
    """One way to attack that is not white-box.

    help: what it is, for tables.    attack: the attack under a threat model, but for the source of a transfer.
    on: `all` images, or those left `standing` by the white-box attacks.
    draws: the attacker's, from the protocol's.    bayesian: only for networks with draws.
    library: which runs it: the first that has it.
    gradient: what it follows: the network's own, an `other` network's, or `none`.
    """

    name: str
    help: str
    attack: Callable[[ThreatModel], AttackSpec]
    on: Literal["all", "standing"] = "standing"
    draws: Callable[[int], int] = lambda draws: draws
    bayesian: bool = False
    library: str = "torchattacks"
    gradient: Literal["own", "other", "none"] = "own"


def pgd(threat: ThreatModel) -> AttackSpec:
    """The protocol's PGD in a threat model's norm."""
    return standard_attack(METHODS["pgd"].attack(threat.norm), threat.eps)


def doubled(threat: ThreatModel) -> AttackSpec:
    """PGD with twice the steps, each half as long."""
    spec = pgd(threat)
    return replace(spec, steps=2 * spec.steps, step_size=spec.step_size / 2)


def unbounded(threat: ThreatModel) -> AttackSpec:
    """PGD with 100 steps in a ball that holds every image, from the image itself: there noise alone breaks networks."""
    eps = UNBOUNDED.eps
    return replace(standard_attack("pgd-linf", eps), steps=100, step_size=STEP_RATIO * eps / 100, random_start=False)


def _other(
    method: str, steps: int, reach: float, gradient: Gradient = Gradient()
) -> Callable[[ThreatModel], AttackSpec]:
    def attack(threat: ThreatModel) -> AttackSpec:
        return AttackSpec(METHODS[method].attack(threat.norm), threat, reach * threat.eps, steps, gradient=gradient)

    return attack


def _pgd(**changes: object) -> Callable[[ThreatModel], AttackSpec]:
    return lambda threat: replace(pgd(threat), **changes)  # type: ignore[arg-type]


TRIALS: dict[str, Trial] = {
    trial.name: trial
    for trial in (
        Trial("doubled steps", "PGD with 40 steps in place of 20", doubled, "all"),
        Trial(
            "confident",
            "PGD with 40 steps towards the likeliest wrong label: wrong and certain",
            lambda threat: replace(doubled(threat), goal=Goal.CONFIDENT),
            "all",
        ),
        Trial("one draw", "PGD on one frozen draw", pgd, "all", lambda _: 1, bayesian=True, gradient="other"),
        Trial("restarts", "PGD from five starts", _pgd(restarts=RESTARTS)),
        Trial("doubled draws", "PGD with twice the draws", pgd, draws=lambda draws: 2 * draws, bayesian=True),
        Trial("logits x 0.1", "PGD on a tenth of the logits", _pgd(gradient=Gradient(logit_scale=0.1))),
        Trial("logits x 0.001", "PGD on a thousandth of the logits", _pgd(gradient=Gradient(logit_scale=0.001))),
        Trial("logits + 100", "PGD on logits with a constant added", _pgd(gradient=Gradient(logit_shift=100.0))),
        Trial(
            "posterior mean",
            "PGD on the posterior-mean network",
            _pgd(gradient=Gradient("mean-weights")),
            bayesian=True,
            gradient="other",
        ),
        Trial("transfer", "PGD on another network of the zoo", pgd, gradient="other"),
        Trial("apgd-ce", "APGD, 100 steps, cross-entropy", _other("apgd-ce", APGD_STEPS, 2.0)),
        Trial("apgd-dlr", "APGD, 100 steps, difference of logits ratio", _other("apgd-dlr", APGD_STEPS, 2.0)),
        Trial(
            "apgd-ce, mean loss",
            "APGD as in AutoAttack's version for random networks: the mean of the draws' gradients",
            _other("apgd-ce", APGD_STEPS, 2.0, Gradient("mean-loss")),
            bayesian=True,
        ),
        Trial(
            "square",
            "Square attack, 1,000 queries, no gradient",
            _other("square", SQUARE_QUERIES, 1.0),
            gradient="none",
        ),
        Trial(
            "noise",
            "the worst of 100 points uniform in the ball",
            _other("noise", NOISE_QUERIES, 1.0),
            library="foolbox",
            gradient="none",
        ),
    )
}
UNBOUNDED_TRIAL = Trial("unbounded", "PGD with 100 steps, linf, eps 1", unbounded, "all")


def trials(deterministic: bool, on: str) -> list[Trial]:
    """The trials under one threat model for a network with or without draws."""
    return [trial for trial in TRIALS.values() if trial.on == on and not (deterministic and trial.bayesian)]


def planned(subject: Subject, threats: Sequence[ThreatModel], on: str) -> list[tuple[Trial, AttackSpec]]:
    """The trials on a network and their attacks, transfers from every other network for the same images."""
    plan = [
        (trial, trial.attack(threat))
        for threat in threats
        for trial in trials(subject.deterministic, on)
        if trial.attack(threat).target not in subject.undefined
    ]
    if on == "all":
        plan.append((UNBOUNDED_TRIAL, unbounded(UNBOUNDED)))
    return [each for trial, attack in plan for each in _from_sources(trial, attack, subject.others)]


def _from_sources(
    trial: Trial, attack: AttackSpec, others: Sequence[tuple[str, bool]]
) -> list[tuple[Trial, AttackSpec]]:
    """A transfer takes one network's gradients: of a Bayesian one those of its posterior mean."""
    if trial.name != "transfer":
        return [(trial, attack)]
    return [
        (trial, replace(attack, gradient=Gradient("expected" if deterministic else "mean-weights", source=name)))
        for name, deterministic in others
    ]


def trial_of(cell: Cell) -> Trial | None:
    """Which trial a cell is of, with the protocol's draws; None if it is of none."""
    attack, deterministic = cell.attack, cell.judge_draws == 1
    if attack.threat.eps == 0:
        return None
    usual = 1 if deterministic else ATTACK_DRAWS
    if attack == unbounded(UNBOUNDED):
        return UNBOUNDED_TRIAL if cell.attack_draws == usual else None
    own = replace(attack.gradient, source=None, target="expected")
    as_tried = attack if attack.source is None else replace(attack, gradient=own)
    for trial in trials(deterministic, "all") + trials(deterministic, "standing"):
        same_source = (trial.name == "transfer") == (attack.source is not None)
        if same_source and cell.attack_draws == trial.draws(usual) and as_tried == trial.attack(attack.threat):
            return trial
    return None


def still_standing(records: Iterable[Record]) -> dict[tuple[str, ThreatModel], dict[tuple[int, int], tuple[int, ...]]]:
    """Model and threat model -> shard -> the images that no attack among the records broke, where there are any.

    An image that is misclassified as it is counts as broken. A shard with a library's error in it is left out.
    """
    met: dict[tuple[str, ThreatModel, int, int], list[Record]] = defaultdict(list)
    for record in records:
        cell = record.cell
        if cell.only is None and cell.attack.threat.eps > 0 and trial_of(cell) is None:
            met[cell.model, cell.attack.threat, cell.start, cell.stop].append(record)
    left: dict[tuple[str, ThreatModel], dict[tuple[int, int], tuple[int, ...]]] = defaultdict(dict)
    for (model, threat, start, stop), found in met.items():
        if all(record.complete for record in found):
            broken = set[int]().union(*(record.broken for record in found))
            right = (set(itertools.compress(record.examples, record.clean.correct)) for record in found)
            stand = set.intersection(*right) - broken
            if stand:
                left[model, threat][start, stop] = tuple(e for e in found[0].examples if e in stand)
    return dict(left)
