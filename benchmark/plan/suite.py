"""What a suite is, and the suites that are the white-box attacks alone. Pure: no torch, no files, no randomness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.attacks.methods import NORMS, Norm
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.cells import Cell, Further, Selection, Subject
from benchmark.plan.survival import Expected, Survival
from benchmark.protocol import ATTACKS, LIBRARIES, SHARD, eps_grid, standard_attack
from zoo.targets import Gradient

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
        names = ATTACKS if selection.attacks is None else selection.attacks
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

    def further(self, subject: Subject, selection: Selection) -> list[tuple[AttackSpec, tuple[str, ...]]]:
        """The attacks that were asked for beside the suite's, each with the libraries that run it; none at eps = 0."""
        grid = self.grid(subject.dataset)
        return [
            (attack.spec(ThreatModel(norm, eps), Gradient(target, selection.precision)), _having(attack, selection))
            for attack in selection.further
            for target in selection.targets or ("expected",)
            for norm in attack.norms
            for eps in selection.radii(norm, grid[norm])
            if eps > 0
        ]

    @property
    def attack_names(self) -> tuple[str, ...]:
        """The names of its attacks, for those who want some of them only."""
        return ATTACKS

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

    def count(self, selection: Selection) -> int:
        """How many images of each entry."""
        return self.examples if selection.examples is None else selection.examples

    def shards(self, selection: Selection) -> list[tuple[int, int]]:
        """Start and stop of each shard of them."""
        count = self.count(selection)
        return [(start, min(start + SHARD, count)) for start in range(0, count, SHARD)]

    def shards_of(self, subject: Subject, selection: Selection) -> list[tuple[int, int]]:
        """The same of one entry. Raises ValueError if more examples are asked for than its split has."""
        if (count := self.count(selection)) > subject.size:
            raise ValueError(f"{subject.dataset} has {subject.size} test examples; --examples {count} asks for more")
        return self.shards(selection)

    def cells(self, subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        """All cells, entry by entry and shard by shard, so that what a shard's cells share is kept no longer.

        A deterministic network has one draw, whatever is selected.
        Raises ValueError if more examples are asked for than a split has, or an attack that another suite runs.
        """
        for name in selection.attacks or ():
            if name not in self.attack_names:
                have = ", ".join(self.attack_names)
                raise ValueError(f"suite {self.name} has {have}; {name} is none of them; --suite adaptive has more")
        cells: list[Cell] = []
        for subject in subjects:
            cells += [
                subject.cell(spec, (start, stop), libraries, subject.draws(selection.draws), selection.seed)
                for start, stop in self.shards_of(subject, selection)
                for spec, libraries in [
                    *((spec, self.libraries(spec, start, selection)) for spec in self.attacks(subject, selection)),
                    *self.further(subject, selection),
                ]
            ]
        return cells


def _having(attack: Further, selection: Selection) -> tuple[str, ...]:
    """The libraries that run it, of those that were asked for where it is an attack of libraries."""
    wanted = LIBRARIES if selection.libraries is None else selection.libraries
    found = tuple(library for library in attack.libraries if library in wanted or attack.is_own)
    if not found:
        raise ValueError(f"{attack} is run by {', '.join(attack.libraries)} alone, not by {', '.join(wanted)}")
    return found


class SmokeSuite(Suite):
    """The first eps of each norm only."""

    def grid(self, dataset: str) -> dict[Norm, tuple[float, ...]]:
        return {norm: grid[:1] for norm, grid in eps_grid(dataset).items()}


class WhiteboxSuite(Suite):
    """Every eps of the leaderboards, and 0: there an attack must return its image, and a network's health is taken."""

    def grid(self, dataset: str) -> dict[Norm, tuple[float, ...]]:
        return {norm: (0.0, *grid) for norm, grid in eps_grid(dataset).items()}


def by_shard(cells: Sequence[Cell]) -> list[Cell]:
    """The cells entry by entry, in the entries' order, and shard by shard."""
    order = {model: place for place, model in enumerate(dict.fromkeys(cell.model for cell in cells))}
    return sorted(cells, key=lambda cell: (order[cell.model], cell.start, -cell.stop))  # parts of a shard after it
