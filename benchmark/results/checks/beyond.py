"""The check on images beyond the audit's, which met the white-box attacks and what decided among the audit's alone."""

from __future__ import annotations

from scipy.stats import fisher_exact

from benchmark.plan.decisive import Tried, decisive, tried
from benchmark.plan.nearest import says_of
from benchmark.protocol import SIGNIFICANCE
from benchmark.results.checks.adaptive import classes_of
from benchmark.results.checks.check import NOT_APPLICABLE, Finding, Status, check, summary, where
from benchmark.results.evidence import Evidence


@check(
    "V30",
    "further images fare alike",
    "the images that met fewer attacks survive more often: what was left out would break some of them",
    everywhere=True,
)
def further_images(evidence: Evidence) -> Finding:
    """Of what the white-box attacks leave of further images, no larger a share survives the others than of what they
    leave of the audit's (Fisher's exact test, 1 %).

    Both are random samples of one split; how hard their images are shows in what the white-box attacks leave. Open
    where what decided among the audit's was not run on what is left of further ones.
    """
    audited = evidence.audited
    if audited is evidence:
        return "PASS", f"{NOT_APPLICABLE}: every image met every attack"
    found: list[Finding] = []
    first = evidence.records[0]
    decided = decisive(audited.surviving, audited.extra, first.cell.attack_draws, classes_of(first))
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
        survivors = (len(left), len(evidence.surviving[threat] & images))
        of_audit = (len(audited.alive[threat]), len(audited.surviving[threat]))
        table = [[survive, among - survive] for survive, among in (survivors, of_audit)]
        chance = float(fisher_exact(table, "greater").pvalue)
        told = "{} of {} white-box survivors"
        text = f"{told.format(*survivors)} survive among {len(images)} further images, {told.format(*of_audit)} among"
        met = ", ".join(dict.fromkeys(one.name for one in decided[threat]))
        status: Status = "FLAG" if chance < SIGNIFICANCE else "PASS"
        found.append((status, f"{where(threat)}: {text} the audit's; they met {met}"))
    return summary(found, "no further images")
