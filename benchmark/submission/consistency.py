"""Whether a record agrees with itself, its key, its test images and the other records. No network is needed for that.

A forger who changes one number has to change all that hang on it. What holds for every record of this project is asked
here; the rules are tried on all committed records.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from benchmark.plan.cells import Reading
from benchmark.plan.nearest import rounded_up
from benchmark.plan.purposes import draws_seed, purposes_of
from benchmark.protocol import BUDGET_TOLERANCE, PROTOCOL_VERSION, example_order, surrogate_fingerprint
from benchmark.records.outcome import COLUMNS, Outcome
from benchmark.records.record import Record, cell_key
from benchmark.submission.finding import Finding
from zoo.kind import Kind
from zoo.targets import SURROGATE

ROUNDING = 2e-3  # relative: four significant digits are kept of probabilities and of their logarithms
_OF_DRAWS = ("mutual_information", "right_draws", "majority")


class Images(NamedTuple):
    """The test images: how many, of how many classes and pixels; their labels, and what identifies them, if at hand."""

    size: int
    classes: int
    pixels: int
    labels: Sequence[int] | None = None
    fingerprint: str | None = None


def findings(record: Record, images: Images, model: str) -> Iterator[Finding]:
    """What speaks against one record. model: fingerprint of the network that is submitted."""
    for check, says in (
        *_key(record),
        *_network(record, images, model),
        *_images(record, images),
        *_all(record, images),
    ):
        yield Finding(check, f"{record.cell.label}: {says}")


def _key(record: Record) -> Iterator[tuple[str, str]]:
    said = record.provenance
    if (protocol := said.get("protocol")) != PROTOCOL_VERSION:
        yield "key", f"is of protocol {protocol}, this is {PROTOCOL_VERSION}: run it again"
    packages = said.get("packages")
    if not isinstance(packages, dict) or not all(isinstance(value, str) for value in packages.values()):
        yield "key", "does not say with which packages it was made"
        return
    try:
        key = cell_key(record.cell, record.fingerprints, packages)
    except KeyError as error:
        yield "key", f"does not say with which version of {error} it was made"
        return
    if key != record.key:
        yield "key", f"has the key {record.key[:12]}…; its cell, fingerprints and packages give {key[:12]}…"
    name, seed = record.cell.model, record.cell.seed
    seeds = {of: draws_seed(name, purpose, seed) for of, purpose in purposes_of(record.cell).items()}
    if said.get("seeds") != seeds:
        yield "key", "is of draws from other seeds than its cell's"
    if not isinstance(said.get("finished"), str):
        yield "key", "does not say when it was finished"


def _network(record: Record, images: Images, model: str) -> Iterator[tuple[str, str]]:
    found, source = record.fingerprints, record.cell.attack.source
    if (of := found.get("model")) != model:
        yield "network", f"is of another network, {str(of)[:12]}…, than the one that is submitted, {model[:12]}…"
    if images.fingerprint is not None and (of := found.get("data")) != images.fingerprint:
        yield "examples", f"is of other test images, {str(of)[:12]}…, here {images.fingerprint[:12]}…"
    wanted = (
        {"model", "data"} | ({"source"} if source else set()) | ({"attack"} if record.cell.attack.is_own else set())
    )
    if set(found) != wanted:
        yield "network", f"has fingerprints of {', '.join(sorted(found))}; its cell has {', '.join(sorted(wanted))}"
    if source == SURROGATE and found.get("source") != surrogate_fingerprint(str(found.get("model"))):
        yield "network", "is of a surrogate of another network"


def _images(record: Record, images: Images) -> Iterator[tuple[str, str]]:
    cell = record.cell
    if not 0 <= cell.start < cell.stop <= images.size:
        yield "examples", f"there are test images 0 to {images.size - 1}"
        return
    shard = example_order(images.size)[cell.start : cell.stop]
    wanted = list(shard) if cell.only is None else [one for one in shard if one in set(cell.only)]
    if record.examples != wanted or not wanted:
        yield "examples", "its images are not those of its cell in the protocol's order"
        return
    if images.labels is not None and (
        wrong := [e for e, label in zip(record.examples, record.labels, strict=False) if images.labels[e] != label]
    ):
        yield "examples", f"image {wrong[0]} has the label {images.labels[wrong[0]]} in the test split"
    if len(record.labels) != len(record.examples):
        yield "examples", f"{len(record.labels)} labels of {len(record.examples)} images"


def _all(record: Record, images: Images) -> Iterator[tuple[str, str]]:
    if not record.complete or record.clean.error is not None:
        yield "outcome", "a library failed: run it again"
        return
    if set(record.outcomes) != set(record.cell.libraries):
        yield (
            "outcome",
            f"has outcomes of {', '.join(record.outcomes)}; its cell is of {', '.join(record.cell.libraries)}",
        )
        return
    if len(record.labels) != len(record.examples):
        return
    labels = [0] * len(record.labels) if record.cell.reading is Reading.PLANTED else record.labels
    classes = _classes(record, images.classes)
    for library, outcome in {"clean": record.clean, **record.outcomes}.items():
        says = _columns(record, outcome, library) or _first(_probabilities(record, outcome, labels, classes))
        says = says or ("" if library == "clean" else _first(_distances(record, outcome)))
        if says:
            yield "outcome", f"{library}: {says}"
            return
    yield from (("outcome", says) for says in _agreement(record, images.pixels))


def _classes(record: Record, classes: int) -> int:
    """Where examples are planted, the readout has classes of its own: as many as are predicted."""
    if record.cell.reading is not Reading.PLANTED:
        return classes
    return max(classes, 1 + max((max(one.predicted, default=0) for one in record.outcomes.values()), default=0))


def _columns(record: Record, outcome: Outcome, library: str) -> str:
    """What is wrong with the lengths of its columns; empty for nothing."""
    count, drawn = len(record.examples), record.cell.judge_draws > 1
    for name in COLUMNS:
        values = getattr(outcome, name)
        optional = name in _OF_DRAWS or (name == "distance" and library == "clean")
        if len(values) != count and not (optional and not values):
            return f"{len(values)} values of {name} for {count} images"
        if name in _OF_DRAWS and values and not drawn:
            return f"{name} of a network without draws"
    if outcome.forwards < 0 or outcome.backwards < 0 or outcome.seconds < 0:
        return "passes or seconds below 0"
    return ""


def _probabilities(record: Record, outcome: Outcome, labels: Sequence[int], classes: int) -> Iterator[str]:
    """What a distribution over classes cannot be, image by image."""
    alone = record.cell.kind is Kind.POINT
    for place, label in enumerate(labels):
        image, right, predicted = record.examples[place], outcome.correct[place], outcome.predicted[place]
        log_p, confidence, entropy = outcome.log_p[place], outcome.confidence[place], outcome.entropy[place]
        p = math.exp(min(log_p, 0.0))
        if not 0 <= predicted < classes:
            yield f"image {image} is taken for class {predicted} of {classes}"
        if right != (predicted == label):
            counts = "right" if right else "wrong"
            yield f"image {image} of class {label} is taken for {predicted} and counts as {counts}"
        if alone and right != outcome.correct_attacker[place]:
            yield f"image {image} is judged otherwise on the attacker's draws, and the network has none"
        if not (log_p <= ROUNDING and 1 / classes - ROUNDING <= confidence <= 1 + ROUNDING):
            yield f"image {image} has log p {log_p} and confidence {confidence}"
        if (right and abs(p - confidence) > ROUNDING * (1 + abs(log_p)) * confidence) or p > confidence * (
            1 + ROUNDING
        ) + ROUNDING:
            yield f"image {image} is {'right' if right else 'wrong'} at log p {log_p} and confidence {confidence}"
        if not right and p + confidence > 1 + ROUNDING:
            yield f"image {image} has probabilities {p:.4g} and {confidence:.4g} of two classes"
        low, high = _entropies(confidence, classes)
        if not low - 1e-2 <= entropy <= high + 1e-2:
            yield f"image {image} has entropy {entropy} nats at confidence {confidence}: from {low:.4g} to {high:.4g}"


def _entropies(confidence: float, classes: int) -> tuple[float, float]:
    """The least and the most entropy in nats that the likeliest class's probability leaves."""
    top = min(max(confidence, 1 / classes), 1.0)
    rest = 1 - top
    most = -top * math.log(top) - (rest * math.log(rest / (classes - 1)) if rest > 0 else 0.0)
    return max(0.0, -math.log(top)), most


def _distances(record: Record, outcome: Outcome) -> Iterator[str]:
    """Images outside the ball, and verdicts that differ although no pixel does."""
    eps, clean = record.cell.attack.threat.eps, record.clean
    outside = set(outcome.violations)
    if not outside <= set(record.examples) or len(outside) < len(outcome.violations):
        yield "images outside the ball that are none of its images"
    for place, image in enumerate(record.examples):
        distance = outcome.distance[place]
        if distance < 0 or 2 * distance - rounded_up(distance) > eps + BUDGET_TOLERANCE:
            yield f"image {image} is {distance} away, outside the ball of {eps:g}"
        if (image in outside or distance == 0) and outcome.predicted[place] != clean.predicted[place]:
            yield f"image {image} is the original, and judged otherwise"


def _agreement(record: Record, pixels: int) -> Iterator[str]:
    """Comparisons that do not follow from the outcomes."""
    pairs = list(combinations(record.cell.libraries, 2))
    if [(one.first, one.second) for one in record.agreement] != pairs:
        yield "its libraries are not compared two by two"
        return
    for one in record.agreement:
        first, second = (record.outcomes[name].correct for name in (one.first, one.second))
        only = [
            tuple(e for e, a, b in zip(record.examples, x, y, strict=True) if a and not b)
            for x, y in ((first, second), (second, first))
        ]
        counts = one.examples == len(record.examples) and one.pixels == pixels * len(record.examples)
        if [one.only_first, one.only_second] != only or not counts or not 0 <= one.close <= one.pixels:
            yield f"{one.first} and {one.second} are compared otherwise than their outcomes say"


def _first(found: Iterator[str]) -> str:
    return next(found, "")


def across(records: Sequence[Record]) -> Iterator[Finding]:
    """Keys that are there twice, and images that are judged otherwise as they are in one record than in another."""
    keys: dict[str, str] = {}
    clean: dict[tuple[object, ...], tuple[bool, float, str]] = {}
    for record in records:
        label = record.cell.label
        if record.key in keys:
            yield Finding("key", f"{label}: its key is that of {keys[record.key]}, too")
        keys[record.key] = label
        if record.cell.reading in (Reading.PLANTED, Reading.REBUILT) or record.clean.error is not None:
            continue  # of another network, or of one that was built anew
        judge = record.cell.judge_draws, record.cell.seed, str(record.cell.reading)
        for place, example in enumerate(record.examples):
            now = record.clean.correct[place], record.clean.log_p[place]
            right, log_p, where = clean.setdefault((*judge, example), (*now, label))
            if abs(now[1] - log_p) > ROUNDING + 1e-2 * abs(log_p) or (right != now[0] and not _tie(record, place)):
                yield Finding("outcome", f"{label}: image {example} is judged otherwise as it is than in {where}")
                break


def _tie(record: Record, place: int) -> bool:
    """Whether a clean image lies on the boundary but for rounding."""
    return math.log(max(record.clean.confidence[place], 1e-30)) - record.clean.log_p[place] < 1e-2


def clean_share(records: Sequence[Record]) -> Mapping[int, bool]:
    """Image -> whether it is right as it is, under the protocol's judge."""
    whole = [record for record in records if record.role.headline and record.role.usual]
    return {e: right for one in whole for e, right in zip(one.examples, one.clean.correct, strict=True)}
