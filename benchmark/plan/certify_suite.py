"""The suite of bounds: images that no attack can break, eps by eps. Pure: no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from benchmark.attacks.methods import BOUND, Norm
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attack import doubled
from benchmark.plan.cells import Cell, Reading, Selection, Subject
from benchmark.plan.suite import Suite, by_shard
from benchmark.plan.survival import Expected, Survival
from benchmark.protocol import LIBRARIES, certified_grid

if TYPE_CHECKING:
    from benchmark.records.record import Record


def bound(threat: ThreatModel) -> AttackSpec:
    """What a bound under a threat model is recorded as."""
    return AttackSpec(BOUND.attack(threat.norm), threat, step_size=1.0, steps=1)


class CertifySuite(Suite):
    """Bounds of the judge's own draws, and PGD with 40 steps on the same draws, eps by eps, the smallest first.

    An image that is not certified at an eps is not tried at a larger one, whose ball holds the smaller; nor is one
    attacked that is certified, or that was broken before.
    """

    def grid(self, dataset: str) -> dict[Norm, tuple[float, ...]]:
        return certified_grid(dataset)

    @property
    def attack_names(self) -> tuple[str, ...]:
        return ()

    def cells(self, subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        """Raises ValueError for attacks, libraries, gradients or draws, of which it has none, as others do for theirs.

        Networks with a layer that has no rule are left out; it is an error if none is left.
        """
        for name, value in (
            ("--attack", selection.attacks or selection.further),
            ("--library", selection.libraries),
            ("--target", selection.targets),
            ("--draws", selection.draws),
        ):
            if value:
                raise ValueError(f"bounds hold for every attack on the judge's own draws: leave out {name}")
        subjects = list(subjects)
        if subjects and not any(subject.bounded for subject in subjects):
            names = ", ".join(subject.model for subject in subjects)
            raise ValueError(f"no bounds of {names}: a layer has no rule in zoo.bounds, or its draws are no networks")
        return by_shard(
            [
                self._cell(subject, bound(threats[0]), shard, selection)
                for subject in subjects
                if subject.bounded
                for threats in self._threats(subject, selection)
                for shard in self.shards_of(subject, selection)
            ]
        )

    def follow_up(self, records: Iterable[Record], subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        """Eps by eps: bounds of what was certified before, and PGD on images that are neither certified nor broken."""
        known = {record.cell: record for record in records}
        return [
            cell
            for subject in subjects
            if subject.bounded
            for threats in self._threats(subject, selection)
            for shard in self.shards_of(subject, selection)
            for cell in self._as_far_as_known(subject, threats, shard, selection, known)
        ]

    def expected_follow_up(
        self, subjects: Iterable[Subject], selection: Selection, survival: Survival
    ) -> list[Expected]:
        """As if at every further eps half of the shards had images to be bounded, and half some to be attacked."""
        return [
            Expected(self._cell(subject, attack(threat), shard, selection), 0.5)
            for subject in subjects
            if subject.bounded
            for threats in self._threats(subject, selection)
            for threat in threats[1:]
            for shard in self.shards_of(subject, selection)
            for attack in (bound, doubled)
        ]

    def _as_far_as_known(
        self,
        subject: Subject,
        threats: Sequence[ThreatModel],
        shard: tuple[int, int],
        selection: Selection,
        known: Mapping[Cell, Record],
    ) -> Iterator[Cell]:
        """The cells of a shard in one norm, up to the first whose record is not there."""
        certified: tuple[int, ...] | None = None  # all
        left: frozenset[int] | None = None  # images that are right and that nothing broke so far
        for threat in threats:
            if certified != ():
                yield (cell := self._cell(subject, bound(threat), shard, selection, certified))
                if (record := known.get(cell)) is None or not record.complete:
                    return
                left, certified = record.right if left is None else left, record.certified
            if between := tuple(image for image in sorted(left or ()) if image not in certified):
                yield (cell := self._cell(subject, doubled(threat), shard, selection, between))
                if (record := known.get(cell)) is None or not record.complete:
                    return
                left = (left or frozenset()) - record.broken

    def _threats(self, subject: Subject, selection: Selection) -> list[list[ThreatModel]]:
        """Norm by norm, the smallest eps first."""
        grids = {norm: selection.radii(norm, grid) for norm, grid in self.grid(subject.dataset).items()}
        found = [[ThreatModel(norm, eps) for eps in sorted(set(grid)) if eps > 0] for norm, grid in grids.items()]
        return [threats for threats in found if threats]

    def _cell(
        self,
        subject: Subject,
        attack: AttackSpec,
        shard: tuple[int, int],
        selection: Selection,
        only: tuple[int, ...] | None = None,
    ) -> Cell:
        return subject.cell(
            attack,
            shard,
            BOUND.libraries if attack.method is BOUND else LIBRARIES[:1],
            subject.draws(None, Reading.CERTIFIED),
            selection.seed,
            only,
            Reading.CERTIFIED,
        )
