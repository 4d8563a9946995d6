"""Curves from hand-made outcomes whose answers are known, their pages and figures."""

from __future__ import annotations

import dataclasses
import re

import pytest

from benchmark.papers.robustness_of_bayesian_approach.claims import CLAIMS
from benchmark.papers.robustness_of_bayesian_approach.curves import GRID, build_curves, points
from benchmark.papers.robustness_of_bayesian_approach.figures import curve_figures
from benchmark.papers.robustness_of_bayesian_approach.page import claims_page, paper_page
from benchmark.papers.robustness_of_bayesian_approach.suite import GRIDS, MODELS
from benchmark.protocol import ATTACKS
from benchmark.records.outcome import Outcome
from benchmark.reports.figures import zoo_figures
from benchmark.statistics import wilson
from tests.benchmark.handmade import N, attacked, outcome, paper_records, walk

CIFAR = "cifar10-jpeg"


def test_a_curve_begins_at_the_clean_accuracy_and_is_of_one_library() -> None:
    records = [
        attacked("mnist/a", "fgsm", eps, {"torchattacks": [eps < 0.2, eps < 0.4, True], "foolbox": [False] * 3})
        for eps in GRID[1:]
    ]
    records = [dataclasses.replace(record, clean=outcome([True, True, False])) for record in records]
    (curve,) = build_curves(records)
    assert curve.survives.shape == (3, len(GRID))
    assert curve.at(0.0).tolist() == [True, True, False]  # wrong as it is: wrong everywhere
    assert curve.at(0.15).tolist() == [True, True, False]
    assert curve.at(0.2).tolist() == [False, True, False]
    assert curve.at(0.5).tolist() == [False, False, False]
    large = [eps for eps in GRIDS["large"] if eps > 0]
    assert curve.count_over(GRIDS["large"]).tolist() == [
        sum(eps < 0.2 for eps in large), sum(eps < 0.4 for eps in large), 0,
    ]  # fmt: skip


def test_an_attack_that_failed_is_no_robustness() -> None:
    """Neither an exception nor images outside the ball make a point of a curve."""
    records = walk("mnist/a", 0.3)
    for failure in (Outcome(error="it broke"), dataclasses.replace(outcome([True] * N), violations=[3])):
        broken = [
            dataclasses.replace(record, outcomes={"torchattacks": failure})
            if record.cell.attack.name == "bim" and record.cell.attack.threat.eps == 0.4
            else record
            for record in records
        ]
        assert {curve.attack for curve in build_curves(broken)} == set(ATTACKS) - {"bim"}


def test_of_two_versions_of_an_entry_the_later_one_counts() -> None:
    old = walk("mnist/a", 0.1)
    new = [
        dataclasses.replace(
            record,
            key=record.key + "new",
            fingerprints={"model": "new", "data": "d"},
            provenance={**record.provenance, "finished": "2"},
        )
        for record in walk("mnist/a", 0.4)
    ]
    for records in (old + new, new + old):
        curves = build_curves(records)
        assert len(curves) == len(ATTACKS)
        assert all(curve.at(0.3).all() for curve in curves)


def test_only_images_attacked_at_every_eps_count_and_an_unfinished_grid_is_no_curve() -> None:
    whole = [attacked("mnist/a", "bim", eps, {"torchattacks": [True] * 4}) for eps in GRID[1:]]
    second_shard = [attacked("mnist/a", "bim", eps, {"torchattacks": [True] * 4}, start=4) for eps in GRID[1:-1]]
    (curve,) = build_curves(whole + second_shard)
    assert curve.examples.tolist() == [0, 1, 2, 3]
    assert build_curves(whole[:-1]) == []
    other_seed = [dataclasses.replace(r, cell=dataclasses.replace(r.cell, seed=1)) for r in whole]
    assert build_curves(other_seed) == []


def test_points_are_shares_with_their_intervals() -> None:
    frame = points(build_curves(walk("mnist/a", 0.3)))
    row = frame[(frame["attack"] == "pgd-l2") & (frame["eps"] == 0.05)].iloc[0]
    assert (row["accuracy"], row["images"]) == (1.0, N)
    assert (row["low"], row["high"]) == pytest.approx(wilson(N, N))
    assert set(frame[frame["accuracy"] == 0]["eps"]) == {eps for eps in GRID if eps >= 0.3}


def test_pages_and_figures_show_what_was_measured() -> None:
    records = paper_records()
    curves = build_curves(records)
    page = claims_page(curves)
    assert page.count("## ") == len(CLAIMS)
    assert "**confirmed**" in page
    assert "**refuted**" in page
    figures = zoo_figures() | curve_figures(curves)
    paper = paper_page(curves, figures)
    assert f"{19 * 4 * (len(MODELS) + 6)}" in paper  # cells: 14 entries, 6 of them with a second gradient
    shown = set(re.findall(r"figures/([a-z0-9-]+)\.png", paper))
    assert shown == {name for name in figures if "eps" in name or "clean" in name}
    for dataset in ("mnist", CIFAR):
        for grid in GRIDS:
            figure = figures[f"{dataset}-{grid}-eps"]()
            assert [axis.get_title() for axis in figure.axes] == list(ATTACKS)
            for axis in figure.axes:
                assert len(axis.lines) == len(MODELS) / 2
                assert max(max(line.get_xdata()) for line in axis.lines) == GRIDS[grid][-1]
        plain, resampled = (
            sum(line.get_ydata().sum() for line in figures[f"{dataset}-large-eps{suffix}"]().axes[0].lines)
            for suffix in ("", "-resampled")
        )
        assert resampled > plain


def test_a_part_of_the_experiment_gives_a_part_of_the_pages() -> None:
    """A Bayesian entry under one gradient alone, as an interrupted run leaves it."""
    for target, name in (("expected", "mnist-small-eps"), ("resampled", "mnist-small-eps-resampled")):
        curves = build_curves(walk("mnist/bayesian-x", 0.2, target=target, family="bayesian"))
        figures = curve_figures(curves)
        assert {figure for figure in figures if "small" in figure} == {name}
        assert f"figures/{name}.png" in paper_page(curves, figures)
        assert "not measured" in claims_page(curves)
