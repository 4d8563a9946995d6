"""The check on what an entry keeps from one pass to the next (`benchmark.evaluation.state`)."""

from __future__ import annotations

from scipy.stats import fisher_exact

from benchmark.plan.cells import Reading
from benchmark.records.state import Attacked, State
from benchmark.results.checks.check import NOT_RUN, POINT, Finding, check, over, summary
from benchmark.results.evidence import Evidence

CERTAIN = 1e-3  # p-value: an audit asks four times


@check(
    "V27",
    "no hidden state",
    "the network answers by what it has seen, how often it was called or what is beside an image: none of its numbers "
    "is of the image alone, and a network that meets an adversarial image first may answer otherwise",
)
def hidden_state(evidence: Evidence) -> Finding:
    """Networks that are built anew answer as the judge does, whatever they have seen before, up to rounding, on all but
    1 % of images: at a step of a quantiser rounding decides. Images that nobody has asked about survive PGD no more
    rarely than those of the audit (Fisher's exact test): what all builds share may have been filled by the audit, or
    know its images from the start. What keeps, draws or optimises something and yet always answers the same is named,
    and flagged.
    """
    found: list[Finding] = []
    for record in evidence.readings:
        if record.cell.reading is Reading.REBUILT:
            if record.state is not None:
                found.append(_finding(record.state))
            elif not record.complete:
                errors = [one.error for one in (record.clean, *record.outcomes.values()) if one.error is not None]
                found.append(("ERROR", f"the network that was built anew was not judged: {errors[0]}"))
    return summary(found, NOT_RUN)


def _finding(state: State) -> Finding:
    found = [(over(one.beyond, one.images, POINT), f"{name}: {one}") for name, one in state.passages.items()]
    found += [("FAIL", f"{name}: {error}") for name, error in state.failed.items()]
    if state.attacked is not None and _rarer(state.attacked) < CERTAIN:
        found.append(("FAIL", str(state.attacked)))
    if state.weights:
        found.append(("FAIL", f"two builds differ in {', '.join(state.weights)}"))
    found += [
        ("FLAG", f"{what} {', '.join(names)}")
        for what, names in (
            ("builds differ in", state.attributes),
            ("it remembers", state.remembers),
            ("a pass draws from the global generator of", state.draws),
            ("a pass optimises by", state.optimises),
        )
        if names
    ]
    worst, text = summary(found, "")
    if worst != "PASS":
        named = [text for status, text in found if status == "FLAG" and worst == "FAIL"]
        return worst, "; ".join([text, *named])
    closest = max(state.passages.values(), key=lambda one: one.difference / one.rounding)
    apart = "" if state.copies else "; what builds share was not told apart"
    return "PASS", (
        f"{len(state.passages)} histories; log-probabilities differ by up to {closest.difference:g}, by rounding up to "
        f"{closest.rounding:g}{apart}"
    )


def _rarer(attacked: Attacked) -> float:
    """The p-value of as few unseen images surviving, did they survive as often as those of the audit."""
    table = [[survive, count - survive] for survive, count in (attacked.unseen, attacked.audited)]
    return float(fisher_exact(table, "less").pvalue)
