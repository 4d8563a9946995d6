"""The check on images beyond the audit's, which met the white-box attacks and what decided among the audit's alone."""

from __future__ import annotations

from scipy.stats import fisher_exact

from benchmark.plan.decisive import Tried, decisive, tried
from benchmark.plan.nearest import says_of
from benchmark.protocol import SIGNIFICANCE
from benchmark.results.checks.check import NOT_APPLICABLE, Finding, check, summary, where
from benchmark.results.evidence import Evidence


@check(
    "V30",
    "further images fare alike",
    "the images that met fewer attacks survive more often: what was left out would break some of them",
    everywhere=True,
)
def further_images(evidence: Evidence) -> Finding:
    """Of images beyond the audit's no larger a share survives than of the audit's (Fisher's exact test, 1 %).

    Both are random samples of one split. Open where what decided among the audit's was not run on what is left of them.
    """
    audited = evidence.audited
    if audited is evidence:
        return "PASS", f"{NOT_APPLICABLE}: every image met every attack"
    found: list[Finding] = []
    decided = decisive(audited.surviving, audited.extra, evidence.records[0].cell.attack_draws)
    for threat, images in evidence.further.items():
        left = evidence.alive[threat] & images
        attacked: dict[Tried, set[int]] = {}
        for record in evidence.extra:
            if (of := tried(record.cell)) is not None and says_of(record.cell, threat):
                attacked.setdefault(of, set()).update(record.examples)
        if missing := [one.name for one in decided[threat] if not left <= attacked.get(one, set())]:
            found.append(
                ("OPEN", f"not checked: {where(threat)}: {', '.join(missing)} on {len(images)} further images")
            )
            continue
        alive, count = len(audited.alive[threat]), audited.images[threat]
        table = [[len(left), len(images) - len(left)], [alive, count - alive]]
        chance = float(fisher_exact(table, "greater").pvalue)
        names = ", ".join(dict.fromkeys(one.name for one in decided[threat]))
        text = (
            f"{where(threat)}: {len(left)} of {len(images)} further images survive, {alive} of {count} of the audit's"
        )
        found.append(("FLAG" if chance < SIGNIFICANCE else "PASS", f"{text}; they met {names}"))
    return summary(found, "no further images")
