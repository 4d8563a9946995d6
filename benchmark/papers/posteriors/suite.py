"""What every posterior of the study is attacked by, and judged by whom. Pure: no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attack import doubled
from benchmark.plan.adaptive_attacks import with_fresh_draws
from benchmark.plan.cells import Cell, Reading, Selection, Subject
from benchmark.plan.suite import Suite, by_shard
from benchmark.protocol import ATTACK_DRAWS, JUDGE_DRAWS
from zoo.kind import Kind
from zoo.targets import Gradient

FRESH_DRAWS = 32  # at each step, where the attacker has more
EPS: dict[str, dict[Norm, tuple[float, ...]]] = {
    "mnist": {"linf": (0.02, 0.05, 0.1, 0.15, 0.2, 0.3), "l2": (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)},
    "cifar10-jpeg": {
        "linf": (0.5 / 255, 1 / 255, 2 / 255, 4 / 255, 8 / 255, 16 / 255),
        "l2": (0.05, 0.1, 0.25, 0.5, 0.75, 1.0),
    },
}


class Attacker(StrEnum):
    """Whose gradient leads the attack. All take PGD with 40 steps, but for fresh draws, which take MI-FGSM."""

    ALL = "all draws"
    """The expected prediction of every draw that the attacker has."""
    FRESH = "fresh draws"
    """The expected prediction of other draws at each step."""
    FROZEN = "8 frozen draws"
    """That of a few draws, the same at each step: what an attack on a stochastic network often is."""
    SINGLE = "single draw"
    MEAN = "mean weights"
    TRANSFER = "transfer"
    """Another network's: a posterior's maximum for the posterior, a posterior for its maximum."""


class Way(NamedTuple):
    """An attack, how many draws the attacker has, and the library that runs it."""

    attack: AttackSpec
    draws: int
    library: str


def limit_of(kind: Kind, is_sample: bool) -> Reading:
    """The reading in which the attacker has other draws than the judge, as in the limit of many.

    Of Monte-Carlo samples half attack and half judge. One network, and an ensemble, are what they are.
    """
    return Reading.SAMPLE if kind is Kind.FINITE and is_sample else Reading.HEADLINE


def own_draws_of(kind: Kind) -> Reading:
    """The reading in which the attacker has the judge's own draws: of a network that is deployed with fixed ones."""
    return Reading.DETERMINISTIC if kind is Kind.CONTINUOUS else Reading.HEADLINE


def attacker_of(cell: Cell) -> Attacker:
    """Whose gradient led the attack of a cell of this suite."""
    gradient = cell.attack.gradient
    if gradient.source is not None:
        return Attacker.TRANSFER
    if gradient.is_fresh:
        return Attacker.FRESH
    if gradient.target == "mean-weights":
        return Attacker.MEAN
    if cell.attack_draws >= cell.judge_draws // 2:
        return Attacker.ALL
    return {1: Attacker.SINGLE, ATTACK_DRAWS: Attacker.FROZEN}.get(cell.attack_draws, Attacker.ALL)


class PosteriorSuite(Suite):
    """Six eps in each norm: every attacker on other draws than the judge's, and the strongest on the judge's own."""

    def grid(self, dataset: str) -> dict[Norm, tuple[float, ...]]:
        return EPS.get(dataset) or super().grid(dataset)

    def cells(self, subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        """One entry after the other, all of its attacks on a shard before the next shard."""
        return by_shard([cell for subject in subjects for cell in self._of(subject, selection)])

    def _of(self, subject: Subject, selection: Selection) -> Iterator[Cell]:
        readings = dict.fromkeys((limit_of(subject.kind, subject.is_sample), own_draws_of(subject.kind)))
        for norm, grid in self.grid(subject.dataset).items():
            for threat in (ThreatModel(norm, eps) for eps in selection.radii(norm, grid)):
                for reading in readings:
                    _, judge_draws = subject.draws(None, reading)
                    for attack, draws, library in _ways(subject, threat, reading):
                        for start, stop in self.shards(selection):
                            yield Cell(
                                subject.model,
                                subject.dataset,
                                attack,
                                start,
                                stop,
                                (library,),
                                draws,
                                judge_draws,
                                selection.seed,
                                finite=subject.kind is Kind.FINITE,
                                reading=reading,
                            )


def _ways(subject: Subject, threat: ThreatModel, reading: Reading) -> Iterator[Way]:
    limit = reading is limit_of(subject.kind, subject.is_sample)
    most, judge_draws = subject.draws(JUDGE_DRAWS if subject.kind is Kind.CONTINUOUS else None, reading)
    pgd = doubled(threat)
    yield Way(pgd, most, "torchattacks")
    if not limit:
        return
    for _, source in subject.sources:
        yield Way(replace(pgd, gradient=Gradient(source=source)), most, "torchattacks")
    if subject.kind is Kind.POINT:
        return
    if most > FRESH_DRAWS or subject.kind is Kind.CONTINUOUS:
        yield Way(with_fresh_draws(threat), FRESH_DRAWS, "foolbox")
    for draws in (1, ATTACK_DRAWS):
        if draws < judge_draws // 2:
            yield Way(pgd, draws, "torchattacks")
    if "mean-weights" not in subject.undefined:
        yield Way(replace(pgd, gradient=Gradient("mean-weights")), most, "torchattacks")


POSTERIOR_SUITE = PosteriorSuite("posteriors", "every kind of posterior of one network under one judge", 100)
