"""Checks on networks with posterior draws: whether there are enough, and what other attackers and judges see."""

from __future__ import annotations

import functools
from collections.abc import Callable

from benchmark.attacks.spec import ThreatModel
from benchmark.results.checks.check import (
    NO_DRAWS,
    NOT_APPLICABLE,
    NOT_RUN,
    POINT,
    UNLIKELY,
    Finding,
    check,
    over,
    risen,
    summary,
    where,
)
from benchmark.results.evidence import Evidence
from benchmark.results.readings import Readings
from benchmark.statistics import mcnemar, share_below
from zoo.kind import Kind

KNOWN = 0.05  # share of images that may be broken beyond the worst case by who knows the judge's draws
# Share of verdicts that another judge may reverse. Accuracy by one judge then has a variance of half of that share a
# image, which makes the standard deviation that 100 images give a row anyway (0.5 an image at most) larger by 5 %.
REVERSED = 0.05


@check(
    "V14",
    "enough draws",
    "with more draws at each step the attack breaks more, and would go on; the worst case includes the most that ran",
)
def enough_draws(evidence: Evidence) -> Finding:
    """With fresh draws at each step, two doublings in a row break at most 1 point more each.

    How well few frozen draws do is another question: on a wide posterior they do badly, which speaks against no row.
    """
    if evidence.kind is Kind.POINT:
        return NO_DRAWS
    if evidence.kind is Kind.FINITE and all(r.cell.attack_draws == r.cell.judge_draws for r in evidence.records):
        return (
            "PASS",
            f"{NOT_APPLICABLE}: attacked through all {_members(evidence)} members, which are all that is judged",
        )
    found: list[Finding] = []
    for threat, surviving in evidence.surviving.items():
        climbed = evidence.ladders.get(threat)
        if climbed is None or (climbed.wanted != tuple(climbed.survivors) and not climbed.converged):
            if surviving:
                found.append(("OPEN", f"not checked: {where(threat)}: {NOT_RUN}"))
            continue
        steps = " → ".join(map(str, climbed.survivors))
        left = ", ".join(map(str, climbed.survivors.values()))
        text = f"{where(threat)}: {steps} fresh draws a step leave {left} of {climbed.count}"
        if climbed.converged:
            found.append(("PASS", text))
        else:
            found.append(("FLAG", f"{text}; the last doubling still broke {climbed.gains[-1]}"))
    if not found and evidence.surviving:
        return "PASS", "no image survives that could be broken"
    return summary(found, NOT_RUN)


@check(
    "V15",
    "one draw can be broken",
    "averaging over draws should only make an attack harder: where a single draw withstands, attacks fail",
)
def one_draw(evidence: Evidence) -> Finding:
    """An attack on one frozen draw, judged by that draw, succeeds at least as often as one on all of them.

    More may survive on one draw by chance, as where a posterior is nearly a point (2 of 100 more on 2 of 16 honest
    rows): a flag is given for more than 1 point where McNemar's test says that it is not chance (5 %).
    """
    if evidence.kind is Kind.POINT:
        return NO_DRAWS
    found: list[Finding] = []
    verdicts_of = functools.cache(evidence.verdicts_of)  # of all shards, and asked for shard by shard
    for record in evidence.adaptive.get("one draw", []):
        threat, library = record.cell.attack.threat, record.cell.libraries[0]
        alone = dict(zip(record.examples, record.outcomes[library].correct_attacker, strict=True))
        together = verdicts_of(record.cell.attack, library, "attacker")
        common = alone.keys() & together.keys()
        if common:
            only_alone = sum(alone[e] and not together[e] for e in common)
            only_together = sum(together[e] and not alone[e] for e in common)
            by_chance = mcnemar(only_alone, only_together, "greater") >= UNLIKELY
            status = "PASS" if by_chance else risen(only_alone, only_together, len(common), POINT)
            survive = sum(alone[e] for e in common)
            text = f"{survive} of {len(common)} survive on one draw, {survive - only_alone + only_together} on all"
            found.append((status, f"{where(threat)}: {text}"))
    return summary(found, NOT_RUN)


@check(
    "V19",
    "another judge gives the same verdicts",
    "the verdict on an image hangs on the judge's draws: he has too few of them for such a posterior",
)
def repeatable(evidence: Evidence) -> Finding:
    """A second judge with other draws reverses at most 5 % of verdicts on the images of PGD.

    Images near the boundary are a toss-up for any number of draws: 64 judges' draws reversed 0 to 4 of 100 verdicts on
    14 rows of honest posteriors, 11 on one whose draws drown in noise. A flag is given where more than 5 % is not
    chance (5 %, exact binomial test).
    """
    return _read(evidence, _reversed)


@check(
    "V20",
    "one draw a query",
    "for information: a network that answers each query by one draw gives an attacker as many tries as he has queries",
)
def one_draw_a_query(evidence: Evidence) -> Finding:
    """Accuracy of single draws, the worst of several submissions, and the majority of draws: no verdict."""
    if evidence.kind is Kind.POINT:
        return NO_DRAWS
    found: list[Finding] = []
    for threat in evidence.surviving:
        if (one := _readings(evidence, threat).one_draw) is not None:
            counts = ", ".join(f"{100 * share:.0f} % in {count}" for count, share in one.of.items())
            text = f"right in every one of N submissions: {counts}; by majority: {100 * one.majority.value:.0f} %"
            found.append(("PASS", f"{where(threat)}: {text}"))
    if not found and evidence.kind is Kind.FINITE:
        return "PASS", f"{NOT_APPLICABLE}: what is deployed is the average of all {_members(evidence)} members"
    return summary(found, NOT_RUN)


@check(
    "V21",
    "knowing the judge's draws helps little",
    "robust by randomness: deployed with fixed draws, or against who can estimate the average as well as the judge, it "
    "is as robust as on the judge's own draws",
)
def deterministic(evidence: Evidence) -> Finding:
    """PGD on the judge's own draws breaks at most 5 points more than everything else."""
    return _read(evidence, _broken_by_knowledge)


def _reversed(readings: Readings) -> Finding | None:
    if (reversals := readings.reversals) is None:
        return None
    _, by_chance = share_below(reversals.hits, reversals.count, REVERSED)
    status = over(reversals.hits, reversals.count, REVERSED) if by_chance < UNLIKELY else "PASS"
    return status, f"{reversals.hits} of {reversals.count} verdicts reversed"


def _broken_by_knowledge(readings: Readings) -> Finding | None:
    if readings.deterministic is None:
        return None
    more, count = readings.headline.hits - readings.deterministic.hits, readings.headline.count
    return over(more, count, KNOWN), f"{more} more of {count} broken"


def _read(evidence: Evidence, of: Callable[[Readings], Finding | None]) -> Finding:
    """What is found in the readings, threat model by threat model; None where that was not run.

    It says how to read a number, and not that it is wrong, so that it keeps no row out of the ranking: FLAG at most.
    """
    if evidence.kind is Kind.POINT:
        return NO_DRAWS
    if evidence.kind is Kind.FINITE:
        return "PASS", f"{NOT_APPLICABLE}: all {_members(evidence)} members judge, and are attacked"
    found: list[Finding] = []
    for threat in evidence.surviving:
        if (finding := of(_readings(evidence, threat))) is None:
            found.append(("OPEN", f"not checked: {where(threat)}: {NOT_RUN}"))
        else:
            status, text = finding
            found.append(("FLAG" if status == "FAIL" else status, f"{where(threat)}: {text}"))
    return summary(found, NOT_RUN)


def _members(evidence: Evidence) -> int:
    return evidence.records[0].cell.judge_draws


def _readings(evidence: Evidence, threat: ThreatModel) -> Readings:
    return Readings(evidence, threat, evidence.survivors(threat))
