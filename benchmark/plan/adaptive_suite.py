"""The adaptive suite: the white-box attacks, and then all that may break what survives them. Pure: no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.attacks.methods import METHOD_OF
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attacks import AdaptiveAttack, planned
from benchmark.plan.cells import Cell, Selection, Subject
from benchmark.plan.ladder import Ladder, climbed
from benchmark.plan.roles import role_of, surviving_examples
from benchmark.plan.suite import WhiteboxSuite, by_shard
from benchmark.plan.survival import Expected, Survival
from benchmark.protocol import LIBRARIES
from zoo.kind import Kind

if TYPE_CHECKING:
    from benchmark.records.record import Record


class AdaptiveSuite(WhiteboxSuite):
    """The white-box attacks, and then all that may break what survives them; see `benchmark.plan.adaptive_attacks`."""

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
        records = list(records)
        # what else a user asked for decides nothing: the suite attacks the same images with it and without
        surviving, cells = surviving_examples(record for record in records if not role_of(record.cell).further), []
        for subject in subjects:
            for threat in self._threats(subject, selection):
                images = surviving.get((subject.model, threat), {})
                for adaptive, attack in planned(subject, [threat], "surviving"):
                    found = self._cells(adaptive, attack, subject, selection, images)
                    if adaptive.is_ladder:
                        wanted = _climbed(records, found, self.count(selection)).wanted
                        found = [cell for cell in found if cell.attack_draws in wanted]
                    cells += found
            cells += self._last(subject, selection)
        return cells

    def _last(self, subject: Subject, selection: Selection) -> list[Cell]:
        """What is run on all images when the network has been through everything else."""
        shards = dict.fromkeys(self.shards(selection))
        return [
            cell
            for adaptive, attack in planned(subject, self._threats(subject, selection), "last")
            for cell in self._cells(adaptive, attack, subject, selection, shards)
        ]

    def expected_follow_up(
        self, subjects: Iterable[Subject], selection: Selection, survival: Survival
    ) -> list[Expected]:
        """One cell for all shards of an adaptive attack, on the mean number of images."""
        shards, first = self.shards(selection), Ladder({}, 0).wanted
        found = []
        for subject in subjects:
            for threat in self._threats(subject, selection):
                likely = [survival.survivors(subject.model, subject.dataset, threat, *shard) for shard in shards]
                times = sum(survivors.chance for survivors in likely)
                if not times:
                    continue
                images = max(1, round(sum(survivors.images * survivors.chance for survivors in likely) / times))
                for adaptive, attack in planned(subject, [threat], "surviving"):
                    cells = self._cells(adaptive, attack, subject, selection, {shards[0]: tuple(range(images))})
                    found += [
                        Expected(cell, times) for cell in cells if not adaptive.is_ladder or cell.attack_draws in first
                    ]
            last = self._last(subject, selection)
            found += [Expected(cell, float(len(shards))) for cell in last if (cell.start, cell.stop) == shards[0]]
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
        if not wanted or adaptive.library not in (selection.libraries or LIBRARIES):
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
