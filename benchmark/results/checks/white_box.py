"""Checks on the outcomes of the protocol's own attacks."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pandas as pd

from benchmark.attacks.spec import format_eps
from benchmark.protocol import SIGNIFICANCE, required_agreement
from benchmark.records.agreement import meets, weakest
from benchmark.records.record import Record
from benchmark.results.checks.check import NOT_APPLICABLE, Finding, check, first_few, over, risen, summary
from benchmark.results.evidence import Evidence
from benchmark.statistics import mcnemar


@check(
    "V1",
    "eps = 0 changes nothing",
    "an attack that moves images without a budget does something else than its name says",
    everywhere=True,
)
def no_budget(evidence: Evidence) -> Finding:
    """At eps = 0 images come back bit for bit, and accuracy is the clean one."""
    found: list[Finding] = []
    for record in evidence.extra:
        if record.cell.attack.threat.eps == 0:
            for library, outcome in sorted(record.outcomes.items()):
                where = f"{library} {record.cell.attack.name}"
                if outcome.error is not None:
                    if record.cell.attack.threat.norm == evidence.norm:
                        found.append(("ERROR", f"{where} failed: {outcome.error}"))
                    continue
                distance = outcome.array("distance")
                moved = np.count_nonzero(distance) + len(outcome.violations)
                flipped = np.count_nonzero(outcome.array("correct") != record.clean.array("correct"))
                if moved or flipped:
                    found.append(("FAIL", f"{where}: {moved} images changed, {flipped} verdicts"))
                else:
                    found.append(("PASS", f"{where}: {len(distance)} images unchanged"))
    return summary(found, "no attack ran at eps 0")


@check(
    "V2",
    "within budget and box",
    "images outside the threat model count for nothing, and a library that failed has not attacked",
    everywhere=True,
)
def budget_and_box(evidence: Evidence) -> Finding:
    """Every image within eps and [0, 1] and finite; an exception of a library is an error, never a score.

    What an own attack leaves outside counts for nothing either, but says nothing of the network or the libraries.
    """
    records = [*evidence.records, *evidence.extra]
    for record in records:
        for library, outcome in record.outcomes.items():
            # an attack in the other norm that failed at eps 0 says nothing here
            if outcome.error is not None and record.cell.attack.threat.norm == evidence.norm:
                return "ERROR", f"{library} failed on {record.cell.label}: {outcome.error}"
    if outside := _outside(record for record in records if not record.cell.attack.is_own):
        return "FAIL", f"images outside budget or box: {outside}"
    count = sum(
        len(record.examples) for record in records for outcome in record.outcomes.values() if outcome.error is None
    )
    left = _outside(record for record in records if record.cell.attack.is_own)
    own = f"; of own attacks some were outside and count for nothing: {left}" if left else ""
    return "PASS", f"{count} adversarial images within budget and box{own}"


@check(
    "V6",
    "iterative beats single-step",
    "a single step that beats twenty says that the gradient points elsewhere than the loss rises: it is masked",
    everywhere=True,
)
def iterative_beats_single_step(evidence: Evidence) -> Finding:
    """Images that only FGSM breaks, not PGD at the same eps: at most 1 %; more points at masked gradients."""
    if all(record.cell.attack.threat.norm == "l2" for record in evidence.records):
        return "PASS", f"{NOT_APPLICABLE}: fgsm is an attack in linf"
    found: list[Finding] = []
    linf = evidence.by_image[evidence.by_image["attack"].isin(["fgsm", "pgd-linf"])]
    for eps in sorted(linf["eps"].unique()):
        survived = _survival(linf[linf["eps"] == eps], "attack")
        if {"fgsm", "pgd-linf"} <= set(survived.columns) and len(survived):
            only, count = int((~survived["fgsm"] & survived["pgd-linf"]).sum()), len(survived)
            where = f"eps {format_eps(float(eps))}"
            found.append((over(only, count, 0.01), f"{where}: only fgsm breaks {only} of {count}"))
    return summary(found, "no eps at which both fgsm and pgd-linf ran on the same images")


@check(
    "V7",
    "monotone in eps",
    "a larger ball holds the smaller one, so an attack that does worse in it has not found what is there",
    everywhere=True,
)
def monotone_in_eps(evidence: Evidence) -> Finding:
    """Robust accuracy does not rise by more than 1 point from one eps to the next."""
    found: list[Finding] = []
    for attack, frame in evidence.by_image.groupby("attack"):
        survived = _survival(frame, "eps")
        for low, high in pairwise(sorted(survived.columns)) if len(survived) else ():
            count = len(survived)
            lost, won = (int((survived[a] & ~survived[b]).sum()) for a, b in ((low, high), (high, low)))
            grid = f"eps {format_eps(float(low))} to {format_eps(float(high))}"
            found.append((risen(won, lost, count, 0.01), f"{attack}, {grid}: {lost - won} fewer of {count} survive"))
    return summary(found, "no attack ran at two eps on the same images")


@check(
    "V16",
    "libraries agree",
    "the same attack differs between libraries, so one of them did not do what it says",
    everywhere=True,
)
def libraries_agree(evidence: Evidence) -> Finding:
    """No pair of libraries disagrees; a level below the one the protocol requires is flagged.

    A pair fails that disagrees by more than chance, as tried on all pairs at once: 1 % is divided by their number.
    """
    pairs = [
        (pair, required_agreement(spec), f"{spec.name} eps {format_eps(spec.threat.eps)}")
        for (_, spec), comparisons in evidence.agreement.items()
        for pair in comparisons
    ]
    if all(record.cell.attack.is_own for record in evidence.records):
        return "OPEN", "not checked: no attack of the protocol ran"
    if not pairs:
        return "FLAG", "one library only: nothing to compare"
    found: list[Finding] = []
    for pair, required, where in pairs:
        if not meets(pair.level, required):
            chance = mcnemar(len(pair.only_first), len(pair.only_second))
            certain = pair.level == "disagree" and chance < SIGNIFICANCE / len(pairs)
            text = f"{pair.first}/{pair.second}, {where}: {pair.level}, {required} is required"
            found.append(("FAIL" if certain else "FLAG", text))
    weak = weakest(pair.level for pair, _, _ in pairs)
    return summary(found or [("PASS", f"{len(pairs)} comparisons, weakest {weak}")], "")


def _outside(records: Iterable[Record]) -> str:
    """How many images are outside budget or box, by the first few attacks; empty for none."""
    return first_few(
        [
            f"{library} {record.cell.label}: {len(outcome.violations)} images"
            for record in records
            for library, outcome in record.outcomes.items()
            if outcome.violations
        ]
    )


def _survival(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Image by `column`, true where no library broke it; only images that have every column. frame: of `by_image`."""
    table = frame.set_index([column, "image"])["correct"].unstack(column)
    return table.dropna().astype(bool)
