"""What attacks a network beyond the white-box attacks, and on which images. Pure: no torch.

An attack that fails leaves a network looking robust, so every adaptive attack is a way in which the white-box attacks
may have failed: too few steps, starts or draws, a gradient that vanishes, a gradient that points nowhere. Most attack
the images that survive the white-box attacks, which costs least where it matters least; a few attack all images, and
strong ones what survives everything else (`benchmark.plan.stronger_attacks`).

Some know more, or judge otherwise, than an attacker of the expected prediction (`benchmark.plan.cells.Reading`): they
are further readings of the same network, and count in no worst case.

Sources: Carlini et al. 2019, "On Evaluating Adversarial Robustness"; Croce and Hein 2020, "Reliable Evaluation of
Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks" (APGD, AutoAttack); Tramèr et al. 2020, "On
Adaptive Attacks to Adversarial Example Defenses"; Andriushchenko et al. 2020, "Square Attack"; Dong et al. 2018,
"Boosting Adversarial Attacks with Momentum" (MI-FGSM).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from benchmark.attacks.methods import Goal
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attack import AdaptiveAttack, On, doubled, pgd, pgd_by, usual
from benchmark.plan.cells import Reading, Subject
from benchmark.plan.ladder import RUNGS
from benchmark.plan.stronger_attacks import STRONGER
from benchmark.protocol import REFEREE, STEP_RATIO, standard_attack
from zoo.kind import Kind
from zoo.targets import SURROGATE, Gradient, Schedule

RESTARTS = 5
PLANTED_IMAGES = 50  # in which an example is planted: enough to tell a share of 95 % from one of 80 %
RANDOM, DRAWN = (Kind.FINITE, Kind.CONTINUOUS), (Kind.CONTINUOUS,)
UNBOUNDED = ThreatModel("linf", 1.0)


def unbounded(threat: ThreatModel) -> AttackSpec:
    """PGD with 100 steps in a ball that holds every image, from the image itself: there noise alone breaks networks."""
    eps = UNBOUNDED.eps
    return replace(standard_attack("pgd-linf", eps), steps=100, step_size=STEP_RATIO * eps / 100, random_start=False)


def with_fresh_draws(threat: ThreatModel) -> AttackSpec:
    """MI-FGSM, each of whose gradients is of other draws."""
    return usual("mifgsm", Gradient(schedule=Schedule.FRESH))(threat)


ADAPTIVE_ATTACKS: dict[str, AdaptiveAttack] = {
    adaptive.name: adaptive
    for adaptive in (
        AdaptiveAttack("doubled steps", "PGD with 40 steps in place of 20", doubled, "all"),
        AdaptiveAttack(
            "confident",
            "PGD with 40 steps towards the likeliest wrong label: wrong and certain",
            lambda threat: replace(doubled(threat), goal=Goal.CONFIDENT),
            "all",
        ),
        AdaptiveAttack(
            "one draw", "PGD on one frozen draw", pgd, "all", lambda _: (1,), kinds=RANDOM, gradient="other"
        ),
        AdaptiveAttack("restarts", "PGD from five starts", lambda threat: replace(pgd(threat), restarts=RESTARTS)),
        AdaptiveAttack("doubled draws", "PGD with twice the draws", pgd, draws=lambda draws: (2 * draws,), kinds=DRAWN),
        AdaptiveAttack(
            "fresh draws",
            "MI-FGSM, 40 steps, each of other draws: 8, 16, 32, … of them, until more break no more",
            with_fresh_draws,
            draws=lambda _: RUNGS,
            kinds=DRAWN,
            library="foolbox",
        ),
        AdaptiveAttack(
            "judge's draws",
            "PGD with 40 steps on the draws that judge",
            doubled,
            kinds=DRAWN,
            reading=Reading.DETERMINISTIC,
        ),
        AdaptiveAttack(
            "other judge", "PGD, judged by further draws", pgd, "all", kinds=DRAWN, reading=Reading.OTHER_JUDGE
        ),
        AdaptiveAttack(
            "half the samples",
            "PGD with 40 steps through the first half of the samples, judged by the others",
            doubled,
            "all",
            kinds=(Kind.FINITE,),
            reading=Reading.SAMPLE,
        ),
        AdaptiveAttack(
            "half the samples, transfer",
            "PGD with 40 steps on a source of the network's own, judged by the second half of the samples",
            doubled,
            "all",
            kinds=(Kind.FINITE,),
            gradient="other",
            reading=Reading.SAMPLE,
        ),
        AdaptiveAttack("logits x 0.1", "PGD on a tenth of the logits", pgd_by(Gradient(logit_scale=0.1))),
        AdaptiveAttack("logits x 0.001", "PGD on a thousandth of the logits", pgd_by(Gradient(logit_scale=0.001))),
        AdaptiveAttack("logits + 100", "PGD on logits with a constant added", pgd_by(Gradient(logit_shift=100.0))),
        AdaptiveAttack(
            "posterior mean",
            "PGD on the posterior-mean network",
            pgd_by(Gradient("mean-weights")),
            kinds=RANDOM,
            gradient="other",
        ),
        AdaptiveAttack("transfer", "PGD on another network of the zoo", pgd, gradient="other"),
        AdaptiveAttack(
            SURROGATE,
            "PGD with 40 steps on a small network distilled from the network's own answers",
            lambda threat: replace(doubled(threat), gradient=Gradient(source=SURROGATE)),
            gradient="other",
        ),
        AdaptiveAttack("apgd-ce", "APGD, 100 steps, cross-entropy", usual("apgd-ce"), always=True),
        AdaptiveAttack("apgd-dlr", "APGD, 100 steps, difference of logits ratio", usual("apgd-dlr")),
        AdaptiveAttack(
            "apgd-ce, mean loss",
            "APGD as in AutoAttack's version for random networks: the mean of the draws' gradients",
            usual("apgd-ce", Gradient("mean-loss")),
            kinds=RANDOM,
        ),
        AdaptiveAttack(
            "square",
            "Square attack, 1,000 queries, no gradient",
            usual("square"),
            gradient="none",
        ),
        AdaptiveAttack(
            "noise",
            "the worst of 100 points uniform in the ball",
            usual("noise"),
            library="foolbox",
            gradient="none",
        ),
        AdaptiveAttack(
            "rebuilt",
            "PGD, judged by networks that are built anew and have seen nothing",
            pgd,
            "last",
            reading=Reading.REBUILT,
        ),
        AdaptiveAttack(
            "planted",
            "PGD, 20 steps, and 40 from five starts where they fail, after an example that was planted in the ball",
            lambda threat: replace(doubled(threat), restarts=RESTARTS),
            "all",
            reading=Reading.PLANTED,
            images=PLANTED_IMAGES,
        ),
        *STRONGER,
    )
}
UNBOUNDED_ATTACK = AdaptiveAttack("unbounded", "PGD with 100 steps, linf, eps 1", unbounded, "all")


TRANSFERS = ("transfer", "half the samples, transfer")


def attacks_on(kind: Kind, on: str) -> list[AdaptiveAttack]:
    """The adaptive attacks under one threat model on a network whose posterior is of that kind."""
    return [adaptive for adaptive in ADAPTIVE_ATTACKS.values() if adaptive.on == on and kind in adaptive.kinds]


def planned(
    subject: Subject, threats: Sequence[ThreatModel], on: str, thorough: bool = False
) -> list[tuple[AdaptiveAttack, AttackSpec]]:
    """The adaptive attacks on a network, transfers from every other network for the same images.

    Those that look for the nearest adversarial image are there once for a norm, with its first threat model. A network
    is distilled where there is no other, or if `thorough`: it is learnt from one image and compared on another.
    """
    distils = subject.size > 1 and (thorough or not subject.others)
    first = {threat.norm: threat for threat in reversed(threats)}
    plan = [
        (adaptive, attack)
        for threat in threats
        for adaptive in attacks_on(subject.kind, on)
        if threat.norm in adaptive.norms and (threat is first[threat.norm] or not adaptive.is_nearest)
        if (attack := adaptive.attack(threat)).target not in subject.undefined
        and attack.method.classes <= subject.classes
        and (adaptive.reading is not Reading.SAMPLE or subject.is_sample)
        and (adaptive.name != SURROGATE or distils)
    ]
    if on == "all":
        plan.append((UNBOUNDED_ATTACK, unbounded(UNBOUNDED)))
    return [each for adaptive, attack in plan for each in _from_sources(adaptive, attack, subject)]


def _from_sources(
    adaptive: AdaptiveAttack, attack: AttackSpec, subject: Subject
) -> list[tuple[AdaptiveAttack, AttackSpec]]:
    """A transfer takes one network's gradients: of a Bayesian one those of its posterior mean.

    Another reading takes the sources alone that the network names as its own.
    """
    if adaptive.name not in TRANSFERS:
        return [(adaptive, attack)]
    own = {name for _, name in subject.sources}
    return [
        (adaptive, replace(attack, gradient=Gradient("expected" if deterministic else "mean-weights", source=name)))
        for name, deterministic in subject.others
        if adaptive.reading is Reading.HEADLINE or name in own
    ]


def adaptive_attack_of(
    attack: AttackSpec,
    kind: Kind,
    draws: int,
    usual: int,
    reading: Reading = Reading.HEADLINE,
    libraries: tuple[str, ...] = (),
) -> AdaptiveAttack | None:
    """The adaptive attack that an attack with so many draws of the attacker is; None if it is none.

    usual: the attacker's draws by the protocol. reading: which says how many they are, where he knows the judge's or
        has half of the samples. libraries: which ran it; the referee's attacks are told by it from the others.
    """
    if attack.threat.eps == 0:
        return None
    if attack == unbounded(UNBOUNDED):
        return UNBOUNDED_ATTACK if draws == usual else None
    own = replace(attack.gradient, source=None, target="expected")
    is_transfer = attack.source not in (None, SURROGATE)
    as_planned = replace(attack, gradient=own) if is_transfer else attack
    found = [
        adaptive
        for on in get_args(On)
        for adaptive in attacks_on(kind, on)
        if (adaptive.name in TRANSFERS) == is_transfer
        and (adaptive.library == REFEREE) == (libraries == (REFEREE,))
        and adaptive.reading is reading
        and _has_all(reading, draws, adaptive.draws(usual), usual)
        and attack.threat.norm in adaptive.norms
        and as_planned == adaptive.attack(attack.threat)
    ]
    return found[0] if found else None


def _has_all(reading: Reading, draws: int, planned: tuple[int, ...], usual: int) -> bool:
    """Whether the attacker has as many draws as the reading gives him."""
    match reading:
        case Reading.DETERMINISTIC:
            return True  # they are the judge's
        case Reading.SAMPLE:
            return draws >= usual - 1  # one of an odd number of samples is the judge's alone
        case _:
            return draws in planned
