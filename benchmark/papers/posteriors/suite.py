"""What every posterior of the study is attacked by, and judged by whom. Pure: no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attack import doubled
from benchmark.plan.adaptive_attacks import with_fresh_draws
from benchmark.plan.cells import Cell, Reading, Selection, Subject
from benchmark.plan.suite import Suite, by_shard
from benchmark.plan.survival import Expected, Survival
from benchmark.protocol import ATTACK_DRAWS, JUDGE_DRAWS
from zoo.kind import Kind
from zoo.targets import Gradient

if TYPE_CHECKING:
    from benchmark.records.record import Record

_T = TypeVar("_T")
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

    NOBODY = "nobody"
    """The images as they are: right or wrong without an attack, at eps 0."""
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


def by_unknown_draws(kind: Kind, is_sample: bool) -> Reading:
    """The reading in which the attacker has other draws than the judge: he knows the posterior, and not its draws.

    Of Monte-Carlo samples half attack and half judge. One network, and an ensemble, are what they are.
    """
    return Reading.SAMPLE if kind is Kind.FINITE and is_sample else Reading.HEADLINE


def by_known_draws(kind: Kind) -> Reading:
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
    """Six eps in each norm: every attacker on other draws than the judge's, and the strong ones on the judge's own.

    An image that an attacker breaks at one eps is not attacked by him at a larger one, whose ball holds the smaller.
    Where half of the samples attack and half judge, the halves are exchanged too, at the smaller eps.
    """

    def grid(self, dataset: str) -> dict[Norm, tuple[float, ...]]:
        return EPS.get(dataset) or super().grid(dataset)

    def cells(self, subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        """The smallest eps of every attacker, on all images."""
        return by_shard([rising[0] for subject in subjects for rising in self._rising(subject, selection)])

    def follow_up(self, records: Iterable[Record], subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        """The next eps of every attacker, on the images that he has not broken."""
        known = {record.cell: record for record in records if record.complete}
        return [
            cell
            for subject in subjects
            for rising in self._rising(subject, selection)
            for cell in _as_far_as_known(rising, known)
        ]

    def expected_follow_up(
        self, subjects: Iterable[Subject], selection: Selection, survival: Survival
    ) -> list[Expected]:
        """As if at every further eps three quarters of the images were left, and then three quarters of these."""
        return [
            Expected(cell, 0.75**place)
            for subject in subjects
            for rising in self._rising(subject, selection)
            for place, cell in enumerate(rising)
            if place
        ]

    def _rising(self, subject: Subject, selection: Selection) -> Iterator[tuple[Cell, ...]]:
        """For each norm, reading, attacker and shard its cells as if on all images, the smallest eps first."""
        unknown = by_unknown_draws(subject.kind, subject.is_sample)
        exchanged = [Reading.OTHER_JUDGE] if unknown is Reading.SAMPLE else []
        readings = dict.fromkeys((unknown, by_known_draws(subject.kind), *exchanged))
        for norm, grid in self.grid(subject.dataset).items():
            threats = [ThreatModel(norm, eps) for eps in sorted(set(selection.radii(norm, grid))) if eps > 0]
            for reading in readings:
                _, judge_draws = subject.draws(None, reading)
                for by_eps in zip(*(_ways(subject, threat, reading) for threat in met(threats, reading)), strict=True):
                    for shard in self.shards_of(subject, selection):
                        yield tuple(
                            subject.cell(
                                way.attack,
                                shard,
                                (way.library,),
                                (way.draws, judge_draws),
                                selection.seed,
                                reading=reading,
                            )
                            for way in by_eps
                        )


def met(by_eps: Sequence[_T], reading: Reading) -> Sequence[_T]:
    """Of what there is for each eps, the smallest first, what a reading meets: exchanged halves the smaller ones."""
    return by_eps[: len(by_eps) // 2] if reading is Reading.OTHER_JUDGE else by_eps


def _as_far_as_known(rising: Iterable[Cell], known: Mapping[Cell, Record]) -> Iterator[Cell]:
    """Each cell on what the one before left, up to the first whose record is not there."""
    left: tuple[int, ...] | None = None  # all
    for everything in rising:
        yield (cell := replace(everything, only=left))
        if (record := known.get(cell)) is None or not (left := left_by(record)):
            return


def left_by(record: Record) -> tuple[int, ...]:
    """The images that are right without the attack of a record, and with it."""
    return tuple(sorted(record.right - record.broken))


def _ways(subject: Subject, threat: ThreatModel, reading: Reading) -> Iterator[Way]:
    most, judge_draws = subject.draws(JUDGE_DRAWS if subject.kind is Kind.CONTINUOUS else None, reading)
    pgd = doubled(threat)
    yield Way(pgd, most, "torchattacks")
    if reading is Reading.OTHER_JUDGE:
        return
    for _, source in subject.sources:
        yield Way(replace(pgd, gradient=Gradient(source=source)), most, "torchattacks")
    if subject.kind is Kind.POINT:
        return
    if "mean-weights" not in subject.undefined:
        yield Way(replace(pgd, gradient=Gradient("mean-weights")), most, "torchattacks")
    if reading is not by_unknown_draws(subject.kind, subject.is_sample):
        return
    if most > FRESH_DRAWS or subject.kind is Kind.CONTINUOUS:
        yield Way(with_fresh_draws(threat), FRESH_DRAWS, "foolbox")
    for draws in (1, ATTACK_DRAWS):
        if draws < judge_draws // 2:
            yield Way(pgd, draws, "torchattacks")


POSTERIOR_SUITE = PosteriorSuite("posteriors", "every kind of posterior of one network under one judge", 100)
