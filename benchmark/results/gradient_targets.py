"""Every gradient target under one judge: by how much a wrong gradient overestimates robustness."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from benchmark.attacks.spec import ThreatModel
from benchmark.protocol import attacks_in
from benchmark.records.record import Record
from benchmark.results.configuration import Configuration, configuration, last_finished
from benchmark.results.share import Share
from benchmark.statistics import mcnemar
from zoo.targets import GRADIENT_TARGETS


@dataclass(frozen=True)
class TargetComparison:
    """One gradient target beside `expected`, on one entry, in the worst case over attacks and libraries.

    only_target, only_expected: images that survive under this target's gradient alone, and under that of the expected
    prediction alone; p: exact two-sided McNemar test of the two.
    """

    model: str
    dataset: str
    threat: ThreatModel
    target: str
    surviving: Share
    only_target: int
    only_expected: int
    p: float

    @property
    def overestimate(self) -> float:
        """The share of images that look robust only because of the gradient."""
        return (self.only_target - self.only_expected) / self.surviving.count


def by_gradient_target(records: Iterable[Record]) -> list[TargetComparison]:
    """Every Bayesian entry on which all white-box attacks of a norm followed several gradients, on the same images.

    Where there are records of two versions of a network or of its data, the version measured last counts.
    """
    by_configuration: dict[tuple[Configuration, str, ThreatModel], dict[str, list[Record]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for record in records:
        cell, role = record.cell, record.role
        if role.board and record.complete and role.target is not None:
            by_configuration[configuration(record), cell.dataset, cell.attack.threat][role.target].append(record)
    rows: dict[tuple[str, ThreatModel], list[TargetComparison]] = {}
    for of, by_target in sorted(by_configuration.items(), key=_order):
        if compared := _compared(*of, by_target):
            rows[of[0].model, of[2]] = compared
    return [line for compared in rows.values() for line in compared]


def _compared(
    config: Configuration, dataset: str, threat: ThreatModel, by_target: dict[str, list[Record]]
) -> list[TargetComparison]:
    survives = {
        target: by_image
        for target in GRADIENT_TARGETS
        if target in by_target and (by_image := _worst_case(by_target[target], threat)) is not None
    }
    if "expected" not in survives or len(survives) < 2:
        return []
    common = set.intersection(*map(set, survives.values()))
    expected, rows = survives["expected"], []
    for target, by_image in survives.items():
        only_target = sum(by_image[image] and not expected[image] for image in common)
        only_expected = sum(expected[image] and not by_image[image] for image in common)
        rows.append(
            TargetComparison(
                config.model,
                dataset,
                threat,
                target,
                Share(sum(by_image[image] for image in common), len(common)),
                only_target,
                only_expected,
                mcnemar(only_target, only_expected),
            )
        )
    return rows


def _worst_case(records: list[Record], threat: ThreatModel) -> dict[int, bool] | None:
    """Image -> whether it survives every attack of the norm, if all attacked it; None if an attack is missing."""
    attacked: dict[str, set[int]] = defaultdict(set)
    wrong = set[int]()
    for record in records:
        attacked[record.cell.attack.name].update(record.examples)
        wrong |= record.broken | (set(record.examples) - record.right)
    if set(attacked) != set(attacks_in(threat.norm)):
        return None
    return {image: image not in wrong for image in sorted(set.intersection(*attacked.values()))}


def _order(item: tuple[tuple[Configuration, str, ThreatModel], dict[str, list[Record]]]) -> tuple[object, ...]:
    (config, dataset, threat), by_target = item
    finished = max(map(last_finished, by_target.values()))
    return dataset, config.model, ("linf", "l2").index(threat.norm), threat.eps, finished
