"""The check on adversarial examples that were planted: what is certainly there must be found."""

from __future__ import annotations

from benchmark.results.checks.check import NOT_RUN, Finding, check, over, summary, where
from benchmark.results.evidence import Evidence
from benchmark.results.planted import detection_of

MISSED = 0.05  # share of planted examples that may be missed


@check(
    "V18",
    "finds what is planted",
    "an attack that does not find an adversarial example which is certainly there has not shown that there is none",
)
def planted(evidence: Evidence) -> Finding:
    """PGD finds at least 95 % of the adversarial examples that are planted and that random points do not find."""
    found: list[Finding] = []
    for threat in evidence.surviving:
        one = detection_of(evidence, threat)
        if one is None:
            found.append(("OPEN", f"not checked: {where(threat)}: {NOT_RUN}"))
        elif one.found is None:
            found.append(("OPEN", f"not checked: {where(threat)}: in none of {one.images} images one could be planted"))
        else:
            hits, count = one.found.hits, one.found.count
            left_out = f", {one.by_chance} more by random points" if one.by_chance else ""
            beside = f", {rest} not planted" if (rest := one.images - count - one.by_chance) else ""
            read = ", read off the logits" if one.of_logits else ""
            text = f"{where(threat)}: {hits} of {count} found{left_out}{beside}{read}"
            found.append((over(count - hits, count, MISSED), text))
    return summary(found, NOT_RUN)
