"""Every suite that can be run, by name."""

from __future__ import annotations

from benchmark import papers
from benchmark.plan.suite import Suite
from benchmark.plan.suites import SUITES


def suites() -> dict[str, Suite]:
    """The benchmark's own, then those of the papers. Raises ValueError if two have the same name."""
    found = dict(SUITES)
    for paper in papers.PAPERS:
        if paper.suite is not None and paper.suite is not found.setdefault(paper.suite.name, paper.suite):
            raise ValueError(f"there are two suites {paper.suite.name!r}; give that of {paper.title} another name")
    return found
