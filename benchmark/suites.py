"""Suites expand to cells. Pure: no torch, no files, no randomness."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from benchmark.attacks.spec import NORMS, AttackSpec
from benchmark.protocol import (
    ATTACK_DRAWS,
    ATTACKS,
    JUDGE_DRAWS,
    LIBRARIES,
    PAPER_GRIDS,
    PAPER_NETWORKS,
    SHARD,
    eps_grid,
    standard_attack,
)
from zoo.targets import GRADIENT_TARGETS, OF_ONE_NETWORK, PRECISIONS, GradientTarget, Precision


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
        draws = 1 if self.attack.target in OF_ONE_NETWORK else self.attack_draws
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
    """An entry to attack: its name, data set, size of the test split, and whether it is its own single draw.

    cost: multiplications of one pass for one image, which tells the time left over networks of different size.
    """

    model: str
    dataset: str
    size: int
    deterministic: bool
    cost: int = 1


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
    targets: tuple[GradientTarget, ...] | None = None
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for chosen, known, kind in (
            (self.attacks, ATTACKS, "attack"),
            (self.libraries, LIBRARIES, "library"),
            (self.targets, GRADIENT_TARGETS, "gradient target"),
        ):
            for name in chosen or ():
                if name not in known:
                    raise ValueError(f"no {kind} {name!r}; there are: {', '.join(known)}")
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

    def attacks(self, subject: Subject, selection: Selection) -> list[AttackSpec]:
        """The attacks on an entry, eps by eps."""
        names = selection.attacks or ATTACKS
        grids = {norm: selection.eps or self.grid(subject.dataset)[norm] for norm in ("linf", "l2")}
        return [
            standard_attack(name, eps, target, selection.precision)
            for target in selection.targets or self.targets(subject)
            for name in ATTACKS
            if name in names
            for eps in grids[NORMS[name]]
        ]

    def targets(self, subject: Subject) -> tuple[GradientTarget, ...]:
        """What gradients are taken of."""
        return ("expected",)

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
                    *draw_counts(subject.deterministic, selection.draws),
                    selection.seed,
                )
                for start in range(0, count, SHARD)
                for spec in self.attacks(subject, selection)
            ]
        return cells


class SmokeSuite(Suite):
    """The first eps of each norm only."""

    def grid(self, dataset: str) -> dict[str, tuple[float, ...]]:
        return {norm: grid[:1] for norm, grid in eps_grid(dataset).items()}


class PaperSuite(Suite):
    """Seed 000's two grids; three libraries on the first shard, where they are held against each other, then one.

    A network that samples its weights anew in every pass, as the paper's did, gives an attacker the gradient of another
    draw at each step: Bayesian entries are attacked so, and by the gradient of the expected prediction. At eps = 0
    there is nothing to attack: curves begin at the accuracy on clean images.
    """

    def grid(self, dataset: str) -> dict[str, tuple[float, ...]]:
        both = tuple(sorted({eps for grid in PAPER_GRIDS.values() for eps in grid} - {0.0}))
        return {"linf": both, "l2": both}

    def targets(self, subject: Subject) -> tuple[GradientTarget, ...]:
        return ("expected",) if subject.deterministic else ("expected", "resampled")

    def libraries(self, spec: AttackSpec, start: int, selection: Selection) -> tuple[str, ...]:
        chosen = super().libraries(spec, start, selection)
        return chosen if start == 0 and spec.target == "expected" else chosen[:1]


class MaskingSuite(Suite):
    """The white-box attacks on Bayesian entries with the gradient of every target; others have but one gradient."""

    def attacks(self, subject: Subject, selection: Selection) -> list[AttackSpec]:
        return [] if subject.deterministic else super().attacks(subject, selection)

    def targets(self, subject: Subject) -> tuple[GradientTarget, ...]:
        return GRADIENT_TARGETS


class AnchorSuite(Suite):
    """FGSM over the grid of PyTorch's tutorial, and PGD with 40 steps of 0.01 at eps 0.3."""

    def attacks(self, subject: Subject, selection: Selection) -> list[AttackSpec]:
        names = selection.attacks or ATTACKS
        fgsm = [standard_attack("fgsm", eps) for eps in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)]
        pgd = replace(standard_attack("pgd-linf", 0.3), steps=40, step_size=0.01)
        return [
            replace(spec, target=target, precision=selection.precision)
            for target in selection.targets or self.targets(subject)
            for spec in (*fgsm, pgd)
            if spec.name in names and spec.threat.eps in (selection.eps or (spec.threat.eps,))
        ]

    def libraries(self, spec: AttackSpec, start: int, selection: Selection) -> tuple[str, ...]:
        chosen = super().libraries(spec, start, selection)
        return chosen if start == 0 else chosen[:1]


PAPER_MODELS = tuple(
    f"{dataset}/{network}"
    for dataset in ("mnist", "cifar10-jpeg")
    for network in (*(f"{prefix}{n}" for n in PAPER_NETWORKS for prefix in ("", "bayesian-")), "lenet-adversarial")
)

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        SmokeSuite("smoke", "every attack at one eps per norm, 20 examples: does it work at all?", 20),
        Suite("whitebox", "the main job: FGSM, BIM, PGD-linf, PGD-l2 at two eps each, 100 examples", 100),
        PaperSuite("paper", "seed 000's experiment: both eps grids, 10,000 examples", 10_000, PAPER_MODELS),
        MaskingSuite("masking", "Bayesian entries: what each wrong gradient hides; as whitebox, every gradient", 100),
        AnchorSuite(
            "anchors",
            "numbers to hold against published ones: FGSM tutorial curve, PGD-40; 1,000 examples",
            1000,
            ("mnist/lenet", "mnist/lenet-adversarial"),
        ),
    )
}
