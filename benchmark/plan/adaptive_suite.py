"""The adaptive suite: the white-box attacks, and then all that may break what survives them. Pure: no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from benchmark.attacks.methods import METHOD_OF
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attack import AdaptiveAttack
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS, UNBOUNDED_ATTACK, planned
from benchmark.plan.cascade import Cascade, Shards
from benchmark.plan.cells import Cell, Reading, Selection, Subject
from benchmark.plan.decisive import Tried, audited_count, beyond, decisive
from benchmark.plan.expected import expected_cells
from benchmark.plan.ladder import Ladder, climbed
from benchmark.plan.roles import surviving_examples
from benchmark.plan.stronger_attacks import AUTOATTACK_PARTS
from benchmark.plan.suite import WhiteboxSuite, by_shard
from benchmark.plan.survival import Expected, Survival
from benchmark.protocol import LIBRARIES, REFEREE

if TYPE_CHECKING:
    from benchmark.records.record import Record


@dataclass(frozen=True)
class AdaptiveSuite(WhiteboxSuite):
    """The white-box attacks, and then all that may break what survives them; see `benchmark.plan.adaptive_attacks`.

    Of many images the first are audited: every attack is tried on them. The others meet the white-box attacks, and what
    decided among the first; see `benchmark.plan.decisive`.
    thorough: whether strong attacks are run on all images that survive everything else, and not on a few first; see
        `benchmark.plan.cascade`.
    referee: whether AutoAttack's official code attacks what they leave.
    """

    thorough: bool = False
    referee: bool = False

    def cells(self, subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        """Raises ValueError for a gradient target, as adaptive attacks have theirs. Every attack is its own."""
        if selection.targets is not None:
            raise ValueError("the adaptive suite takes every gradient that it needs: leave out --target")
        cells, audited = [], self.count(self.audit_of(selection))
        for subject in subjects:
            for name in selection.attacks or ():
                if (needed := METHOD_OF[name].classes) > subject.classes:
                    raise ValueError(
                        f"{name} needs {needed} classes, {subject.dataset} has {subject.classes}: leave it out"
                    )
            # adaptive attacks and checks rest on all of these, at eps = 0 in any case
            eps: dict[str, tuple[float, ...]] = {
                norm: tuple(dict.fromkeys((0.0, *selection.radii(norm, grid))))
                for norm, grid in self.grid(subject.dataset).items()
            }
            whitebox = super().cells([subject], replace(selection, attacks=None, eps=eps))
            shards = dict.fromkeys((cell.start, cell.stop) for cell in whitebox)
            cells += whitebox
            for adaptive, attack in planned(subject, self.threats(subject, selection), "all"):
                on = shards if adaptive.always else _first(shards, adaptive.images or audited)
                cells += self.cells_of(adaptive, attack, subject, selection, dict.fromkeys(on))
        return by_shard(cells)

    def follow_up(self, records: Iterable[Record], subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        """What attacks the images that survive the white-box attacks; when that is done, strong attacks, one by one."""
        records = list(records)
        known = {record.cell: record for record in records}
        # what else a user asked for decides nothing: the suite attacks the same images with it and without
        surviving, cells = surviving_examples(record for record in records if not record.role.further), []
        audit = self.audit_of(selection)
        for subject in subjects:
            of_subject = list[Cell]()
            by_norm = self._by_norm(subject, selection, surviving)
            for images in by_norm:
                audited = {threat: self._within(audit, shards) for threat, shards in images.items()}
                weak = {
                    cell: adaptive
                    for threat, of_threat in audited.items()
                    for cell, adaptive in self._on_surviving(records, subject, threat, of_threat, audit).items()
                }
                of_subject += weak
                if all(cell in known for cell in weak):
                    of_subject += self._strong(subject, audited, known, weak, audit)
            if all(cell in known for cell in of_subject):
                of_subject += self.last(subject, audit)
            if all(cell in known for cell in of_subject):
                for images in by_norm:
                    of_subject += self._beyond(subject, images, known, selection)
            cells += of_subject
        return cells

    def _by_norm(
        self, subject: Subject, selection: Selection, surviving: Mapping[tuple[str, ThreatModel], Shards]
    ) -> list[dict[ThreatModel, Shards]]:
        """Norm by norm, the images that survive the white-box attacks under a threat model, the smallest eps first."""
        by_norm: dict[str, list[ThreatModel]] = {}
        for threat in self.threats(subject, selection):
            by_norm.setdefault(threat.norm, []).append(threat)
        return [
            {one: surviving.get((subject.model, one), {}) for one in sorted(threats, key=lambda threat: threat.eps)}
            for threats in by_norm.values()
        ]

    def audit_of(self, selection: Selection) -> Selection:
        """The same on the images of the audit alone."""
        return replace(selection, examples=audited_count(self.count(selection), selection.audited))

    def _within(self, audit: Selection, shards: Shards) -> Shards:
        return {shard: images for shard, images in shards.items() if shard[1] <= self.count(audit)}

    def _beyond(
        self,
        subject: Subject,
        images: Mapping[ThreatModel, Shards],
        known: Mapping[Cell, Record],
        selection: Selection,
    ) -> list[Cell]:
        """The cells on images beyond the audit's in one norm, as far as they can be known."""
        audit = self.audit_of(selection)
        further = [shard for shard in self.shards(selection) if shard[0] >= self.count(audit)]
        if not further:
            return []
        audited = {threat: set(chain(*self._within(audit, shards).values())) for threat, shards in images.items()}
        left = {threat: {one: shards[one] for one in further if one in shards} for threat, shards in images.items()}
        attacks = {
            (adaptive.name, attack.source, None if adaptive.is_nearest else attack.threat): (adaptive, attack)
            for on in ("all", "surviving", "strong")
            for adaptive, attack in planned(subject, list(images), on, thorough=True)
        }

        def expand(one: Tried, threat: ThreatModel, of: Shards) -> list[Cell]:
            of_every_eps = ADAPTIVE_ATTACKS[one.name].is_nearest
            adaptive, attack = attacks[one.name, one.source, None if of_every_eps else threat]
            whole = adaptive.always and adaptive.on == "all"
            cells = self.cells_of(adaptive, attack, subject, selection, dict.fromkeys(further) if whole else of)
            return [cell for cell in cells if cell.attack_draws == one.draws]

        of_audit = (
            record for cell, record in known.items() if cell.model == subject.model and cell.stop <= self.count(audit)
        )
        draws, _ = subject.draws(selection.draws)
        return beyond(decisive(audited, of_audit, draws, subject.classes), left, known, expand)

    def last(self, subject: Subject, selection: Selection) -> list[Cell]:
        """What is run on all images when the network has been through everything else."""
        shards = dict.fromkeys(self.shards(selection))
        return [
            cell
            for adaptive, attack in planned(subject, self.threats(subject, selection), "last")
            for cell in self.cells_of(adaptive, attack, subject, selection, shards)
        ]

    def _on_surviving(
        self,
        records: Sequence[Record],
        subject: Subject,
        threat: ThreatModel,
        images: Shards,
        selection: Selection,
    ) -> dict[Cell, AdaptiveAttack]:
        """The cells on the images that survive the white-box attacks under one threat model, and what they are."""
        cells: dict[Cell, AdaptiveAttack] = {}
        for adaptive, attack in planned(subject, [threat], "surviving", self.thorough):
            found = self.cells_of(adaptive, attack, subject, selection, images)
            if adaptive.is_ladder:
                wanted = _climbed(records, found, self.count(selection)).wanted
                found = [cell for cell in found if cell.attack_draws in wanted]
            cells |= dict.fromkeys(found, adaptive)
        return cells

    def _strong(
        self,
        subject: Subject,
        images: Mapping[ThreatModel, Shards],
        known: Mapping[Cell, Record],
        weak: dict[Cell, AdaptiveAttack],
        selection: Selection,
    ) -> list[Cell]:
        """The cells of the strong attacks in one norm, as far as they can be known. weak: those on what survives."""

        def expand(adaptive: AdaptiveAttack, attack: AttackSpec, of: Shards) -> list[Cell]:
            return self.cells_of(adaptive, attack, subject, selection, of)

        threats, shards = list(images), dict.fromkeys(self.shards(selection))
        on_all = {
            cell: adaptive
            for adaptive, attack in planned(subject, threats, "all")
            if adaptive is not UNBOUNDED_ATTACK
            for cell in self.cells_of(adaptive, attack, subject, selection, shards)
        }
        cascade = Cascade(images, known, expand, self.thorough, suspected=selection.attacks is not None)
        done = {
            cell: adaptive
            for cell, adaptive in (on_all | weak).items()
            if cell in known and cell.reading is Reading.HEADLINE
        }
        parts = [cell for cell, adaptive in done.items() if adaptive.name in AUTOATTACK_PARTS]
        own = [cell for cell, adaptive in done.items() if adaptive.gradient == "own"]
        cascade.take(own)
        cascade.take(parts, autoattack=True)
        others = [cell for cell, adaptive in done.items() if adaptive.gradient != "own"]
        cascade.suspect(others)
        cascade.take(others)
        return cascade.cells(planned(subject, threats, "strong"))

    def expected_follow_up(
        self, subjects: Iterable[Subject], selection: Selection, survival: Survival
    ) -> list[Expected]:
        return [each for subject in subjects for each in expected_cells(self, subject, selection, survival)]

    def threats(self, subject: Subject, selection: Selection) -> list[ThreatModel]:
        """The threat models under which a network is attacked, norm by norm."""
        return [
            ThreatModel(norm, eps)
            for norm, grid in self.grid(subject.dataset).items()
            for eps in selection.radii(norm, grid)
            if eps > 0
        ]

    def cells_of(
        self,
        adaptive: AdaptiveAttack,
        attack: AttackSpec,
        subject: Subject,
        selection: Selection,
        images: Mapping[tuple[int, int], tuple[int, ...] | None],
    ) -> list[Cell]:
        """An adaptive attack's cells, by shard, on all its images or some; none where a selection leaves it out."""
        wanted = selection.attacks is None or attack.name in selection.attacks
        there = (*LIBRARIES, REFEREE) if self.referee else LIBRARIES
        if not wanted or adaptive.library not in (selection.libraries or there):
            return []
        if attack.gradient.precision != selection.precision:
            attack = replace(attack, gradient=replace(attack.gradient, precision=selection.precision))
        attack_draws, judge_draws = subject.draws(selection.draws, adaptive.reading)
        return [
            subject.cell(
                attack,
                shard,
                (adaptive.library,),
                (draws, judge_draws),
                selection.seed,
                only,
                adaptive.reading,
            )
            for shard, only in images.items()
            for draws in adaptive.draws(attack_draws)
        ]


def _first(shards: Iterable[tuple[int, int]], images: int) -> list[tuple[int, int]]:
    """The shards of the first images."""
    return [(start, min(stop, images)) for start, stop in shards if start < images]


def _climbed(records: Iterable[Record], rungs: Sequence[Cell], count: int) -> Ladder:
    """The ladder as far as the records show it. rungs: its cells, on the images that survive."""
    surviving, wanted = {image for cell in rungs for image in cell.only or ()}, set(rungs)
    return climbed(surviving, (record for record in records if record.complete and record.cell in wanted), count)
