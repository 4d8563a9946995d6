"""Checks on what a network shows without an attack (`benchmark.evaluation.health`), and on the libraries themselves."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.records.parts import Health
from benchmark.results.checks.check import Finding, Status, check, over, summary
from benchmark.results.evidence import Evidence

ROUNDING = 1e-4  # of a log-probability, where a record does not say what rounding may make of it
SATURATED = 0.2  # share of images at a vertex of an affine image of probabilities; of logits only the outermost are


@check(
    "V3",
    "deterministic under frozen draws",
    "an attacker meets another function at every step, so its gradients are not those of what is judged",
    everywhere=True,
)
def deterministic(evidence: Evidence) -> Finding:
    """Two evaluations give the same but for rounding, whatever `train()`, `eval()` and asking for a gradient do.

    What rounding may make of a log-probability: 1e-4 of the largest, and eight steps of float32 at the largest logit.
    """

    def finding(health: Health) -> Finding:
        may = ROUNDING if health.rounding is None else health.rounding
        text = f"evaluations of the same images differ by up to {health.repeat:g} in a log-probability"
        if health.repeat == 0:
            return "PASS", text
        return "PASS" if health.repeat <= may else "FAIL", f"{text}; by rounding up to {may:g}"

    return _of_health(evidence, finding)


@check(
    "V4",
    "output is log-probabilities",
    "a second softmax flattens the loss to between 1.46 and 2.46 for ten classes, and gradients shrink",
    everywhere=True,
)
def log_probabilities(evidence: Evidence) -> Finding:
    """Logsumexp of the outputs is 0, and the networks return logits, not probabilities, nor these scaled and shifted.

    Outputs are scaled probabilities where they add up to the same on every image and where on a fifth of these all that
    is above each class's least output goes to one class. Where a network is less sure than that, it is not known; how
    far its outputs spread says whether another softmax can be sure.
    """

    def finding(health: Health) -> Finding:
        if health.probabilities:
            return "FAIL", f"the network returns probabilities on {health.probabilities} of {health.images} images"
        spread = "" if health.spread is None else f"; outputs of an image spread by up to {health.spread:g}"
        if health.vertices > SATURATED * health.images:
            share = f"{health.vertices} of {health.images} images"
            return "FAIL", f"outputs are probabilities, scaled and shifted: one class has all on {share}{spread}"
        status: Status = "PASS" if health.normalisation <= 1e-5 else "FAIL"
        return status, f"largest |logsumexp| {health.normalisation:g}{spread}"

    return _of_health(evidence, finding)


@check(
    "V5",
    "live gradient",
    "attacks that follow the gradient have nothing to follow: they return the image and the network looks robust",
    everywhere=True,
)
def live_gradient(evidence: Evidence) -> Finding:
    """At most 1 % of images with a gradient of zero, none with one that is NaN or infinite.

    A network that gives one answer to every image has none, and hides none: it is as accurate as chance.
    """

    def finding(health: Health) -> Finding:
        if health.undefined:
            return "FAIL", f"gradient NaN or infinite on {health.undefined} of {health.images} images"
        text = f"gradient zero on {health.dead} of {health.images} images"
        if evidence.is_constant:
            return "PASS", f"{text}, to all of which the network gives one answer"
        return over(health.dead, health.images, 0.01), text

    return _of_health(evidence, finding)


@check(
    "V17",
    "libraries reach a closed form",
    "a library that misses a known optimum cannot be trusted where it is not known",
    everywhere=True,
)
def closed_form(evidence: Evidence) -> Finding:
    """On a linear model every library finds the known optimum: within 1e-6 in linf, 1 % in l2."""

    def finding(health: Health) -> Finding:
        if health.missed:
            return "FAIL", f"not reached on a linear model by {', '.join(health.missed)}"
        worst = max(sorted(health.shortfall), key=lambda name: health.shortfall[name])
        return "PASS", f"{len(health.shortfall)} attacks, largest shortfall {health.shortfall[worst]:g} ({worst})"

    return _of_health(evidence, finding)


def _of_health(evidence: Evidence, finding: Callable[[Health], Finding]) -> Finding:
    return summary([finding(health) for health in evidence.healths], "needs an attack at eps 0, as in suite whitebox")
