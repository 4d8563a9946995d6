"""The adaptive attacks that are as strong as the best known, in the order in which they are run. Pure: no torch.

Those that cost little are run on all images or on those that survive the white-box attacks; the others, `strong` ones,
on what survives everything before: see `benchmark.plan.cascade`.

Sources: Croce and Hein 2020, "Reliable Evaluation of Adversarial Robustness" (APGD-T, AutoAttack) and "Minimally
Distorted Adversarial Examples with a Fast Adaptive Boundary Attack" (FAB-T); Rony et al. 2019 (DDN); Pintor et al. 2021
(FMN); Brendel et al. 2019, "Accurate, Reliable and Fast Robustness Evaluation" (Brendel-Bethge); Chen et al. 2020
(HopSkipJump); arXiv 2411.15210 (PMA); Dbouk and Shanbhag 2022, "Adversarial Vulnerability of Randomized Ensembles"
(members in turn).
"""

from __future__ import annotations

from dataclasses import replace

from benchmark.attacks.methods import Iterate
from benchmark.plan.adaptive_attack import AdaptiveAttack, doubled, nearest, pgd, usual
from benchmark.protocol import AUTOATTACK, REFEREE
from zoo.kind import Kind
from zoo.targets import Gradient

# The parts of AutoAttack's standard version, in its order: methods with the budgets of `benchmark.protocol.AUTOATTACK`.
AUTOATTACK_PARTS = ("apgd-ce", "apgd-t", "fab-t", "square, 5,000 queries")
STRONGER = (
    AdaptiveAttack(
        "ddn",
        "DDN, 100 steps: the nearest adversarial image",
        nearest("ddn"),
        "all",
        library="foolbox",
        norms=("l2",),
        always=True,
    ),
    AdaptiveAttack(
        "fmn",
        "FMN, 100 steps: the nearest adversarial image",
        nearest("fmn"),
        "all",
        library="foolbox",
        always=True,
    ),
    AdaptiveAttack(
        "best iterate",
        "PGD, of whose images the one counts that hurts most, not the last",
        lambda threat: replace(pgd(threat), iterate=Iterate.BEST),
    ),
    AdaptiveAttack(
        "members in turn",
        "PGD with 40 steps, each through the next member or draw",
        lambda threat: replace(doubled(threat), gradient=Gradient("resampled")),
        kinds=(Kind.FINITE, Kind.CONTINUOUS),
    ),
    AdaptiveAttack("pma", "APGD's steps, 100 of them, on the margin of probabilities", usual("pma")),
    AdaptiveAttack("apgd-t", "APGD, 100 steps towards each of 9 labels", usual("apgd-t"), "strong", always=True),
    AdaptiveAttack("fab-t", "FAB, 100 steps towards each of 9 labels", usual("fab-t"), "strong", on_suspicion=True),
    AdaptiveAttack(
        "brendel-bethge",
        "Brendel-Bethge, 200 steps along the decision boundary from each of two starts",
        nearest("brendel-bethge"),
        "strong",
        on_suspicion=True,
        library="foolbox",
        gradient="boundary",
    ),
    AdaptiveAttack(
        "hopskipjump",
        "HopSkipJump, 5,000 queries, labels alone",
        nearest("hopskipjump"),
        "strong",
        on_suspicion=True,
        library="foolbox",
        gradient="none",
    ),
    AdaptiveAttack(
        "square, 5,000 queries",
        "Square attack, 5,000 queries, no gradient",
        usual("square", steps=AUTOATTACK["square"]),
        "strong",
        on_suspicion=True,
        gradient="none",
    ),
    AdaptiveAttack(
        "apgd-ce, referee",
        "APGD, 100 steps, cross-entropy, by AutoAttack's official code",
        usual("apgd-ce"),
        "strong",
        on_suspicion=True,
        library=REFEREE,
    ),
    AdaptiveAttack(
        "square, referee",
        "Square attack, 5,000 queries, no gradient, by AutoAttack's official code",
        usual("square", steps=AUTOATTACK["square"]),
        "strong",
        on_suspicion=True,
        library=REFEREE,
        gradient="none",
    ),
)
