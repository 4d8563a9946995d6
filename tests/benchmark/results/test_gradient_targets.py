"""The gradient-target matrix from hand-made outcomes whose answers are known, its page and figure."""

from __future__ import annotations

import dataclasses

import pytest
from scipy.stats import binom

from benchmark.protocol import LIBRARIES
from benchmark.records.outcome import Outcome
from benchmark.reports.figures import masking_figures
from benchmark.reports.gradient_targets import masking_page, masking_table
from benchmark.results.gradient_targets import by_gradient_target
from tests.benchmark.handmade import N, masking_records


def test_an_attack_that_failed_is_no_robustness() -> None:
    failed = [
        dataclasses.replace(record, outcomes=dict.fromkeys(LIBRARIES, Outcome(error="it broke")))
        if (record.cell.attack.name, record.cell.attack.target) == ("bim", "mean-loss")
        else record
        for record in masking_records(3, 17)
    ]
    assert {masked.threat.norm for masked in by_gradient_target(failed)} == {"l2"}


def test_the_matrix_counts_what_a_gradient_invents() -> None:
    matrix = by_gradient_target(masking_records(3, 17))
    assert len(matrix) == 8
    for masked in matrix:
        counts = (0, 0) if masked.target == "expected" else (17, 3)
        assert (masked.only_target, masked.only_expected) == counts
        assert masked.overestimate == pytest.approx((counts[0] - counts[1]) / N)
    wrong = next(masked for masked in matrix if masked.target == "mean-loss")
    assert wrong.p == pytest.approx(2 * binom.cdf(3, 20, 0.5))
    incomplete = [record for record in masking_records(3, 17) if record.cell.attack.name != "bim"]
    assert {masked.threat.norm for masked in by_gradient_target(incomplete)} == {"l2"}


def test_page_and_figure_show_what_was_measured() -> None:
    matrix = by_gradient_target(masking_records(3, 17))
    assert "+23.3" in masking_page(matrix)
    assert f"mean-loss,{N},{17 / N:.5g}" in masking_table(matrix)
    for axis in masking_figures(matrix)["mnist-masking"]().axes:
        assert len(axis.lines) == 2 * 2  # a point and its interval for each of two gradients
