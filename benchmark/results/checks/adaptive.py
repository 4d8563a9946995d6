"""Checks on what adaptive attacks break beyond the protocol's own (`benchmark.plan.adaptive_attacks`)."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.attacks.spec import ThreatModel, format_eps
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS, UNBOUNDED_ATTACK
from benchmark.records.record import Record
from benchmark.results.checks.check import NO_DRAWS, Finding, Status, check, over, risen, summary
from benchmark.results.evidence import Evidence
from zoo.datasets import dataset_spec
from zoo.kind import Kind

POINT = 0.01
ALIGNED = 0.5  # cosine between the gradients of independent draws
SHORT = 0.1  # share of images broken on the attacker's draws that survive on the judge's; honest entries have 0.05
_NOT_RUN = "needs suite adaptive"


@check(
    "V8",
    "an unbounded attack breaks everything",
    "in a ball that holds every image all can be broken: what survives was not attacked",
)
def unbounded(evidence: Evidence) -> Finding:
    """Linf eps = 1, 100 steps: accuracy at most that of chance."""
    found: list[Finding] = []
    for record in evidence.adaptive.get(UNBOUNDED_ATTACK.name, []):
        for outcome in record.outcomes.values():
            right, count = sum(outcome.correct), len(outcome.correct)
            chance = 1 / dataset_spec(record.cell.dataset).classes
            found.append((over(right, count, chance), f"{right} of {count} images survive at eps 1"))
    return summary(found, _NOT_RUN)


@check("V9", "converged", "the attack was stopped before it had arrived; the worst case includes the longer one")
def converged(evidence: Evidence) -> Finding:
    """Doubling the steps breaks at most 1 point more."""
    return _breaks_little(evidence, ("doubled steps",), POINT)


@check(
    "V10",
    "restarts find little",
    "the outcome depends on where the attack starts; the worst case includes the better starts",
)
def restarts(evidence: Evidence) -> Finding:
    """Five restarts break at most 1 point more."""
    return _breaks_little(evidence, ("restarts",), POINT)


@check(
    "V11",
    "an attack without gradients finds little",
    "a search without gradients sees what gradients do not show: they are masked",
)
def gradient_free(evidence: Evidence) -> Finding:
    """Square breaks at most 0.2 points that no attack by the network's own gradient does, APGD among them."""
    return _breaks_little(evidence, ("square",), 0.002, evidence.beyond_gradients)


@check(
    "V12",
    "transfers and noise find little",
    "what other networks' gradients or noise break, the network's own did not find: its gradients mislead",
)
def transfer(evidence: Evidence) -> Finding:
    """Attacks made on other networks, on the posterior mean and uniform noise each break at most 1 point that no attack
    by the network's own gradient does.
    """
    names, beyond = ("posterior mean", "transfer", "noise"), evidence.beyond_gradients
    # where there is no posterior mean and no other network for such images, noise is all there is
    return _breaks_little(evidence, names, POINT, beyond, required=("noise",))


@check(
    "V13",
    "the scale of the logits does not matter",
    "gradients vanish in the rounding of a saturated softmax and come back when logits are scaled",
)
def scale_invariance(evidence: Evidence) -> Finding:
    """Attacks on logits times 0.1 or 0.001, or plus 100, break at most 1 point more: else gradients vanish."""
    return _breaks_little(evidence, ("logits x 0.1", "logits x 0.001", "logits + 100"), POINT)


@check(
    "V14",
    "enough draws",
    "the attacker's few draws are not the network that is judged; the worst case includes the attack with more",
)
def enough_draws(evidence: Evidence) -> Finding:
    """Twice the draws break at most 1 point more; gradients of independent draws point the same way; and what an attack
    breaks on the attacker's draws it breaks on the judge's, but for 10 points.
    """
    if evidence.kind is Kind.POINT:
        return NO_DRAWS
    if evidence.kind is Kind.FINITE and all(r.cell.attack_draws == r.cell.judge_draws for r in evidence.records):
        members = evidence.records[0].cell.judge_draws
        return "PASS", f"does not apply: attacked through all {members} members, which are all that is judged"
    found = [_breaks_little(evidence, ("doubled draws",), POINT), *_falls_short(evidence)]
    for health in evidence.healths:
        if health.cosine is not None:
            aligned: Status = "PASS" if health.cosine >= ALIGNED else "FLAG"
            found.append((aligned, f"median cosine of independent gradients {health.cosine:.2f}"))
    return summary(found, _NOT_RUN)


def _falls_short(evidence: Evidence) -> list[Finding]:
    """By threat model, how many images the white-box attacks broke on the attacker's draws and not on the judge's."""
    found: list[Finding] = []
    for eps, frame in evidence.outcomes.groupby("eps"):
        by_image = frame.groupby("image")[["correct", "correct_attacker"]].all()
        short, count = int((by_image["correct"] & ~by_image["correct_attacker"]).sum()), len(by_image)
        where = f"eps {format_eps(float(eps))}"  # type: ignore[arg-type]
        found.append((over(short, count, SHORT), f"{where}: {short} of {count} broken on the attacker's draws alone"))
    return found


@check(
    "V15",
    "one draw can be broken",
    "averaging over draws should only make an attack harder: where a single draw withstands, attacks fail",
)
def one_draw(evidence: Evidence) -> Finding:
    """An attack on one frozen draw, judged by that draw, succeeds at least as often as one on all of them."""
    if evidence.kind is Kind.POINT:
        return NO_DRAWS
    found: list[Finding] = []
    for record in evidence.adaptive.get("one draw", []):
        threat, library = record.cell.attack.threat, record.cell.libraries[0]
        alone = dict(zip(record.examples, record.outcomes[library].correct_attacker, strict=True))
        together = _on_attacker_draws(evidence, threat, record.cell.attack.name, library)
        common = alone.keys() & together.keys()
        if common:
            only_alone = sum(alone[e] and not together[e] for e in common)
            only_together = sum(together[e] and not alone[e] for e in common)
            status = risen(only_alone, only_together, len(common), POINT)
            survive = sum(alone[e] for e in common)
            text = f"{survive} of {len(common)} survive on one draw, {survive - only_alone + only_together} on all"
            found.append((status, f"{_where(threat)}: {text}"))
    return summary(found, _NOT_RUN)


def _breaks_little(
    evidence: Evidence,
    names: tuple[str, ...],
    margin: float,
    beyond: Mapping[ThreatModel, set[int]] | None = None,
    required: tuple[str, ...] | None = None,
) -> Finding:
    """Whether each adaptive attack breaks at most a share `margin` of all images among those in `beyond`.

    beyond: by threat model, the images that count; by default those that survive the white-box attacks.
    The check is open where an attack was not run on all surviving images, and where one of the `required` (default:
    each of them) was not run at all.
    """
    found: list[Finding] = []
    for threat, surviving in evidence.surviving.items():
        counted = (beyond or evidence.surviving)[threat]
        for name in names:
            if evidence.kind not in ADAPTIVE_ATTACKS[name].kinds:
                continue
            by_source: dict[str | None, list[Record]] = {}
            for record in evidence.adaptive.get(name, []):
                if record.cell.attack.threat == threat:
                    by_source.setdefault(record.cell.attack.source, []).append(record)
            if surviving and not by_source and name in (names if required is None else required):
                found.append(("OPEN", f"not checked: {_where(threat)}, {name}: {_NOT_RUN}"))
            for source, records in by_source.items():
                what = f"{_where(threat)}, {name if source is None else f'from {source}'}"
                if surviving - {example for record in records for example in record.examples}:
                    found.append(("OPEN", f"not checked: {what}: on fewer images"))
                else:
                    broken, count = sum(len(record.broken & counted) for record in records), evidence.images[threat]
                    found.append((over(broken, count, margin), f"{what}: {broken} more of {count} broken"))
    if not found and evidence.surviving:
        return "PASS", "no image survives that could be broken"
    return summary(found, _NOT_RUN)


def _on_attacker_draws(evidence: Evidence, threat: ThreatModel, attack: str, library: str) -> dict[int, bool]:
    """Example -> whether it survives on the attacker's draws."""
    return {
        example: survives
        for record in evidence.records
        if record.cell.attack.threat == threat and record.cell.attack.name == attack and library in record.outcomes
        for example, survives in zip(record.examples, record.outcomes[library].correct_attacker, strict=False)
    }


def _where(threat: ThreatModel) -> str:
    return f"{threat.norm} eps {format_eps(threat.eps)}"
