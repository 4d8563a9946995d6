"""The check against bounds of what attacks can do (`zoo.bounds`): it is of the code, not of a network."""

from __future__ import annotations

from benchmark.attacks.spec import format_eps
from benchmark.results.bounds import bounded_in
from benchmark.results.checks.check import NOT_APPLICABLE, Finding, check, first_few
from benchmark.results.evidence import Evidence


@check(
    "V29",
    "no attack breaks what is certified",
    "an image was broken that bounds say no attack can break: the code is wrong, and none of these figures counts",
    everywhere=True,
)
def certified(evidence: Evidence) -> Finding:
    """Every image that is certified at an eps is right as it is, and survives every attack up to that eps."""
    found = bounded_in(evidence)
    if found is None:
        return "PASS", f"{NOT_APPLICABLE}: no bounds were computed (suite certify)"
    if found.crossed:
        lines = [
            f"image {image} is certified at eps {format_eps(radius)} and broken at {distance:.3g}"
            for image, (radius, distance) in sorted(found.crossed.items())
        ]
        return "ERROR", first_few(lines)
    certified_at = [f"{found.below(eps).hits} at eps {format_eps(eps)}" for eps in found.tried if found.below(eps).hits]
    return "PASS", f"of {len(found.certified)} images certified: {', '.join(certified_at) or 'none'}; none was broken"
