"""Papers whose numbers or experiments are compared with ours: a folder each, and a line in `PAPERS`.

A folder holds all that belongs to one paper: `page.py` and its templates, and, where the paper needs them, a suite,
measurements, published numbers, claims and figures. `report` in `page.py` is a report like those of
`benchmark.reports.general`; `own_report`, where there is one, reports a user's own runs. `page.py` is imported when
pages are written: planning a run must not load what figures are drawn with.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmark.papers.anchors.suite import ANCHOR_SUITE
from benchmark.papers.robustness_of_bayesian_approach.suite import PAPER_SUITE

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from benchmark.plan.suite import Suite
    from benchmark.reports.publish import Generated
    from benchmark.results import Results


@dataclass(frozen=True)
class Paper:
    """name: its folder here. title: how it is cited. suite: what is to be run for it, if anything is."""

    name: str
    title: str
    suite: Suite | None = None

    def report(self, results: Results, folder: Path) -> Generated:
        """The report of its page module, each link under the paper's title."""
        return self._titled(self._page().report(results, folder))

    def own_report(self, results: Results, folder: Path) -> Generated:
        """The report on a user's own runs; empty for most papers."""
        from benchmark.reports.publish import Generated

        own = getattr(self._page(), "own_report", None)
        return Generated({}) if own is None else self._titled(own(results, folder))

    def _page(self) -> ModuleType:
        return importlib.import_module(f"{__name__}.{self.name}.page")

    def _titled(self, generated: Generated) -> Generated:
        return replace(generated, links=tuple(f"{self.title}: {link}" for link in generated.links))


PAPERS: tuple[Paper, ...] = (
    Paper(
        "robustness_of_bayesian_approach",
        'Iyer, "Robustness of Bayesian Approach to Gradient-Based Attacks"',
        PAPER_SUITE,
    ),
    Paper("uncertainty_propagation", "Shekhovtsov and Flach 2018"),
    Paper("bayes_by_backprop", "Bayes by Backprop (Shridhar et al. 2019, and a tutorial)"),
    Paper("posteriors", "Carbone et al. 2020 and others"),
    Paper(
        "posterior_claims",
        "Carbone et al. 2020, Bortolussi et al. 2024, Vadera et al. 2020, Gal and Smith 2018, Bekasov and Murray 2018, "
        "Feng et al. 2024",
    ),
    Paper("anchors", "PyTorch's FGSM tutorial and Madry et al. 2018", ANCHOR_SUITE),
)
