"""Checks on what a network shows without an attack (`benchmark.evaluation.health`), and on the libraries themselves."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.records.record import Health
from benchmark.results.checks.check import Finding, Status, check, over, summary
from benchmark.results.evidence import Evidence

ROUNDING = 1e-5  # of a log-probability, for hardware whose sums depend on the run


@check(
    "V3",
    "deterministic under frozen draws",
    "an attacker meets another function at every step, so its gradients are not those of what is judged",
)
def deterministic(evidence: Evidence) -> Finding:
    """Two evaluations give the same; `train()`, `eval()` and that a gradient is asked for change nothing."""

    def finding(health: Health) -> Finding:
        status: Status = "PASS" if health.repeat == 0 else "FLAG" if health.repeat <= ROUNDING else "FAIL"
        return status, f"evaluations of the same images differ by up to {health.repeat:g} in a log-probability"

    return _of_health(evidence, finding)


@check(
    "V4",
    "output is log-probabilities",
    "a second softmax flattens the loss to between 1.46 and 2.46 for ten classes, and gradients shrink",
)
def log_probabilities(evidence: Evidence) -> Finding:
    """Logsumexp of the outputs is 0, and the networks return logits, not probabilities."""

    def finding(health: Health) -> Finding:
        if health.probabilities:
            return "FAIL", f"the network returns probabilities on {health.probabilities} of {health.images} images"
        status: Status = "PASS" if health.normalisation <= 1e-5 else "FAIL"
        return status, f"largest |logsumexp| {health.normalisation:g}"

    return _of_health(evidence, finding)


@check(
    "V5",
    "live gradient",
    "attacks that follow the gradient have nothing to follow: they return the image and the network looks robust",
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
