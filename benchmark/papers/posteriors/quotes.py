"""Numbers that the page quotes in its sentences: of one posterior at one eps."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import ThreatModel, format_eps
from benchmark.papers.posteriors.findings import Findings
from benchmark.papers.posteriors.grid import EXACT
from benchmark.papers.posteriors.suite import Attacker

# What the page's answer speaks of; it is given once all of them are measured.
ANSWERED_BY = {
    "mlp": (
        EXACT,
        *("sghmc", "sgld", "mean-field-t1", "mean-field-t0.01", "dropout", "swag", "swag-wide"),
        *("ensemble-5", "ensemble-10", "laplace-last", "laplace-kron", "laplace-diag"),
    ),
    "mlp-400-draws": (EXACT, "mean-field-t1"),
    "lenet-1000-80-draws": (EXACT,),
    "lenet-1000": (EXACT, "mean-field-t1", "mean-field-t0.1", "mean-field-t0.01"),
    "lenet": ("mean-field-t1", "mean-field-t0.01", "dropout", "swag-wide", "ensemble-5"),
    "lenet-cifar": ("ensemble-5", "dropout", "mean-field-t1", "swag"),
}


class Quotes:
    """found: the problems.    eps are given as they are shown: 0.1, or "8/255".

    Its methods raise ValueError for a problem, posterior or eps that was not measured.
    """

    def __init__(self, found: Iterable[Findings]) -> None:
        self._found = {findings.problem.name: findings for findings in found}

    @property
    def are_complete(self) -> bool:
        """Whether everything is measured that the answer speaks of."""
        return all(
            name in self._found and set(kinds) <= set(self._found[name].posteriors)
            for name, kinds in ANSWERED_BY.items()
        )

    def beyond(self, problem: str, posterior: str, norm: Norm, eps: float | str, own: bool = False) -> str:
        """Points of robust accuracy beyond the maximum's, with their interval."""
        findings, threat = self._at(problem, posterior, norm, eps)
        return findings.beyond_map(threat, own)[posterior].percent("+z.0f")

    def fewer(self, problem: str, posterior: str, norm: Norm, eps: float | str, own: bool = False) -> str:
        """Points of images that attacks break fewer than of the maximum's, with their interval."""
        findings, threat = self._at(problem, posterior, norm, eps)
        return findings.fewer_lost(threat, own)[posterior].percent("+z.0f")

    def clean(self, problem: str, posterior: str) -> str:
        """Accuracy on the attacked images without an attack, in %."""
        return f"{100 * self._of(problem, posterior).clean(posterior).mean():.0f}"

    def robust(self, problem: str, posterior: str, norm: Norm, eps: float | str, own: bool = False) -> str:
        """Robust accuracy under all attacks together, in %."""
        findings, threat = self._at(problem, posterior, norm, eps)
        return f"{100 * findings.robust(posterior, threat, own).mean:.0f}"

    def submitted(self, problem: str, posterior: str, norm: Norm, eps: float | str, submissions: int) -> str:
        """Images that are right in so many submissions, each answered by one draw, in %."""
        findings, threat = self._at(problem, posterior, norm, eps)
        return f"{100 * findings.by_single_draws(posterior, threat)[str(submissions)]:.0f}"

    def alone(self, problem: str, posterior: str, norm: Norm, eps: float | str) -> str:
        """What PGD through one draw leaves, in %."""
        findings, threat = self._at(problem, posterior, norm, eps)
        return f"{100 * findings.survivors(posterior, threat, [Attacker.SINGLE]).mean():.0f}"

    def width(self, problem: str, posterior: str) -> str:
        """Mean mutual information of label and weights on test images, in nats."""
        return f"{self._of(problem, posterior).mean(posterior, 'mutual_information'):.2f}"

    def _of(self, problem: str, posterior: str) -> Findings:
        findings = self._found.get(problem)
        if findings is None or posterior not in findings.posteriors:
            raise ValueError(f"{posterior} of {problem} was not measured")
        return findings

    def _at(self, problem: str, posterior: str, norm: Norm, eps: float | str) -> tuple[Findings, ThreatModel]:
        findings = self._of(problem, posterior)
        for threat in findings.threats(norm):
            if format_eps(threat.eps) == str(eps):
                return findings, threat
        raise ValueError(f"{problem} was not measured at {norm}, eps {eps}")
