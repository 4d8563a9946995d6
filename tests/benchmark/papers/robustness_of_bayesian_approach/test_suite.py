"""The suite of the paper: both grids, and two gradients of Bayesian entries."""

from __future__ import annotations

from benchmark.papers.robustness_of_bayesian_approach.suite import PAPER_SUITE
from benchmark.plan.cells import Selection, Subject

MNIST = [Subject("mnist/bayesian-lenet", "mnist", 10_000, deterministic=False)]


def test_the_paper_suite_walks_both_grids() -> None:
    lenet = [Subject("mnist/lenet", "mnist", 10_000, deterministic=True)]
    cells = PAPER_SUITE.cells(lenet, Selection(examples=200, attacks=("fgsm",)))
    small = {round(0.005 * k, 3) for k in range(1, 11)}
    large = {round(0.05 * k, 2) for k in range(1, 11)}
    assert {c.attack.threat.eps for c in cells} == small | large
    assert {c.attack.target for c in cells} == {"expected"}
    assert {c.libraries for c in cells if c.start == 0} == {("torchattacks", "foolbox", "art")}
    assert {c.libraries for c in cells if c.start == 100} == {("torchattacks",)}


def test_the_paper_suite_attacks_bayesian_entries_also_through_a_sampling_network() -> None:
    """With every attack at every eps, in one library: it is about the gradient, not about the libraries."""
    cells = PAPER_SUITE.cells(MNIST, Selection(examples=100))
    met = {
        target: {(c.attack.name, c.attack.threat) for c in cells if c.attack.target == target}
        for target in ("expected", "resampled")
    }
    assert met["expected"] == met["resampled"]
    assert len(met["expected"]) == 4 * 19
    assert {c.libraries for c in cells if c.attack.target == "resampled"} == {("torchattacks",)}
