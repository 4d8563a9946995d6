"""What the study answers: a table of every posterior against the maximum, and sentences that can be quoted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from statistics import median

from scipy.stats import kendalltau

from benchmark.attacks.spec import ThreatModel, format_eps
from benchmark.papers.posteriors.figures import middle
from benchmark.papers.posteriors.findings import Findings
from benchmark.papers.posteriors.grid import EXACT, MAP, PROBLEMS, TRAININGS
from benchmark.papers.posteriors.suite import Attacker
from benchmark.plan.adaptive_attack import NORMS
from benchmark.reports.tables import threat_title
from benchmark.statistics import Estimate

LEVEL = 0.05
SHOWN = 2  # eps of each norm in full
_Against = Callable[[ThreatModel, bool], dict[str, Estimate]]  # threat model, own draws -> posterior -> estimate
READINGS = {"by unknown draws": False, "on the judge's own draws": True}


def verdict(more: Estimate) -> str:
    """`more robust`, `less robust`, or nothing where neither is certain."""
    return "" if more.p >= LEVEL else "more robust" if more.mean > 0 else "less robust"


def against_maximum(findings: Findings) -> Iterator[dict[str, object]]:
    """A line for each posterior: points beyond the maximum by unknown draws and on the judge's own."""
    for name in (name for name in findings.posteriors if name != MAP):
        yield {
            "posterior": name,
            "mutual information": f"{findings.mean(name, 'mutual_information'):.4f}",
            "clean": _more_right(findings, name),
            **_by_threat(findings, name, findings.beyond_map),
        }


def fewer_broken(findings: Findings) -> Iterator[dict[str, object]]:
    """The same of images that attacks break: what is right without an attack and wrong under one."""
    for name in findings.fewer_lost(middle(findings)[0]):
        yield {"posterior": name, **_by_threat(findings, name, findings.fewer_lost)}


def _by_threat(findings: Findings, name: str, against: _Against) -> dict[str, str]:
    """Points against the maximum, in both readings."""
    return {
        threat_title(one.norm, one.eps): " / ".join(_points(against(one, own)[name]) for own in READINGS.values())
        for one in middle(findings, SHOWN)
    }


def _more_right(findings: Findings, name: str) -> str:
    """Points of accuracy without an attack beyond the maximum's, on the images that are attacked."""
    base = findings.clean(MAP)
    each = [findings.clean(name, own) for own in READINGS.values()]
    return " / ".join(f"{100 * (one.mean() - base.mean()):+z.0f}" for one in each) if base.size and each[0].size else ""


def in_short(found: Iterable[Findings]) -> Iterator[str]:
    """What holds, a question at a time, each of every problem."""
    found = tuple(found)
    count = len(middle(found[0], SHOWN))
    rule = (
        f"By the test, at how many of {count} eps by unknown draws; in brackets on the judge's own, "
        "where that differs: "
    )
    for question, word in _WORDS.items():
        yield _of_all(question, {one.problem.name: _told(one, word, one.beyond_map) for one in found}, rule)
        rule = ""
    on_record = [one for one in found if one.clean(MAP).size]
    for question, word in _OF_BROKEN.items():
        if on_record:
            yield _of_all(question, {one.problem.name: _told(one, word, one.fewer_lost) for one in on_record})
    wrong = {one.problem.name: told for one in found if (told := _overestimate(one))}
    yield _of_all("What does a wrong gradient alone add?", wrong)
    many = [one for one in found if one.has_widths]
    for question, measure in _MEASURES.items():
        if many:
            correlated = {one.problem.name: _correlated(one, measure(one)) for one in many}
            yield _of_all(question, correlated, "Rank correlation over kinds with robust accuracy, by unknown draws. ")
    yield _of_all("What is left at the largest eps?", {one.problem.name: _left(one) for one in found}, "At most: ")


def left_open(found: Iterable[Findings], again: Iterable[Findings] = ()) -> Iterator[str]:
    """What these tables do not answer. again: what was measured with more members."""
    found = tuple(found)
    least = "; ".join(f"{one.problem.name}: about {least_that_is_told(one):.0f} points" for one in found)
    yield (
        f"Differences smaller than so many images and {TRAININGS} trainings tell ({least}). Where trainings differ "
        "more than images do, more trainings are missing, not more images."
    )
    exact = [one.problem.name for one in found if EXACT in one.posteriors]
    yield (
        f"Whether a larger network's true posterior is robust: HMC was run for {', '.join(exact) or 'none'} alone. "
        "All other posteriors are approximations, and say nothing of what they approximate."
    )
    for one in found:
        chains = {name: figures for name, figures in one.sampling.items() if name in one.posteriors}
        unmixed = [
            name
            for name, trainings in chains.items()
            if any(not figures.get("converged", True) for figures in trainings.values())
        ]
        if unmixed:
            yield f"Chains of {', '.join(unmixed)} ({one.problem.name}) have not mixed by the rule above."
    measured = {one.problem.name: one.posteriors for one in (*found, *again)}
    for name, problem in PROBLEMS.items():
        kinds = [kind for kind in problem.posteriors if kind not in measured.get(name, [])]
        if kinds:
            which = f": {', '.join(kinds)}" if name in measured else ""
            yield f"{name} ({problem.architecture} given {problem.data}), defined and not measured{which}."
    yield "Posteriors that are trained to be robust; of one, bounds say what no attack can do: [bounds](bounds.md)."


def grid_of(findings: Findings) -> str:
    """How much was measured, and the time that attacks took."""
    frame = findings.outcomes.attacks
    networks = len(frame[["posterior", "training"]].drop_duplicates())
    hours = frame["seconds"].sum() / 3600
    return f"{networks} networks, {len(frame):,} attacks, {hours:.1f} hours of a core in the attacks themselves"


def less_attacked(findings: Findings) -> Iterator[str]:
    """Which kinds met fewer attacks than the others, whose numbers may be too high; nothing where none did."""
    threat = middle(findings)[0]
    found = [
        name
        for name in findings.posteriors
        if findings.is_sample(name)
        and not all(findings.survivors(name, threat, [Attacker.MEAN], own=known).size for known in READINGS.values())
    ]
    if found:
        yield (
            "Not attacked through their mean weights, and on the judge's own draws by PGD through these alone, so that "
            f"their numbers may be too high: {', '.join(found)}."
        )


def never_exchanged(findings: Findings) -> str:
    """Which kinds' halves were not exchanged."""
    threats = [threat for norm in NORMS for threat in findings.threats(norm)]
    found = [
        name
        for name in findings.posteriors
        if findings.is_sample(name) and not any(findings.exchanged(name, threat) for threat in threats)
    ]
    return f"Not exchanged: {', '.join(found)}." if found else ""


def least_that_is_told(findings: Findings) -> float:
    """Points: half the middle width of the intervals of differences from the maximum, over all that is shown."""
    return median(
        50 * (one.high - one.low)
        for threat in middle(findings, SHOWN)
        for one in findings.beyond_map(threat).values()
        if not math.isnan(one.low)
    )


def of_the_exact_posterior(findings: Findings) -> Iterator[str]:
    """What attacks find of the posterior that needs no approximation, and how its gradients go."""
    if EXACT not in findings.posteriors:
        return
    for threat in middle(findings, SHOWN):
        single = 100 * findings.survivors(EXACT, threat, [Attacker.SINGLE]).mean()
        limit, known, best = (
            100 * findings.robust(name, threat, own=own).mean
            for name, own in ((EXACT, False), (EXACT, True), (MAP, False))
        )
        yield (
            f"**Full-batch HMC, {threat_title(threat.norm, threat.eps)}**: an attack by one draw's gradient leaves "
            f"{single:.0f} %, all together {limit:.0f} % by unknown draws and {known:.0f} % on the judge's own draws; "
            f"the maximum of the posterior has {best:.0f} %."
        )
    norms, in_limit = findings.norms(EXACT), findings.mean(EXACT, "limit")
    (one, *_), (most, *_) = norms.values(), reversed(norms.values())
    yield (
        f"**Gradients**: the expected gradient's mean norm under HMC is {one:.2f} with one draw, {most:.2f} with "
        f"{max(norms)} and {in_limit:.2f} in the limit; at the maximum it is {findings.norms(MAP)[1]:.2f}."
    )


def _of_all(question: str, told: Mapping[str, str], before: str = "") -> str:
    """A question and its answer of each problem."""
    return f"**{question}** {before}{'; '.join(f'*{name}* {answer}' for name, answer in told.items())}."


def _told(findings: Findings, word: str, against: _Against) -> str:
    """Which posteriors are so against the maximum, and at how many of the eps."""
    threats = middle(findings, SHOWN)
    limit, own = (
        Counter(name for threat in threats for name, one in against(threat, known).items() if verdict(one) == word)
        for known in READINGS.values()
    )
    names = [name for name in findings.posteriors if name in limit or name in own]
    each = (f"{name} {limit[name]}" + (f" ({own[name]})" if own[name] != limit[name] else "") for name in names)
    return ", ".join(each) or "none"


def _overestimate(findings: Findings) -> str:
    """What an attack by a wrong gradient would have reported too much, at most, at the first eps in the middle."""
    threat = middle(findings)[0]
    most = []
    for attacker in (Attacker.SINGLE, Attacker.FROZEN, Attacker.MEAN):
        # the mean of networks that were trained apart is none that anybody attacks
        over = {name: findings.over(name, threat, attacker) for name in findings.posteriors if findings.is_sample(name)}
        known = [(value, name) for name, value in over.items() if value is not None]
        if known and (worst := max(known))[0] > 0:
            most.append(f"{attacker} up to {100 * worst[0]:.0f} points ({worst[1]})")
    return f"at {_at(threat)}: {', '.join(most)}" if most else ""


def _correlated(findings: Findings, measured: list[float]) -> str:
    """Kendall's rank correlation of a measure of every kind with its robust accuracy."""
    told = []
    for threat in middle(findings, SHOWN):
        tau, p = kendalltau(measured, [findings.robust(name, threat).mean for name in findings.posteriors])
        told.append(f"{tau:+z.2f} at {_at(threat)} (p {p:.2g})")
    return f"{', '.join(told)}, over {len(measured)}"


def _widths(findings: Findings) -> list[float]:
    return [findings.mean(name, "mutual_information") for name in findings.posteriors]


def expected_gradients(findings: Findings) -> list[float]:
    """Mean norm of the expected gradient in the limit of many draws; one network's own."""
    limits = {name: findings.mean(name, "limit") for name in findings.posteriors}
    return [findings.norms(name)[1] if math.isnan(limit) else limit for name, limit in limits.items()]


def _left(findings: Findings) -> str:
    """What the most robust posterior keeps at the largest eps of each norm."""
    told = []
    for threat in (findings.threats(norm)[-1] for norm in NORMS if findings.threats(norm)):
        share, name = max((findings.robust(name, threat).mean, name) for name in findings.posteriors)
        told.append(
            f"{100 * share:.0f} % at {_at(threat)} ({name})" if round(100 * share) else f"none at {_at(threat)}"
        )
    return ", ".join(told)


def _at(threat: ThreatModel) -> str:
    return f"{threat.norm} {format_eps(threat.eps)}"


def _points(more: Estimate) -> str:
    points = f"{100 * more.mean:+z.0f}"
    return f"**{points}**" if verdict(more) else points


_WORDS = {
    "Which posteriors are more robust than the maximum?": "more robust",
    "Which are less robust?": "less robust",
}
_OF_BROKEN = {
    "Of which do attacks break fewer images, whatever their clean accuracy?": "more robust",
    "Of which more?": "less robust",
}
_MEASURES = {
    "Are wider posteriors more robust?": _widths,
    "Are those of larger expected gradients?": expected_gradients,
}
