"""What the statements are decided on: the study's tables, half-moons, and the board's entry that HMC sampled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.attacks.spec import ThreatModel
from benchmark.papers.posteriors.findings import Findings
from benchmark.papers.posteriors.grid import MAP
from benchmark.papers.posteriors.study import FOLDER
from benchmark.papers.posteriors.suite import Attacker
from benchmark.plan.adaptive_attack import NORMS
from benchmark.records.record import Record
from benchmark.reports.general import STUDIES
from benchmark.results import Results
from benchmark.results.detection import Detection

SAMPLED, ITS_MAXIMUM = "mnist/hmc-mlp", "mnist/mlp-50"  # of the boards: HMC's samples, and their posterior's maximum


class View(NamedTuple):
    """By whose attacks a claim is judged. attackers: of the study. own: whether they have the judge's own draws."""

    words: str
    attackers: tuple[Attacker, ...] = tuple(Attacker)
    own: bool = False


ONE_DRAW = View("one draw's gradient", (Attacker.SINGLE,))
FEW_DRAWS = View("8 draws' gradient", (Attacker.FROZEN,))
LIMIT = View("the limit of many draws")
OWN = View("the judge's own draws", own=True)
VIEWS = (ONE_DRAW, FEW_DRAWS, LIMIT, OWN)


@dataclass(frozen=True)
class Evidence:
    """What is known at one place under one threat model, as one view has it; a statement takes what it needs.

    moons: width -> mean norm of the expected gradient. detections: of `SAMPLED`, under attackers who know of a detector
    and who do not.
    """

    view: View = LIMIT
    threat: ThreatModel | None = None
    findings: Findings | None = None
    moons: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    detections: Sequence[Detection] = ()

    @property
    def posteriors(self) -> list[str]:
        """Those that were measured, without the maximum."""
        return [] if self.findings is None else [name for name in self.findings.posteriors if name != MAP]

    def survivors(self, posterior: str, attackers: Iterable[Attacker] | None = None) -> NDArray[np.bool_] | None:
        """(T, N). attackers: the view's, where none are given. None for what was not measured.

        One network has no draws: where the view's attackers have few, the maximum's has its own gradient.
        """
        if self.findings is None or self.threat is None or posterior not in self.findings.posteriors:
            return None
        if attackers is None:
            of_few = posterior == MAP and self.view.attackers in (ONE_DRAW.attackers, FEW_DRAWS.attackers)
            attackers = (Attacker.ALL,) if of_few else self.view.attackers
        found = self.findings.survivors(posterior, self.threat, attackers, self.view.own)
        return found if found.size else None

    def measure(self, posterior: str, column: str) -> NDArray[np.float64] | None:
        """(T,) a measure of each training; None for what was not measured."""
        if self.findings is None or posterior not in self.findings.posteriors:
            return None
        found = self.findings.each(posterior, column)
        return None if np.isnan(found).any() else found


class On(StrEnum):
    """What a claim is judged on."""

    STUDY = "the study of posteriors"
    MOONS = "half-moons"
    BOARDS = SAMPLED


class Place(NamedTuple):
    """A problem, an example, or a network. threats: every one that was measured. middle: the one that judges."""

    name: str
    evidence: Evidence
    threats: tuple[ThreatModel, ...] = ()
    middle: ThreatModel | None = None


class Queried(NamedTuple):
    """What Square broke under a threat model of the images that it was tried on."""

    threat: ThreatModel
    broken: int
    tried: int


class Material(NamedTuple):
    """All that lies in a folder of leaderboards. studies: of every problem whose maximum was measured.

    queries: of HMC's entry on the boards and of its maximum, what Square broke of what gradients had left.
    """

    studies: tuple[Findings, ...]
    moons: Mapping[int, float]
    detections: Sequence[Detection] = ()
    queries: Mapping[str, Sequence[Queried]] = MappingProxyType({})

    @classmethod
    def read(cls, results: Results, folder: Path) -> Material:
        """Raises ValueError for damaged tables."""
        moons = folder / STUDIES / "half-moons.json"
        widths = json.loads(moons.read_text())["widths"] if moons.is_file() else ()
        entries = {entry.name: entry for entry in results.entries if entry.name in (SAMPLED, ITS_MAXIMUM)}
        return cls(
            read_studies(folder),
            {one["width"]: one["limit"] for one in widths},
            entries[SAMPLED].detections if SAMPLED in entries else (),
            {
                name: queried(entries[name].adaptive.get("square", ()))
                for name in (SAMPLED, ITS_MAXIMUM)
                if name in entries
            },
        )

    def places(self, on: On) -> list[Place]:
        """Where a claim can be judged; the middle eps of a grid is the third of six in linf."""
        if on is On.STUDY:
            return [place_of(findings) for findings in self.studies]
        if on is On.MOONS:
            return [Place("half-moons", Evidence(moons=self.moons))] if self.moons else []
        threats = tuple(dict.fromkeys(one.threat for one in self.detections))
        middle = next((threat for threat in threats if threat.norm == "linf"), None)
        return [Place(SAMPLED, Evidence(detections=self.detections), threats, middle)] if threats else []


def read_studies(folder: Path) -> tuple[Findings, ...]:
    """Of every problem whose maximum was measured. Raises ValueError for damaged tables."""
    paths = sorted((folder / STUDIES / FOLDER).glob("*/grid.csv"))
    return tuple(one for path in paths if MAP in (one := Findings.read(path.parent)).posteriors)


def place_of(findings: Findings) -> Place:
    """A problem of the study."""
    problem, by_norm = findings.problem, {norm: findings.threats(norm) for norm in NORMS}
    grid = by_norm["linf"]
    images = "all" if problem.images is None else f"{problem.images:,}"
    name = f"{problem.name}, {images} images of {problem.dataset}"
    threats = tuple(threat for of_norm in by_norm.values() for threat in of_norm)
    return Place(name, Evidence(findings=findings), threats, grid[(len(grid) - 1) // 2] if grid else None)


def queried(records: Iterable[Record]) -> list[Queried]:
    """What an attack broke of all right images that it was tried on, the smallest eps of each norm first."""
    found: dict[ThreatModel, list[frozenset[int]]] = {}
    for record in records:
        before, broken = found.get(record.cell.attack.threat, [frozenset(), frozenset()])
        found[record.cell.attack.threat] = [before | record.right, broken | (record.broken & record.right)]
    ordered = sorted(found.items(), key=lambda one: (one[0].norm == "l2", one[0].eps))
    return [Queried(threat, len(broken), len(tried)) for threat, (tried, broken) in ordered]
