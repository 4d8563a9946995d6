"""Checks on stronger attacks than the protocol's (`benchmark.plan.stronger_attacks`).

What these attacks break is in the worst case of a row, which is then as good as the strongest of them. So they say that
the protocol's own attacks were weak on a network, and flag it; that its gradients mislead is for V11 and V12 to say.
"""

from __future__ import annotations

from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
from benchmark.plan.cells import Reading
from benchmark.results.checks.adaptive import LOSSES, breaks_little
from benchmark.results.checks.check import NO_DRAWS, NOT_APPLICABLE, POINT, Finding, check
from benchmark.results.evidence import Evidence
from zoo.kind import Kind

ITERATES = 0.002  # share of images that an iterate before the last may break alone


@check(
    "V22",
    "members in turn find little",
    "the gradient of the average hides what those of its members show; the worst case includes what they found",
)
def members_in_turn(evidence: Evidence) -> Finding:
    """PGD through one member or draw after the other breaks at most 1 point more than by the average's gradient."""
    if evidence.kind is Kind.POINT:
        return NO_DRAWS
    names = ("members in turn",)
    return _flagged(breaks_little(evidence, names, POINT, evidence.beyond_gradients_but(*names)))


@check(
    "V23",
    "the last iterate is the best",
    "the attack walks past what it has found; the worst case includes its best iterate",
)
def best_iterate(evidence: Evidence) -> Finding:
    """An iterate of PGD before the last breaks at most 0.2 points more, beyond what chance may do."""
    status, text = breaks_little(evidence, ("best iterate",), ITERATES, tolerated=("PASS", "FLAG"))
    return ("PASS" if status == "FLAG" else "FLAG" if status == "FAIL" else status), text


@check(
    "V24",
    "another implementation finds little",
    "APGD or Square as it is run here misses what AutoAttack's official code finds; the worst case includes that",
)
def referee(evidence: Evidence) -> Finding:
    """APGD and Square of AutoAttack's official code each break at most 1 point of what every other attack left.

    They run in suite `thorough` where that code is installed. Both implementations are at the optimum of a linear
    network, where it is known in closed form: that is a test of the adapters, and not of a network.
    """
    names = ("apgd-ce, referee", "square, referee")
    if not any(name in evidence.adaptive for name in names):
        return "PASS", f"{NOT_APPLICABLE}: AutoAttack's official code was not run (suite thorough, extra referee)"
    others = (name for name, one in ADAPTIVE_ATTACKS.items() if one.reading is Reading.HEADLINE and name not in names)
    return _flagged(breaks_little(evidence, names, POINT, evidence.beyond(others), required=names))


@check(
    "V25",
    "the nearest images are no nearer",
    "attacks that look for the nearest adversarial image break more than those at eps; the worst case includes them",
)
def nearest_images(evidence: Evidence) -> Finding:
    """DDN and FMN find, within eps, at most 2 points more than all attacks by the network's own gradient at eps."""
    names = ("ddn", "fmn")
    return _flagged(breaks_little(evidence, names, LOSSES, evidence.beyond_gradients_but(*names)))


@check(
    "V26",
    "targeted attacks and margins find little",
    "cross-entropy without a target leads past what other losses find; the worst case includes what they found",
)
def other_losses(evidence: Evidence) -> Finding:
    """APGD-T, FAB-T and PMA each break at most 2 points more than all other attacks by the network's own gradient."""
    names = ("pma", "apgd-t", "fab-t")
    return _flagged(breaks_little(evidence, names, LOSSES, evidence.beyond_gradients_but(*names)))


def _flagged(finding: Finding) -> Finding:
    """What no longer counts against the number that a row shows: FLAG at most."""
    status, text = finding
    return ("FLAG" if status == "FAIL" else status), text
