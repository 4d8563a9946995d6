"""What the tables say of one problem: robust accuracy of every posterior, and what wrong gradients add to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import ThreatModel
from benchmark.papers.posteriors.grid import MAP, PROBLEMS, TRAININGS, Problem
from benchmark.papers.posteriors.outcomes import FILE, FOLDER, NORM_OF, Outcomes
from benchmark.papers.posteriors.queries import COLUMNS, SHARES
from benchmark.papers.posteriors.suite import Attacker
from benchmark.papers.posteriors.tables import Tables
from benchmark.plan.adaptive_attack import NORMS
from benchmark.plan.cells import Reading
from benchmark.statistics import Estimate, corrected, difference_over_trainings, over_trainings

_Differences = dict[tuple[ThreatModel, bool], dict[str, Estimate]]  # threat model, own draws -> posterior -> estimate
FEWEST = 5  # kinds of posteriors of which a correlation is told and drawn


class Exchange(NamedTuple):
    """Robust accuracy with either half of the samples as the judge, and the share of verdicts that differ."""

    first: float
    second: float
    differ: float


@dataclass(frozen=True)
class Findings:
    """One problem's tables.

    measures: a line for each training of each posterior. sampling: posterior -> training -> how its sampler went.
    queries: see `queries.queries_of`.
    """

    problem: Problem
    outcomes: Outcomes
    measures: pd.DataFrame
    sampling: dict[str, dict[str, dict[str, Any]]]
    queries: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(COLUMNS)))

    @classmethod
    def read(cls, folder: Path) -> Findings:
        """Of the folder that `study.Study.write` wrote. Raises ValueError for damaged tables."""
        tables = Tables.read(folder)
        return cls(PROBLEMS[folder.name], Outcomes(tables.outcomes), tables.measures, tables.sampling, tables.queries)

    @cached_property
    def posteriors(self) -> list[str]:
        """Those that every training of was measured, and met every attack of the others, as the problem lists them."""
        measured = self.measures.groupby("posterior")["training"].nunique()
        attacks = self.outcomes.frame.groupby(["posterior", "training"]).size().groupby("posterior")
        met = attacks.agg(["count", "min", "max"])
        whole = met[(met["count"] >= TRAININGS) & (met["min"] == met["max"])].index
        return [name for name in self.problem.posteriors if name in whole and measured.get(name, 0) >= TRAININGS]

    @property
    def has_widths(self) -> bool:
        """Whether there are kinds enough to set robustness beside how wide they are."""
        return len(self.posteriors) >= FEWEST

    def is_sample(self, posterior: str) -> bool:
        """Whether half of its members attack and half judge: it is neither one network nor an ensemble."""
        return self.outcomes.has(self.problem.name, posterior, Reading.SAMPLE)

    def threats(self, norm: Norm) -> list[ThreatModel]:
        """The smallest eps first."""
        return self.outcomes.threats(self.problem.name, norm)

    def survivors(
        self, posterior: str, threat: ThreatModel, attackers: Iterable[Attacker] = tuple(Attacker), own: bool = False
    ) -> NDArray[np.bool_]:
        """(T, N). own: on the judge's own draws, and else on other ones, where there are any."""
        reading = Reading.DETERMINISTIC if own else Reading.SAMPLE
        chosen = reading if self.outcomes.has(self.problem.name, posterior, reading) else Reading.HEADLINE
        return self.outcomes.survivors(self.problem.name, posterior, threat, chosen, attackers)

    def clean(self, posterior: str, own: bool = False) -> NDArray[np.bool_]:
        """(T, N) which images are right without an attack, by the draws that judge. T = 0 where it is not on record."""
        return self.survivors(posterior, ThreatModel("linf", 0), own=own)

    def robust(self, posterior: str, threat: ThreatModel, own: bool = False) -> Estimate:
        """Robust accuracy under all attackers together."""
        return over_trainings(self.survivors(posterior, threat, own=own))

    def over(self, posterior: str, threat: ThreatModel, attacker: Attacker) -> float | None:
        """By how much an attacker alone overestimates robust accuracy; None where he was not measured."""
        alone = self.survivors(posterior, threat, [attacker])
        return None if not alone.size else float(alone.mean() - self.survivors(posterior, threat).mean())

    def exchanged(self, posterior: str, threat: ThreatModel) -> Exchange | None:
        """What PGD through all draws leaves, as the halves are and exchanged; None where they were not exchanged."""
        first, second = (
            self.outcomes.survivors(self.problem.name, posterior, threat, reading, [Attacker.ALL])
            for reading in (Reading.SAMPLE, Reading.OTHER_JUDGE)
        )
        if not second.size:
            return None
        count = min(first.shape[1], second.shape[1])
        first, second = first[:, :count], second[:, :count]
        return Exchange(float(first.mean()), float(second.mean()), float((first != second).mean()))

    def beyond_map(self, threat: ThreatModel, own: bool = False) -> dict[str, Estimate]:
        """By posterior, how much more robust it is than the maximum.

        p-values are corrected for all posteriors, eps and both readings of the problem together.
        """
        return self._beyond_map[threat, own]

    @cached_property
    def _beyond_map(self) -> _Differences:
        names = [name for name in self.posteriors if name != MAP]
        return self._differences(names, lambda name, threat, own: self.survivors(name, threat, own=own))

    def fewer_lost(self, threat: ThreatModel, own: bool = False) -> dict[str, Estimate]:
        """By posterior, how many fewer images attacks break than of the maximum's; by the same test.

        An image that is wrong without an attack is not broken by one: what a posterior has in clean accuracy does not
        count. Of those alone whose accuracy on these images is on record.
        """
        return self._fewer_lost[threat, own] if self._fewer_lost else {}

    @cached_property
    def _fewer_lost(self) -> _Differences:
        names = [name for name in self.posteriors if name != MAP and self.clean(name).size]
        if not self.clean(MAP).size:
            return {}
        # the more images are not broken, the fewer are
        return self._differences(
            names, lambda name, threat, own: ~(self.clean(name, own) & ~self.survivors(name, threat, own=own))
        )

    def _differences(
        self, names: Iterable[str], of: Callable[[str, ThreatModel, bool], NDArray[np.bool_]]
    ) -> _Differences:
        """What holds of more images than of the maximum's, (T, N) of each, all tests corrected together."""
        names, threats = [*names], [threat for norm in NORMS for threat in self.threats(norm)]
        found = {
            (threat, own, name): difference_over_trainings(of(name, threat, own), base)
            for threat in threats
            for base in [of(MAP, threat, False)]
            for own in (False, True)
            for name in names
        }
        p_values = corrected([one.p for one in found.values()])
        by_test = {of: one._replace(p=p) for (of, one), p in zip(found.items(), p_values, strict=True)}
        return {
            (threat, own): {name: by_test[threat, own, name] for name in names}
            for threat in threats
            for own in (False, True)
        }

    def by_single_draws(self, posterior: str, threat: ThreatModel) -> dict[str, float]:
        """Where one draw answers each query: `queries.SHARES`, averaged over trainings; empty where not measured."""
        of, at = self.queries, self.queries["eps"].astype(float)
        near = np.isclose(at, threat.eps, rtol=1e-5)
        lines = of[(of["posterior"] == posterior) & (of["norm"] == threat.norm) & near]
        return {} if lines.empty else {share: float(lines[share].mean()) for share in SHARES}

    def each(self, posterior: str, column: str) -> NDArray[np.float64]:
        """(T,) a measure of every training, in their order."""
        lines = self.measures[self.measures["posterior"] == posterior].sort_values("training")
        return lines[column].to_numpy(float)

    def mean(self, posterior: str, column: str) -> float:
        """A measure, averaged over trainings."""
        return float(self.measures.loc[self.measures["posterior"] == posterior, column].mean())

    def norms(self, posterior: str) -> dict[int, float]:
        """Draws -> mean gradient norm, averaged over trainings."""
        columns = [name for name in self.measures if str(name).startswith(NORM_OF)]
        found = {int(str(name).removeprefix(NORM_OF)): self.mean(posterior, str(name)) for name in columns}
        return {draws: norm for draws, norm in sorted(found.items()) if not np.isnan(norm)}


def read_studies(studies: Path) -> tuple[Findings, ...]:
    """Of every problem whose maximum was measured, as `grid` lists them, but for those that repeat another.

    Raises ValueError for damaged tables.
    """
    return _read(studies, (name for name, problem in PROBLEMS.items() if problem.repeats is None))


def read_repeats(studies: Path) -> dict[str, Findings]:
    """What was measured again with more members, by what it repeats. Raises ValueError as `read_studies`."""
    repeats = (name for name, problem in PROBLEMS.items() if problem.repeats is not None)
    return {str(one.problem.repeats): one for one in _read(studies, repeats)}


def _read(studies: Path, names: Iterable[str]) -> tuple[Findings, ...]:
    folders = [folder for name in names if ((folder := studies / FOLDER / name) / FILE).is_file()]
    return tuple(one for folder in folders if MAP in (one := Findings.read(folder)).posteriors)
