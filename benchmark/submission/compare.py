"""Two records of one cell, the submitted one and that of running it again, and the rule that judges how they differ.

Machines round differently, and what an attack ends with depends on roundings. The rule, with its numbers here:

- An image's verdict that differs is borderline where the record that calls it broken does so by less than `MARGIN`: in
  nats between the wrong label and the right one; of an attack that looks for the nearest image, in the logarithm of
  distance over eps. It is refused where it is not borderline.
- Of an attack that takes no gradient, a rounding decides which query is accepted, and everything after it: its verdicts
  may differ by any margin on images that another attack breaks anyway, where the row is the same.
- No more than `SHARE` of all verdicts may differ, and those that do may not lean to the submitter: it is refused where
  that so many of them call an image surviving that is broken here has a chance below `LEAN`.
- Clean images, which nothing is attacked in, are equal but for ties, and their log-probabilities but for rounding.
- Of a library's other numbers, the median difference over images is at most `MEDIAN` nats, or that share of a distance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from statistics import median
from typing import NamedTuple

from scipy.stats import binomtest

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.nearest import broken_under, is_of_every_eps
from benchmark.protocol import eps_grid
from benchmark.records.outcome import Outcome
from benchmark.records.record import Record
from benchmark.submission.finding import Finding

MARGIN, SHARE, LEAN, MEDIAN = 0.05, 0.01, 0.01, 0.05
CLEAN = 1e-2  # relative, of a clean image's log-probability
PASSES, PLANTED = 0.1, 0.05  # shares that passes and planted examples may differ by


class Difference(NamedTuple):
    """A verdict that differs. by: library, or the eps of an attack that looks for the nearest image.

    survives: in the submitted record. margin: by which the record that calls it broken does so. chaotic: of an attack
    without gradients, on an image that does not survive in the row.
    """

    cell: str
    by: str
    image: int
    survives: bool
    margin: float
    chaotic: bool

    @property
    def is_borderline(self) -> bool:
        return self.chaotic or self.margin < MARGIN


class Again(NamedTuple):
    """A cell that was run again. verdicts: how many were compared. findings: what no rounding explains."""

    cell: str
    verdicts: int
    differences: list[Difference]
    findings: list[Finding]


Alive = Mapping[ThreatModel, Set[int]]  # the images that survive in a submission's rows


def compared(submitted: Record, here: Record, alive: Alive) -> Again:
    """A record beside that of running its cell again. alive: what survives all of the submission's attacks."""
    label = submitted.cell.label
    found = [Finding("re-run", f"{label}: {says}") for says in _numbers(submitted, here)]
    if set(here.outcomes) != set(submitted.outcomes) or not here.complete:
        return Again(label, 0, [], [*found, Finding("re-run", f"{label}: a library failed here: {_errors(here)}")])
    if is_of_every_eps(submitted.cell.attack):
        differences, count = list(_nearest(submitted, here, alive)), len(submitted.examples) * len(_threats(submitted))
    else:
        differences = [
            one for library in submitted.cell.libraries for one in _of_library(submitted, here, library, alive)
        ]
        count = len(submitted.examples) * len(submitted.cell.libraries)
    return Again(label, count, differences, found)


def judged(again: Sequence[Again]) -> Iterator[Finding]:
    """What the rule makes of all cells together."""
    differences = [one for each in again for one in each.differences]
    count = sum(each.verdicts for each in again)
    yield from (finding for each in again for finding in each.findings)
    for one in differences:
        if not one.is_borderline:
            told = "survives in the record and is broken" if one.survives else "is broken in the record and survives"
            margin = f"{one.margin:.3g}" if math.isfinite(one.margin) else "an unknown margin"
            yield Finding("re-run", f"{one.cell}, {one.by}: image {one.image} {told} here, by {margin}: no rounding")
    if len(differences) > max(1, SHARE * count):
        yield Finding("re-run", f"{len(differences)} of {count} verdicts differ, more than {100 * SHARE:g} %")
    leaning = sum(one.survives for one in differences)
    if differences and binomtest(leaning, len(differences), alternative="greater").pvalue < LEAN:
        yield Finding("re-run", f"of {len(differences)} verdicts that differ {leaning} are in favour of the submission")


def _of_library(submitted: Record, here: Record, library: str, alive: Alive) -> Iterator[Difference]:
    first, second = submitted.outcomes[library], here.outcomes[library]
    attack = submitted.cell.attack
    for place, image in enumerate(submitted.examples):
        if first.correct[place] != second.correct[place]:
            broken = second if first.correct[place] else first
            margin = _margin(broken, place)
            chaotic = not attack.method.gradients and image not in alive.get(attack.threat, ())
            yield Difference(submitted.cell.label, library, image, first.correct[place], margin, chaotic)


def _margin(outcome: Outcome, place: int) -> float:
    """How much likelier the wrong label is than the right one, in nats."""
    return math.log(max(outcome.confidence[place], 1e-300)) - outcome.log_p[place]


def _threats(record: Record) -> list[ThreatModel]:
    norm = record.cell.attack.threat.norm
    return [ThreatModel(norm, eps) for eps in eps_grid(record.cell.dataset)[norm]]


def _nearest(submitted: Record, here: Record, alive: Alive) -> Iterator[Difference]:
    for threat in _threats(submitted):
        first, second = broken_under(submitted, threat), broken_under(here, threat)
        for image in sorted(first ^ second):
            distance = (submitted if image in first else here).distances[image]
            margin = math.log(threat.eps / distance) if distance > 0 else math.inf
            by = f"eps {threat.eps:g}"
            chaotic = not submitted.cell.attack.method.gradients and image not in alive.get(threat, ())
            yield Difference(submitted.cell.label, by, image, image not in first, margin, chaotic)


def _numbers(submitted: Record, here: Record) -> Iterator[str]:
    """What differs beside verdicts, and no rounding explains."""
    if (submitted.examples, submitted.labels) != (here.examples, here.labels):
        yield "other images or labels"
        return
    for place, image in enumerate(submitted.examples):
        first, second = submitted.clean.log_p[place], here.clean.log_p[place]
        tie = _margin(here.clean, place) < CLEAN and _margin(submitted.clean, place) < CLEAN
        if abs(first - second) > CLEAN * (1 + abs(second)) or (
            submitted.clean.correct[place] != here.clean.correct[place] and not tie
        ):
            yield f"image {image} as it is has log p {first}, here {second}"
            return
    yield from (says for library in submitted.cell.libraries for says in _columns(submitted, here, library))
    yield from _beside(submitted, here)


def _columns(submitted: Record, here: Record, library: str) -> Iterator[str]:
    """What differs in a library's numbers by more than roundings make of them."""
    if library not in submitted.outcomes or here.outcomes[library].error is not None:
        return
    first, second = submitted.outcomes[library], here.outcomes[library]
    for name in ("log_p", "entropy", "mutual_information"):
        if (typical := _typical(getattr(first, name), getattr(second, name))) > MEDIAN:
            yield f"{library}: {name} differs by {typical:.3g} nats in the median"
    largest = max(second.distance, default=0.0)
    if (typical := _typical(first.distance, second.distance)) > MEDIAN * largest:
        yield f"{library}: distances differ by {typical:.3g} in the median"
    for what in ("forwards", "backwards"):
        passes = getattr(first, what), getattr(second, what)
        if abs(passes[0] - passes[1]) > PASSES * max(passes):
            yield f"{library}: {passes[0]} {what} a draw and image, here {passes[1]}"


def _typical(first: Sequence[float], second: Sequence[float]) -> float:
    """The median difference; infinite for columns of other lengths."""
    if len(first) != len(second):
        return math.inf
    return median(abs(a - b) for a, b in zip(first, second, strict=True)) if first else 0.0


def _beside(submitted: Record, here: Record) -> Iterator[str]:
    """What differs in what a record holds beside outcomes."""
    for name, of in (("health", _health), ("state", _state)):
        if of(submitted) != of(here):
            yield f"{name} {of(submitted)}, here {of(here)}"
    planted = [() if one.planting is None else one.planting.planted for one in (submitted, here)]
    if len(set(planted[0]) ^ set(planted[1])) > max(1, PLANTED * len(submitted.examples)):
        yield f"examples are planted in {len(planted[0])} balls, here in {len(planted[1])}"


def _health(record: Record) -> tuple[object, ...]:
    health = record.health
    return () if health is None else (health.dead, health.undefined, health.probabilities, tuple(health.missed))


def _state(record: Record) -> tuple[object, ...]:
    state = record.state
    if state is None:
        return ()
    parts = state.weights, state.attributes, state.remembers, state.draws, state.optimises, [*state.failed]
    return tuple(tuple(sorted(part)) for part in parts)


def _errors(record: Record) -> str:
    return "; ".join(f"{library}: {one.error}" for library, one in record.outcomes.items() if one.error) or "none ran"
