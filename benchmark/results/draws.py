"""Robust accuracy against the attacker's draws: for each gradient target, frozen or fresh at each step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attack import doubled
from benchmark.plan.adaptive_attacks import with_fresh_draws
from benchmark.plan.cells import Reading
from benchmark.records.record import Record
from benchmark.results.share import Share
from zoo.kind import Kind
from zoo.targets import GRADIENT_TARGETS, Gradient, Schedule


@dataclass(frozen=True)
class Way:
    """How an attacker uses his draws: by which attack, of what gradient, frozen or fresh."""

    attack: str
    target: str
    schedule: Schedule


@dataclass(frozen=True)
class ByDraws:
    """One way on one entry under one threat model. reading: `headline`, or half of Monte-Carlo samples.

    surviving: draws -> the images that survive, each attack alone.
    """

    model: str
    dataset: str
    threat: ThreatModel
    reading: Reading
    way: Way
    surviving: dict[int, Share]


def by_draws(records: Iterable[Record]) -> list[ByDraws]:
    """Every random entry that was attacked with several numbers of draws, the same way, on all images of a shard."""
    found: dict[tuple[str, str, ThreatModel, Reading, Way], dict[int, list[Record]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for record in records:
        cell, way = record.cell, _way(record)
        if way is not None and record.complete:
            found[cell.model, cell.dataset, cell.attack.threat, cell.reading, way][cell.attack_draws].append(record)
    return [
        ByDraws(*of, {draws: _surviving(found[of][draws]) for draws in sorted(found[of])})
        for of in sorted(found, key=_order)
        if len(found[of]) > 1
    ]


def _way(record: Record) -> Way | None:
    """None for an attack that is in no such comparison."""
    cell, role = record.cell, record.role
    counts = cell.kind is Kind.CONTINUOUS if cell.reading is Reading.HEADLINE else cell.reading is Reading.SAMPLE
    if not (counts and role.budget and role.whole and cell.seed == 0):
        return None
    spec, gradient = cell.attack, Gradient(cell.attack.target, schedule=cell.attack.gradient.schedule)
    for attack in (doubled(spec.threat), with_fresh_draws(spec.threat)):
        if spec == replace(attack, gradient=gradient):
            return Way(_name(spec), spec.target, gradient.schedule)
    return None


def _name(spec: AttackSpec) -> str:
    return {"pgd": "PGD", "mifgsm": "MI-FGSM"}[spec.method.name]


def _surviving(records: list[Record]) -> Share:
    right: dict[int, bool] = {}
    for record in records:
        survivors = record.right - record.broken
        for example in record.examples:
            right[example] = right.get(example, True) and example in survivors
    return Share(sum(right.values()), len(right))


def _order(of: tuple[str, str, ThreatModel, Reading, Way]) -> tuple[object, ...]:
    model, dataset, threat, reading, way = of
    place = GRADIENT_TARGETS.index(way.target), way.attack != "PGD", way.schedule
    return dataset, model, ("linf", "l2").index(threat.norm), threat.eps, reading, place
