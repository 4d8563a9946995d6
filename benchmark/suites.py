"""Suites expand to cells. Pure: no torch, no files, no randomness."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from benchmark.attacks.spec import NORMS, AttackSpec
from benchmark.protocol import (
    ATTACK_DRAWS,
    ATTACKS,
    JUDGE_DRAWS,
    LIBRARIES,
    SHARD,
    eps_grid,
    required_agreement,
    standard_attack,
)
from zoo.targets import GRADIENT_TARGETS, PRECISIONS, GradientTarget, Precision


@dataclass(frozen=True)
class Cell:
    """The unit of work and of resuming: one entry, one attack, one shard of examples, every library.

    start, stop: positions in `protocol.example_order`, not indices of the test split.
    """

    model: str
    dataset: str
    attack: AttackSpec
    start: int
    stop: int
    libraries: tuple[str, ...] = LIBRARIES
    attack_draws: int = ATTACK_DRAWS
    judge_draws: int = JUDGE_DRAWS
    seed: int = 0

    @property
    def passes(self) -> int:
        """Roughly how many passes of one network it takes: what the time left is reckoned by."""
        draws = 1 if self.attack.target in ("single-draw", "mean-weights") else self.attack_draws
        walks = len(self.libraries) if self.attack.threat.norm == "l2" else 1  # in linf they share most gradients
        gradients = 3 * walks * self.attack.steps * self.attack.restarts * draws  # a backward pass counts twice
        judging = (1 + len(self.libraries)) * (self.judge_draws + self.attack_draws)
        return (self.stop - self.start) * (gradients + judging)

    @property
    def label(self) -> str:
        from benchmark.attacks.spec import format_eps

        threat = self.attack.threat
        return f"{self.model} {self.attack.name} eps {format_eps(threat.eps)} [{self.start}, {self.stop})"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Cell:
        return cls(
            **{
                **fields,
                "attack": AttackSpec.from_json(fields["attack"]),
                "libraries": tuple(fields["libraries"]),
            }
        )


def draw_counts(deterministic: bool, attack_draws: int | None = None) -> tuple[int, int]:
    """The attacker's and the judge's draws; a deterministic network has one, whatever is asked for."""
    return (1, 1) if deterministic else (attack_draws or ATTACK_DRAWS, JUDGE_DRAWS)


class Subject(NamedTuple):
    """An entry to attack: its name, data set, size of the test split, and whether it is its own single draw."""

    model: str
    dataset: str
    size: int
    deterministic: bool


@dataclass(frozen=True)
class Selection:
    """What a user may change about a suite; None leaves the suite's own choice.

    Raises ValueError for counts below one, unknown attacks or libraries, or an eps that is no number >= 0.
    """

    attacks: tuple[str, ...] | None = None
    eps: tuple[float, ...] | None = None
    libraries: tuple[str, ...] | None = None
    examples: int | None = None
    draws: int | None = None
    seed: int = 0
    target: GradientTarget = "expected"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for chosen, known, kind in ((self.attacks, ATTACKS, "attack"), (self.libraries, LIBRARIES, "library")):
            for name in chosen or ():
                if name not in known:
                    raise ValueError(f"no {kind} {name!r}; there are: {', '.join(known)}")
        if self.target not in GRADIENT_TARGETS:
            raise ValueError(f"no gradient target {self.target!r}; there are: {', '.join(GRADIENT_TARGETS)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"no precision {self.precision!r}; there are: {', '.join(PRECISIONS)}")
        for eps in self.eps or ():
            if not (math.isfinite(eps) and eps >= 0):
                raise ValueError(f"eps must be a number >= 0, not {eps}")
        for count, kind in ((self.examples, "examples"), (self.draws, "draws")):
            if count is not None and count < 1:
                raise ValueError(f"{kind} must be at least 1, not {count}")


@dataclass(frozen=True)
class Suite:
    """help: one line for `--list`. examples: how many by default. models: entries it is about; None for all."""

    name: str
    help: str
    examples: int
    models: tuple[str, ...] | None = None

    def attacks(self, dataset: str, selection: Selection) -> list[AttackSpec]:
        """The attacks on a data set, eps by eps."""
        names = selection.attacks or ATTACKS
        grids = {norm: selection.eps or self.grid(dataset)[norm] for norm in ("linf", "l2")}
        return [
            standard_attack(name, eps, selection.target, selection.precision)
            for name in ATTACKS
            if name in names
            for eps in grids[NORMS[name]]
        ]

    def grid(self, dataset: str) -> dict[str, tuple[float, ...]]:
        """The eps per norm."""
        return eps_grid(dataset)

    def libraries(self, spec: AttackSpec, start: int, selection: Selection) -> tuple[str, ...]:
        """The libraries for the shard that starts at `start`."""
        return tuple(library for library in LIBRARIES if library in (selection.libraries or LIBRARIES))

    def cells(self, subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        """All cells, entry by entry and shard by shard, so that what a shard's cells share is kept no longer.

        A deterministic network has one draw, whatever is selected.
        Raises ValueError if more examples are asked for than a split has.
        """
        cells: list[Cell] = []
        for model, dataset, size, deterministic in subjects:
            count = self.examples if selection.examples is None else selection.examples
            if count > size:
                raise ValueError(f"{dataset} has {size} test examples; --examples {count} asks for more")
            cells += [
                Cell(
                    model,
                    dataset,
                    spec,
                    start,
                    min(start + SHARD, count),
                    self.libraries(spec, start, selection),
                    *draw_counts(deterministic, selection.draws),
                    selection.seed,
                )
                for start in range(0, count, SHARD)
                for spec in self.attacks(dataset, selection)
            ]
        return cells


class SmokeSuite(Suite):
    """The first eps of each norm only."""

    def grid(self, dataset: str) -> dict[str, tuple[float, ...]]:
        return {norm: grid[:1] for norm, grid in eps_grid(dataset).items()}


class PaperSuite(Suite):
    """Seed 000's two grids, and one library where all three give the same images beyond the first shard."""

    def grid(self, dataset: str) -> dict[str, tuple[float, ...]]:
        small = [round(0.005 * step, 3) for step in range(11)]
        large = [round(0.05 * step, 2) for step in range(11)]
        both = tuple(sorted({*small, *large}))
        return {"linf": both, "l2": both}

    def libraries(self, spec: AttackSpec, start: int, selection: Selection) -> tuple[str, ...]:
        chosen = super().libraries(spec, start, selection)
        return chosen[:1] if start > 0 and required_agreement(spec) == "identical" else chosen


class AnchorSuite(Suite):
    """FGSM over the grid of PyTorch's tutorial, and PGD with 40 steps of 0.01 at eps 0.3."""

    def attacks(self, dataset: str, selection: Selection) -> list[AttackSpec]:
        names = selection.attacks or ATTACKS
        fgsm = [
            standard_attack("fgsm", eps, selection.target, selection.precision)
            for eps in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
        ]
        pgd = replace(standard_attack("pgd-linf", 0.3, selection.target, selection.precision), steps=40, step_size=0.01)
        return [
            spec
            for spec in (*fgsm, pgd)
            if spec.name in names and spec.threat.eps in (selection.eps or (spec.threat.eps,))
        ]

    def libraries(self, spec: AttackSpec, start: int, selection: Selection) -> tuple[str, ...]:
        chosen = super().libraries(spec, start, selection)
        return chosen if start == 0 else chosen[:1]


def _paper_models() -> tuple[str, ...]:
    networks: dict[str, Sequence[str]] = {
        "mnist": ("lenet", "alexnet"),
        "cifar10": ("lenet", "alexnet", "3conv3fc"),
        "cifar10-jpeg": ("lenet", "alexnet", "3conv3fc"),
    }
    return tuple(f"{d}/{prefix}{n}" for d, names in networks.items() for n in names for prefix in ("", "bayesian-"))


SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        SmokeSuite("smoke", "every attack at one eps per norm, 20 examples: does it work at all?", 20),
        Suite("whitebox", "the main job: FGSM, BIM, PGD-linf, PGD-l2 at two eps each, 100 examples", 100),
        PaperSuite("paper", "seed 000's experiment: both eps grids, 10,000 examples", 10_000, _paper_models()),
        AnchorSuite(
            "anchors",
            "numbers to hold against published ones: FGSM tutorial curve, PGD-40; 1,000 examples",
            1000,
            ("mnist/lenet", "mnist/lenet-adversarial"),
        ),
    )
}
