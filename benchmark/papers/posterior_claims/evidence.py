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
from benchmark.papers.posterior_claims.queries import ITS_MAXIMUM, SAMPLED, Queried, Queries, read_queries
from benchmark.papers.posterior_claims.spheres import Spheres, read_spheres
from benchmark.papers.posteriors.findings import Findings, read_repeats, read_studies
from benchmark.papers.posteriors.grid import MAP
from benchmark.papers.posteriors.suite import Attacker
from benchmark.plan.adaptive_attack import NORMS
from benchmark.plan.cells import Reading
from benchmark.reports.general import STUDIES
from benchmark.results import Results
from benchmark.results.detection import Detection

_DATASET, _ = SAMPLED.split("/")


class View(NamedTuple):
    """By whose attacks a claim is judged. attackers: of the study. own: whether they have the judge's own draws."""

    words: str
    attackers: tuple[Attacker, ...] = tuple(Attacker)
    own: bool = False


ONE_DRAW = View("one draw's gradient", (Attacker.SINGLE,))
FEW_DRAWS = View("8 draws' gradient", (Attacker.FROZEN,))
UNKNOWN = View("unknown draws")
OWN = View("the judge's own draws", own=True)
VIEWS = (ONE_DRAW, FEW_DRAWS, UNKNOWN, OWN)  # of claims about attacks
LIMIT = View("the limit of many draws")  # of claims about gradients, which nobody attacks


@dataclass(frozen=True)
class Evidence:
    """What is known at one place under one threat model, as one view has it; a statement takes what it needs.

    moons: width -> mean norm of the expected gradient. detections: of `SAMPLED`, under attackers who know of a detector
    and who do not. queries: what Square did to it and to its maximum. spheres: points that survive attacks along them.
    """

    view: View = UNKNOWN
    threat: ThreatModel | None = None
    findings: Findings | None = None
    moons: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    detections: Sequence[Detection] = ()
    queries: Queries = field(default_factory=lambda: MappingProxyType({}))
    spheres: Spheres = field(default_factory=lambda: MappingProxyType({}))

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

    def queried(self, model: str) -> Queried | None:
        """What Square did to a network whose draws the view's attacker has, or has not; one network is as it is."""
        if self.threat is None:
            return None
        known = self.view.own or model == ITS_MAXIMUM
        return self.queries.get((model, self.threat, Reading.HEADLINE if known else Reading.SAMPLE))

    def on_spheres(self, kind: str) -> NDArray[np.bool_] | None:
        """(T, N) of `examples.spheres`; None for what was not measured."""
        return None if self.threat is None else self.spheres.get((kind, self.view.own, self.threat))

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
    QUERIES = f"{SAMPLED}, by queries"
    SPHERES = "concentric spheres"


class Place(NamedTuple):
    """A problem, an example, or a network. threats: every one that was measured. middle: the one that judges.

    again: the same with more draws of each posterior. A claim that can be judged there is.
    """

    name: str
    dataset: str
    evidence: Evidence
    threats: tuple[ThreatModel, ...] = ()
    middle: ThreatModel | None = None
    again: Place | None = None


class Material(NamedTuple):
    """All that lies in a folder of leaderboards.

    studies: of every problem whose maximum was measured. repeats: by such a problem, what was measured with more draws.
    """

    studies: tuple[Findings, ...]
    repeats: Mapping[str, Findings]
    moons: Mapping[int, float]
    detections: Sequence[Detection] = ()
    queries: Queries = MappingProxyType({})
    spheres: Spheres = MappingProxyType({})

    @classmethod
    def read(cls, results: Results, folder: Path) -> Material:
        """Raises ValueError for damaged tables."""
        moons = folder / STUDIES / "half-moons.json"
        widths = json.loads(moons.read_text())["widths"] if moons.is_file() else ()
        found = [entry.detections for entry in results.entries if entry.name == SAMPLED]
        return cls(
            read_studies(folder / STUDIES),
            read_repeats(folder / STUDIES),
            {one["width"]: one["limit"] for one in widths},
            found[0] if found else (),
            read_queries(folder / STUDIES),
            read_spheres(folder / STUDIES),
        )

    def places(self, on: On) -> list[Place]:
        """Where a claim can be judged."""
        if on is On.STUDY:
            again = {name: place_of(findings) for name, findings in self.repeats.items()}
            return [place_of(one)._replace(again=again.get(one.problem.name)) for one in self.studies]
        if on is On.MOONS:
            return [Place("half-moons", "half-moons", Evidence(moons=self.moons))] if self.moons else []
        met: dict[On, tuple[str, str, Evidence, Iterable[ThreatModel]]] = {
            On.BOARDS: (
                SAMPLED,
                _DATASET,
                Evidence(detections=self.detections),
                [one.threat for one in self.detections],
            ),
            On.QUERIES: (SAMPLED, _DATASET, Evidence(queries=self.queries), [threat for _, threat, _ in self.queries]),
            On.SPHERES: (
                "spheres",
                "spheres",
                Evidence(spheres=self.spheres),
                [threat for _, _, threat in self.spheres],
            ),
        }
        name, dataset, evidence, of = met[on]
        threats = tuple(sorted(dict.fromkeys(of), key=lambda one: (NORMS.index(one.norm), one.eps)))
        return [Place(name, dataset, evidence, threats, _middle(threats))] if threats else []


def _middle(threats: Sequence[ThreatModel]) -> ThreatModel | None:
    """Of the grid of the first norm, the third of six eps, the second of four, the first of two."""
    grid = [one for one in threats if one.norm == threats[0].norm]
    return grid[(len(grid) - 1) // 2] if grid else None


def place_of(findings: Findings) -> Place:
    """A problem of the study."""
    problem = findings.problem
    threats = tuple(threat for norm in NORMS for threat in findings.threats(norm))
    return Place(
        f"{problem.name}, {problem.data}", problem.dataset, Evidence(findings=findings), threats, _middle(threats)
    )
