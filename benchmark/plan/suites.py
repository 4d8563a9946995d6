"""Suites expand to cells. Pure: no torch, no files, no randomness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmark.attacks.methods import NORMS, Norm
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attacks import ADAPTIVE_NAMES, AdaptiveAttack, planned
from benchmark.plan.cells import Cell, Selection, Subject
from benchmark.plan.ladder import Ladder, ladder
from benchmark.plan.roles import role_of, surviving_examples
from benchmark.plan.survival import Expected, Survival
from benchmark.protocol import ATTACKS, LIBRARIES, SHARD, eps_grid, standard_attack
from zoo.kind import Kind
from zoo.targets import GRADIENT_TARGETS, Gradient

if TYPE_CHECKING:
    from benchmark.records.record import Record


@dataclass(frozen=True)
class Suite:
    """help: one line for `--list`. examples: how many by default. models: entries it is about; None for all."""

    name: str
    help: str
    examples: int
    models: tuple[str, ...] | None = None

    def attacks(self, subject: Subject, selection: Selection) -> list[AttackSpec]:
        """The attacks on an entry, eps by eps."""
        names = selection.attacks or ATTACKS
        grids = {norm: selection.radii(norm, grid) for norm, grid in self.grid(subject.dataset).items()}
        for target in selection.targets or ():
            if target in subject.undefined:
                raise ValueError(
                    f"{subject.model} has no gradient target {target!r}: mean-weights needs a posterior mean, "
                    "propagation mean-field layers and a rule for every layer between them"
                )
        return [
            standard_attack(name, eps, Gradient(target, selection.precision))
            for target in selection.targets or self.targets(subject)
            for name in ATTACKS
            if name in names
            for eps in grids[NORMS[name]]
        ]

    def targets(self, subject: Subject) -> tuple[str, ...]:
        """What gradients are taken of."""
        return ("expected",)

    def grid(self, dataset: str) -> dict[Norm, tuple[float, ...]]:
        """The eps per norm."""
        return eps_grid(dataset)

    def libraries(self, spec: AttackSpec, start: int, selection: Selection) -> tuple[str, ...]:
        """The libraries for the shard that starts at `start`."""
        return tuple(library for library in LIBRARIES if library in (selection.libraries or LIBRARIES))

    def follow_up(self, records: Iterable[Record], subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        """The cells to be run once the records of `cells`, and of the cells that followed before, are there.

        It is asked again until it names no new ones; none by default.
        """
        return []

    def expected_follow_up(
        self, subjects: Iterable[Subject], selection: Selection, survival: Survival
    ) -> list[Expected]:
        """What `follow_up` is likely to return, as `survival` estimates: for the time left, and nothing else."""
        return []

    def cells(self, subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        """All cells, entry by entry and shard by shard, so that what a shard's cells share is kept no longer.

        A deterministic network has one draw, whatever is selected.
        Raises ValueError if more examples are asked for than a split has, or an attack that another suite runs.
        """
        for name in selection.attacks or ():
            if name not in ATTACKS:
                raise ValueError(
                    f"suite {self.name} has {', '.join(ATTACKS)}; {name} is none of them; --suite adaptive has more"
                )
        cells: list[Cell] = []
        for subject in subjects:
            count = self.examples if selection.examples is None else selection.examples
            if count > subject.size:
                raise ValueError(
                    f"{subject.dataset} has {subject.size} test examples; --examples {count} asks for more"
                )
            cells += [
                Cell(
                    subject.model,
                    subject.dataset,
                    spec,
                    start,
                    min(start + SHARD, count),
                    self.libraries(spec, start, selection),
                    *subject.draws(selection.draws),
                    selection.seed,
                    finite=subject.kind is Kind.FINITE,
                )
                for start in range(0, count, SHARD)
                for spec in self.attacks(subject, selection)
            ]
        return cells


class SmokeSuite(Suite):
    """The first eps of each norm only."""

    def grid(self, dataset: str) -> dict[Norm, tuple[float, ...]]:
        return {norm: grid[:1] for norm, grid in eps_grid(dataset).items()}


class WhiteboxSuite(Suite):
    """Every eps of the leaderboards, and 0: there an attack must return its image, and a network's health is taken."""

    def grid(self, dataset: str) -> dict[Norm, tuple[float, ...]]:
        return {norm: (0.0, *grid) for norm, grid in eps_grid(dataset).items()}


class AdaptiveSuite(WhiteboxSuite):
    """The white-box attacks, and then all that may break what survives them; see `benchmark.plan.adaptive_attacks`."""

    def cells(self, subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        """Raises ValueError for a gradient target, as adaptive attacks have theirs, or an attack not of its own."""
        if selection.targets is not None:
            raise ValueError("the adaptive suite takes every gradient that it needs: leave out --target")
        for name in selection.attacks or ():
            if name not in (*ATTACKS, *ADAPTIVE_NAMES):
                known = ", ".join((*ATTACKS, *ADAPTIVE_NAMES))
                raise ValueError(f"suite {self.name} has {known}; {name} is none of them")
        cells = []
        for subject in subjects:
            # adaptive attacks and checks rest on all of these, at eps = 0 in any case
            eps: dict[str, tuple[float, ...]] = {
                norm: tuple(dict.fromkeys((0.0, *selection.radii(norm, grid))))
                for norm, grid in self.grid(subject.dataset).items()
            }
            whitebox = super().cells([subject], replace(selection, attacks=None, eps=eps))
            shards = dict.fromkeys((cell.start, cell.stop) for cell in whitebox)
            cells += whitebox
            for adaptive, attack in planned(subject, self._threats(subject, selection), "all"):
                cells += self._cells(adaptive, attack, subject, selection, dict.fromkeys(shards))
        order = {model: place for place, model in enumerate(dict.fromkeys(cell.model for cell in cells))}
        return sorted(cells, key=lambda cell: (order[cell.model], cell.start))

    def follow_up(self, records: Iterable[Record], subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        records = list(records)
        surviving, cells = surviving_examples(records), []
        for subject in subjects:
            for threat in self._threats(subject, selection):
                images = surviving.get((subject.model, threat), {})
                for adaptive, attack in planned(subject, [threat], "surviving"):
                    found = self._cells(adaptive, attack, subject, selection, images)
                    if len(adaptive.draws(1)) > 1:
                        climbed = _climbed(records, found, self._count(selection))
                        found = [cell for cell in found if cell.attack_draws in climbed.wanted]
                    cells += found
        return cells

    def expected_follow_up(
        self, subjects: Iterable[Subject], selection: Selection, survival: Survival
    ) -> list[Expected]:
        """One cell for all shards of an adaptive attack, on the mean number of images."""
        count, first = self._count(selection), Ladder({}, 0).wanted
        shards = [(start, min(start + SHARD, count)) for start in range(0, count, SHARD)]
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
                    several = len(adaptive.draws(1)) > 1
                    found += [Expected(cell, times) for cell in cells if not several or cell.attack_draws in first]
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

    def _count(self, selection: Selection) -> int:
        return self.examples if selection.examples is None else selection.examples


def _climbed(records: Iterable[Record], rungs: Iterable[Cell], count: int) -> Ladder:
    """The ladder as far as the records show it. rungs: its cells, on the images that survive."""
    of_cell = {record.cell: record for record in records if record.complete and role_of(record.cell).adaptive}
    broken: dict[int, set[int]] = {}
    missing, surviving = set(), set[int]()
    for cell in rungs:
        surviving.update(cell.only or ())
        if (record := of_cell.get(cell)) is None:
            missing.add(cell.attack_draws)
        else:
            broken.setdefault(cell.attack_draws, set()).update(record.broken)
    return ladder(surviving, {draws: found for draws, found in broken.items() if draws not in missing}, count)


class MaskingSuite(Suite):
    """The white-box attacks on Bayesian entries with the gradient of every target; others have but one gradient."""

    def attacks(self, subject: Subject, selection: Selection) -> list[AttackSpec]:
        return [] if subject.deterministic else super().attacks(subject, selection)

    def targets(self, subject: Subject) -> tuple[str, ...]:
        return tuple(target for target in GRADIENT_TARGETS if target not in subject.undefined)


# The benchmark's own; `benchmark.registry` has those of the papers beside them.
SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        SmokeSuite("smoke", "every attack at one eps per norm, 20 examples: does it work at all?", 20),
        WhiteboxSuite("whitebox", "the main job: FGSM, BIM, PGD-linf, PGD-l2 at two eps each, 100 examples", 100),
        AdaptiveSuite("adaptive", "whitebox, then all that may break surviving images: the audit of a row", 100),
        MaskingSuite("masking", "Bayesian entries: what each wrong gradient hides; as whitebox, every gradient", 100),
    )
}
