"""The adaptive suite: the white-box attacks, and then all that may break what survives them. Pure: no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmark.attacks.methods import METHOD_OF
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attack import AdaptiveAttack
from benchmark.plan.adaptive_attacks import UNBOUNDED_ATTACK, planned
from benchmark.plan.cascade import PROBE, Cascade, Shards, telling
from benchmark.plan.cells import Cell, Reading, Selection, Subject
from benchmark.plan.ladder import Ladder, climbed
from benchmark.plan.roles import role_of, surviving_examples
from benchmark.plan.stronger_attacks import AUTOATTACK_PARTS
from benchmark.plan.suite import WhiteboxSuite, by_shard
from benchmark.plan.survival import Expected, Survival
from benchmark.protocol import LIBRARIES, REFEREE
from zoo.kind import Kind

if TYPE_CHECKING:
    from benchmark.records.record import Record


@dataclass(frozen=True)
class AdaptiveSuite(WhiteboxSuite):
    """The white-box attacks, and then all that may break what survives them; see `benchmark.plan.adaptive_attacks`.

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
        cells = []
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
            for adaptive, attack in planned(subject, self._threats(subject, selection), "all"):
                on = _first(shards, adaptive.images) if adaptive.images else shards
                cells += self._cells(adaptive, attack, subject, selection, dict.fromkeys(on))
        return by_shard(cells)

    def follow_up(self, records: Iterable[Record], subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        """What attacks the images that survive the white-box attacks; when that is done, strong attacks, one by one."""
        records = list(records)
        known = {record.cell: record for record in records}
        # what else a user asked for decides nothing: the suite attacks the same images with it and without
        surviving, cells = surviving_examples(record for record in records if not role_of(record.cell).further), []
        for subject in subjects:
            threats, of_subject = self._threats(subject, selection), list[Cell]()
            for norm in dict.fromkeys(threat.norm for threat in threats):
                of_norm = sorted((one for one in threats if one.norm == norm), key=lambda threat: threat.eps)
                images = {threat: surviving.get((subject.model, threat), {}) for threat in of_norm}
                weak = {
                    cell: adaptive
                    for threat, of_threat in images.items()
                    for cell, adaptive in self._on_surviving(records, subject, threat, of_threat, selection).items()
                }
                of_subject += weak
                if all(cell in known for cell in weak):
                    of_subject += self._strong(subject, images, known, weak, selection)
            if all(cell in known for cell in of_subject):
                of_subject += self._last(subject, selection)
            cells += of_subject
        return cells

    def _last(self, subject: Subject, selection: Selection) -> list[Cell]:
        """What is run on all images when the network has been through everything else."""
        shards = dict.fromkeys(self.shards(selection))
        return [
            cell
            for adaptive, attack in planned(subject, self._threats(subject, selection), "last")
            for cell in self._cells(adaptive, attack, subject, selection, shards)
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
            found = self._cells(adaptive, attack, subject, selection, images)
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
            return self._cells(adaptive, attack, subject, selection, of)

        threats, shards = list(images), dict.fromkeys(self.shards(selection))
        on_all = {
            cell: adaptive
            for adaptive, attack in planned(subject, threats, "all")
            if adaptive is not UNBOUNDED_ATTACK
            for cell in self._cells(adaptive, attack, subject, selection, shards)
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
        """One cell for all shards of an adaptive attack, on the mean number of images.

        Of a strong attack one on the first images, as if none of them fell; in a thorough suite as of any other.
        """
        shards, first = self.shards(selection), Ladder({}, 0).wanted
        found = []
        for subject in subjects:
            alive: dict[ThreatModel, int] = {}
            chance: dict[ThreatModel, float] = {}
            for threat in sorted(self._threats(subject, selection), key=lambda threat: threat.eps):
                likely = [survival.survivors(subject.model, subject.dataset, threat, *shard) for shard in shards]
                times = sum(survivors.chance for survivors in likely)
                if not times:
                    continue
                total = sum(survivors.images * survivors.chance for survivors in likely)
                images = max(1, round(total / times))
                for adaptive, attack in planned(subject, [threat], "surviving", self.thorough):
                    cells = self._cells(adaptive, attack, subject, selection, {shards[0]: tuple(range(images))})
                    found += [
                        Expected(cell, times) for cell in cells if not adaptive.is_ladder or cell.attack_draws in first
                    ]
                alive[threat], chance[threat] = round(total), times
            found += self._expected_strong(subject, selection, alive, chance)
            last = self._last(subject, selection)
            found += [Expected(cell, float(len(shards))) for cell in last if (cell.start, cell.stop) == shards[0]]
        return found

    def _expected_strong(
        self,
        subject: Subject,
        selection: Selection,
        alive: Mapping[ThreatModel, int],
        chance: Mapping[ThreatModel, float],
    ) -> list[Expected]:
        """alive, chance: how many images a threat model is likely to leave, and in how many shards any."""
        found = []
        shard = self.shards(selection)[0]
        for norm in dict.fromkeys(threat.norm for threat in alive):
            of_norm = {threat: images for threat, images in alive.items() if threat.norm == norm}
            tried = telling(of_norm, PROBE)
            for adaptive, attack in planned(subject, list(of_norm), "strong"):
                threat = (
                    next(iter(of_norm)) if adaptive.is_nearest else attack.threat
                )  # the smallest leaves most images
                if self.thorough:
                    images, times = max(1, round(alive[threat] / chance[threat])), chance[threat]
                elif adaptive.on_suspicion or not (adaptive.is_nearest or threat == tried):
                    continue
                else:
                    images, times = min(PROBE, max(1, alive[threat])), min(1.0, chance[threat])
                cells = self._cells(adaptive, attack, subject, selection, {shard: tuple(range(images))})
                found += [Expected(cell, times) for cell in cells]
        return found

    def _threats(self, subject: Subject, selection: Selection) -> list[ThreatModel]:
        return [
            ThreatModel(norm, eps)
            for norm, grid in self.grid(subject.dataset).items()
            for eps in selection.radii(norm, grid)
            if eps > 0
        ]

    def _cells(
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
        attack_draws, judge_draws = subject.draws(selection.draws, adaptive.reading)
        return [
            Cell(
                subject.model,
                subject.dataset,
                replace(attack, gradient=replace(attack.gradient, precision=selection.precision)),
                start,
                stop,
                (adaptive.library,),
                draws,
                judge_draws,
                selection.seed,
                only,
                finite=subject.kind is Kind.FINITE,
                reading=adaptive.reading,
            )
            for (start, stop), only in images.items()
            for draws in adaptive.draws(attack_draws)
        ]


def _first(shards: Iterable[tuple[int, int]], images: int) -> list[tuple[int, int]]:
    """The shards of the first images."""
    return [(start, min(stop, images)) for start, stop in shards if start < images]


def _climbed(records: Iterable[Record], rungs: Sequence[Cell], count: int) -> Ladder:
    """The ladder as far as the records show it. rungs: its cells, on the images that survive."""
    surviving, wanted = {image for cell in rungs for image in cell.only or ()}, set(rungs)
    return climbed(surviving, (record for record in records if record.complete and record.cell in wanted), count)
