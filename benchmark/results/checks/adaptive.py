"""Checks on what adaptive attacks break beyond the protocol's own (`benchmark.plan.adaptive_attacks`)."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS, UNBOUNDED_ATTACK
from benchmark.plan.nearest import broken_under
from benchmark.records.record import Record
from benchmark.results.checks.check import NOT_RUN, POINT, Finding, Status, check, over, summary, where
from benchmark.results.evidence import Evidence
from zoo.datasets import DATASETS
from zoo.targets import SURROGATE

# Share of images that another loss may break alone: of 40 rows of honest networks 4 had 2 images in 100, none had more.
LOSSES = 0.02


@check(
    "V8",
    "an unbounded attack breaks everything",
    "in a ball that holds every image all can be broken: what survives was not attacked",
)
def unbounded(evidence: Evidence) -> Finding:
    """Linf eps = 1, 100 steps: accuracy at most that of chance.

    Chance is one of the number of classes. A network that gives one answer to every image may be above it, as classes
    are not of one size.
    """
    found: list[Finding] = []
    for record in evidence.adaptive.get(UNBOUNDED_ATTACK.name, []):
        for outcome in record.outcomes.values():
            right, count = sum(outcome.correct), len(outcome.correct)
            status = "PASS" if evidence.is_constant else over(right, count, 1 / classes_of(record))
            found.append((status, f"{right} of {count} images survive at eps 1"))
    return summary(found, NOT_RUN)


def classes_of(record: Record) -> int:
    """Of the data set; where that is a user's and not known here, as many as its images have or are taken for."""
    if record.cell.dataset in DATASETS:
        return DATASETS[record.cell.dataset].classes
    predicted = [label for outcome in record.outcomes.values() for label in outcome.predicted]
    return max(1, *record.labels, *predicted) + 1


@check("V9", "converged", "the attack was stopped before it had arrived; the worst case includes the longer one")
def converged(evidence: Evidence) -> Finding:
    """Doubling the steps breaks at most 1 point that no other attack by the network's own gradient does.

    What APGD or another start breaks as well was found twice: it says that PGD is weak, and hardly that more is left.
    On 40 rows of honest networks it was 0 of 100 images each time, where 1 row in 40 had 2 that PGD alone had missed.
    """
    return breaks_little(evidence, ("doubled steps",), POINT, evidence.beyond_gradients_but("doubled steps"))


@check(
    "V10",
    "restarts find little",
    "the outcome depends on where the attack starts; the worst case includes the better starts",
)
def restarts(evidence: Evidence) -> Finding:
    """Five restarts break at most 1 point that no other attack by the network's own gradient does.

    As of V9: on 40 rows of honest networks it was 0 of 100 images each time, where 6 rows in 40 had 2 or 3 that PGD
    from one start alone had missed.
    """
    return breaks_little(evidence, ("restarts",), POINT, evidence.beyond_gradients_but("restarts"))


@check(
    "V11",
    "an attack without gradients finds little",
    "a search without gradients sees what gradients do not show: they are masked",
)
def gradient_free(evidence: Evidence) -> Finding:
    """Square, HopSkipJump and Brendel-Bethge, which see the decision boundary, each break at most 0.2 points that no
    attack by the network's own gradient does, APGD among them.
    """
    names, beyond = ("square", *BOUNDARY), evidence.beyond_gradients
    return breaks_little(evidence, names, 0.002, beyond, required=("square",))


@check(
    "V12",
    "transfers and noise find little",
    "what other networks' gradients or noise break, the network's own did not find: its gradients mislead",
)
def transfer(evidence: Evidence) -> Finding:
    """Attacks made on other networks, on the posterior mean and uniform noise each break at most 1 point that no attack
    by the network's own gradient does. Where there is no other network for such images, one is distilled from its
    answers: noise and the posterior mean alone leave the check open, and so does a surrogate that answers otherwise.
    """
    names, beyond = ("posterior mean", "transfer", SURROGATE, "noise"), evidence.beyond_gradients
    source = "transfer" if "transfer" in evidence.adaptive else SURROGATE
    status, numbers = breaks_little(evidence, names, POINT, beyond, required=(source, "noise"))
    if status == "PASS" and source == SURROGATE:
        for record in evidence.adaptive.get(SURROGATE, []):
            if not is_like(made := record.provenance[SURROGATE]):
                return "OPEN", f"not checked: the surrogate {_agrees(made)}, which shows nothing: name other networks"
    return status, numbers


def is_like(made: Mapping[str, float]) -> bool:
    """Whether a surrogate answers as the network does: on held-out images more often than half way from what one label
    for all of them would reach to all of them. made: what a record says of it.
    """
    return 1 - made["agreement"] <= (1 - made["commonest"]) / 2


def _agrees(made: Mapping[str, float]) -> str:
    return f"agrees with it on {100 * made['agreement']:.0f} % of {made['held_out']:.0f} held-out images"


def _origin(source: str, record: Record) -> str:
    """Where a transfer comes from, and what it is worth where that is a surrogate."""
    return (
        f"from a surrogate, which {_agrees(record.provenance[SURROGATE])}" if source == SURROGATE else f"from {source}"
    )


@check(
    "V13",
    "the scale of the logits does not matter",
    "gradients vanish in the rounding of a saturated softmax and come back when logits are scaled",
)
def scale_invariance(evidence: Evidence) -> Finding:
    """Attacks on logits times 0.1 or 0.001, or plus 100, break at most 2 points more than PGD does by more steps or
    from other starts: else gradients vanish.

    Another scale is another loss, and by chance another outcome for one or two images, as other starts are. Of an
    ensemble, in whose average one confident member drowns the others, it is a better one. So what other attacks by the
    network's own gradient found as well, as in APGD and at the nearest images, is flagged and keeps no row out.
    """
    names = ("logits x 0.1", "logits x 0.001", "logits + 100")
    beyond = evidence.beyond(("fresh draws", "doubled steps", "restarts"))
    status, numbers = breaks_little(evidence, names, LOSSES, beyond)
    if status == "FAIL" and (
        breaks_little(evidence, names, LOSSES, evidence.beyond_gradients_but(*names))[0] in ("PASS", "FLAG")
    ):
        return "FLAG", f"{numbers}; other attacks by the network's own gradient found them, too"
    return status, numbers


BOUNDARY = ("square, 5,000 queries", "hopskipjump", "brendel-bethge")


def breaks_little(
    evidence: Evidence,
    names: tuple[str, ...],
    margin: float,
    beyond: Mapping[ThreatModel, set[int]] | None = None,
    required: tuple[str, ...] | None = None,
    tolerated: tuple[Status, ...] = ("PASS",),
) -> Finding:
    """Whether each adaptive attack breaks at most a share `margin` of all images among those in `beyond`.

    beyond: by threat model, the images that count; by default those that survive the white-box attacks and fresh draws.
    The check is open where one of the `required` (default: each of them that waits for no suspicion) was not run at
    all, and where one was not run on all images that survive and count, and the status would be none of the `tolerated`
    if it had broken the others: on another processor PGD may spare an image that it broke here, which nothing else
    attacked then. A strong attack is to be run on what survives everything else alone, and may be tried on a few images
    under one eps first: it is open where one of these fell and the others were not attacked.
    """
    found: list[Finding] = []
    for threat, surviving in evidence.surviving.items():
        counted = (beyond or evidence.beyond_draws)[threat]
        for name in names:
            adaptive = ADAPTIVE_ATTACKS[name]
            if evidence.kind not in adaptive.kinds or threat.norm not in adaptive.norms:
                continue
            if adaptive.attack(threat).method.classes > classes_of(evidence.records[0]):
                continue
            is_strong = adaptive.on == "strong"
            to_attack = evidence.alive[threat] if is_strong else surviving
            by_source: dict[str | None, list[Record]] = {}
            for record in evidence.of_adaptive(name, threat):
                by_source.setdefault(record.cell.attack.source, []).append(record)
            wanted = not adaptive.on_suspicion if required is None else name in required
            if to_attack and not by_source and wanted:
                tried = _tried_elsewhere(evidence, name) if is_strong else None
                found.append(tried or ("OPEN", f"not checked: {where(threat)}, {name}: {NOT_RUN}"))
            for source, records in by_source.items():
                what = f"{where(threat)}, {name if source is None else _origin(source, records[0])}"
                broken = set[int]().union(*(broken_under(record, threat) for record in records))
                attacked = {example for record in records for example in record.examples}
                fell, missing = len(broken & counted), len((to_attack & counted) - attacked)
                count = evidence.images[threat]
                status = over(fell + missing, count, margin)
                if not missing or status in tolerated:
                    apart = f", {missing} not attacked" if missing else ""
                    found.append((status, f"{what}: {fell} more of {count} broken{apart}"))
                elif is_strong and not broken & surviving:
                    found.append(("PASS", f"{what}: 0 of {len(attacked & surviving)} that were probed"))
                else:
                    found.append(("OPEN", f"not checked: {what}: on fewer images"))
    if not found and evidence.surviving:
        return "PASS", "no image survives that could be broken"
    return summary(found, NOT_RUN)


def _tried_elsewhere(evidence: Evidence, name: str) -> Finding | None:
    """What a strong attack found under another eps, on the few images that it was tried on; None where one fell."""
    for threat, surviving in evidence.surviving.items():
        records = evidence.of_adaptive(name, threat)
        if records and not any(broken_under(record, threat) & surviving for record in records):
            probed = sum(len(surviving & set(record.examples)) for record in records)
            return "PASS", f"{where(threat)}, {name}: 0 of {probed} that were probed"
    return None
