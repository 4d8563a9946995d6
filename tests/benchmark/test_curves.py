"""Curves, claims and the gradient-target matrix from hand-made outcomes whose answers are known."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from benchmark import claims
from benchmark.claims import CLAIMS, Claim, Finding, better_on_average, better_on_clean_images, judge_claims, loses
from benchmark.curves import GRID, Curve, build_curves, points
from benchmark.figures import all_figures
from benchmark.masking import masking_matrix
from benchmark.pages.experiment import claims_page, paper_page
from benchmark.pages.masking import masking_page, masking_table
from benchmark.protocol import ATTACKS, LIBRARIES, NORMS, PAPER_GRIDS, eps_grid
from benchmark.record import Outcome, Record
from benchmark.statistics import paired_difference, share_below, wilson
from benchmark.suites import PAPER_MODELS
from tests.benchmark.records import make, outcome

N = 60


def attacked(
    model: str,
    attack: str,
    eps: float,
    libraries: dict[str, list[bool]],
    *,
    target: str = "expected",
    family: str = "frequentist",
    start: int = 0,
) -> Record:
    """A record of `make` with another gradient, and Bayesian draws for a Bayesian family."""
    record = make(model, attack, eps, libraries, start, key=f"{model}{attack}{eps}{start}{target}{sorted(libraries)}")
    draws = (8, 64) if family == "bayesian" else (1, 1)
    cell = dataclasses.replace(
        record.cell,
        dataset=model.split("/", maxsplit=1)[0],
        attack=dataclasses.replace(record.cell.attack, target=target),
        attack_draws=draws[0],
        judge_draws=draws[1],
    )
    return dataclasses.replace(
        record, cell=cell, family=family, provenance={**record.provenance, "seconds": 1.5, "device": "x"}
    )


def walk(model: str, broken_from: float, *, target: str = "expected", family: str = "frequentist") -> list[Record]:
    """All four attacks over the grid; every image stands below `broken_from`, none from there on."""
    return [
        attacked(model, attack, eps, {"torchattacks": [eps < broken_from] * N}, target=target, family=family)
        for attack in ATTACKS
        for eps in GRID[1:]
    ]


def test_a_curve_begins_at_the_clean_accuracy_and_is_of_one_library() -> None:
    records = [
        attacked("mnist/a", "fgsm", eps, {"torchattacks": [eps < 0.2, eps < 0.4, True], "foolbox": [False] * 3})
        for eps in GRID[1:]
    ]
    records = [dataclasses.replace(record, clean=outcome([True, True, False])) for record in records]
    (curve,) = build_curves(records)
    assert curve.stands.shape == (3, len(GRID))
    assert curve.at(0.0).tolist() == [True, True, False]  # wrong as it is: wrong everywhere
    assert curve.at(0.15).tolist() == [True, True, False]
    assert curve.at(0.2).tolist() == [False, True, False]
    assert curve.at(0.5).tolist() == [False, False, False]
    large = [eps for eps in PAPER_GRIDS["large"] if eps > 0]
    assert curve.count_over(PAPER_GRIDS["large"]).tolist() == [
        sum(eps < 0.2 for eps in large), sum(eps < 0.4 for eps in large), 0,
    ]  # fmt: skip


def test_an_attack_that_failed_is_no_robustness() -> None:
    """Neither an exception nor images outside the ball make a point of a curve, or of the matrix."""
    records = walk("mnist/a", 0.3)
    for failure in (Outcome(error="it broke"), dataclasses.replace(outcome([True] * N), violations=[3])):
        broken = [
            dataclasses.replace(record, outcomes={"torchattacks": failure})
            if record.cell.attack.name == "bim" and record.cell.attack.threat.eps == 0.4
            else record
            for record in records
        ]
        assert {curve.attack for curve in build_curves(broken)} == set(ATTACKS) - {"bim"}
    failed = [
        dataclasses.replace(record, outcomes=dict.fromkeys(LIBRARIES, Outcome(error="it broke")))
        if (record.cell.attack.name, record.cell.attack.target) == ("bim", "mean-loss")
        else record
        for record in masking_records(3, 17)
    ]
    assert {masked.threat.norm for masked in masking_matrix(failed)} == {"l2"}


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


@given(st.integers(0, 60), st.integers(60, 400), st.floats(0.02, 0.98))
def test_shares_are_tested_by_the_exact_binomial(hits: int, count: int, margin: float) -> None:
    below, above = share_below(hits, count, margin)
    assert below == pytest.approx(binom.cdf(hits, count, margin), rel=1e-6)
    assert above == pytest.approx(binom.sf(hits - 1, count, margin), rel=1e-6)


def test_the_paired_test_is_exhaustive_for_few_images() -> None:
    """Three differences that are not zero: eight exchanges, one of them as large as what is observed."""
    mean, greater, less = paired_difference([1.0, 0.5, 0.25, 0.3], [0.0, 0.0, 0.0, 0.3])
    assert mean == pytest.approx(1.75 / 4)
    assert greater == pytest.approx(1 / 8)
    assert less == pytest.approx(1.0)
    assert paired_difference([0.2, 0.7], [0.2, 0.7]) == (0.0, 1.0, 1.0)


def test_the_paired_test_keeps_its_level_and_is_symmetric() -> None:
    rng = np.random.default_rng(3)
    rejected = 0
    for _ in range(200):
        first, second = rng.random((2, 80))
        _, greater, less = paired_difference(first, second)
        _, back_greater, back_less = paired_difference(second, first)
        assert (greater, less) == pytest.approx((back_less, back_greater), abs=0.05)
        rejected += greater < 0.05
    assert rejected <= binom.ppf(0.999, 200, 0.05)


def test_a_claim_is_confirmed_refuted_or_undecided() -> None:
    """Partial conjunctions: with u of n needed, 5 % / (n - u + 1) to confirm and 5 % / u to refute."""

    def fixed(p_true: float, p_false: float) -> claims.Statement:
        return lambda _: Finding("", "", p_true, p_false)

    holds, fails, unclear = fixed(0.001, 0.99), fixed(0.99, 0.001), fixed(0.4, 0.6)
    barely, hardly = fixed(0.97, 0.03), fixed(0.03, 0.97)  # significant alone, not among two
    for statements, needed, verdict in (
        ((holds, holds), None, "confirmed"),
        ((holds, hardly), None, "confirmed"),
        ((holds, fails), None, "refuted"),
        ((holds, unclear), None, "undecided"),
        ((holds, barely), None, "undecided"),
        ((barely,), None, "refuted"),
        ((holds, holds, holds, fails), 3, "confirmed"),
        ((holds, holds, hardly, fails), 3, "undecided"),
        ((holds, holds, fails, fails), 3, "refuted"),
        ((holds, holds, unclear, fails), 3, "undecided"),
        ((holds, lambda _: None), None, "not measured"),
    ):
        assert Claim("", "", statements, (), needed).judge(lambda _, __: None)[0] == verdict


def test_statements_decide_as_their_curves_say() -> None:
    curves = {(c.model, c.attack): c for c in build_curves(walk("mnist/weak", 0.02) + walk("mnist/strong", 0.4))}

    def lookup(model: str, attack: str) -> Curve | None:
        return curves.get((model, attack))

    weak, strong = loses("mnist/weak", "fgsm", little=True)(lookup), loses("mnist/strong", "fgsm", little=True)(lookup)
    assert weak is not None
    assert strong is not None
    assert weak.p_false < 1e-6 < 0.5 < weak.p_true
    assert strong.p_true == pytest.approx(0.9**N)
    vulnerable = loses("mnist/weak", "fgsm", little=False)(lookup)
    assert vulnerable is not None
    assert (vulnerable.p_true, vulnerable.p_false) == (weak.p_false, weak.p_true)
    better = better_on_average("mnist/strong", "mnist/weak", "large")(lookup)
    assert better is not None
    assert better.p_true == pytest.approx(5e-4)
    assert "+70.0 points" in better.numbers
    clean = better_on_clean_images("mnist/strong", "mnist/weak")(lookup)
    assert clean is not None
    assert (clean.p_true, clean.p_false) == (1.0, 1.0)
    assert better_on_average("mnist/strong", "mnist/none", "large")(lookup) is None


def paper_records(broken_from: dict[str, float] | None = None, clean: dict[str, int] | None = None) -> list[Record]:
    """Every entry of the paper suite. Bayesian ones look far stronger to resampled gradients than they are.

    broken_from: eps from which on nothing stands, 0.1 by default. clean: right clean images, all by default.
    """
    records = []
    for model in PAPER_MODELS:
        eps = (broken_from or {}).get(model, 0.1)
        if "bayesian" in model:
            own = walk(model, eps, family="bayesian")
            own += walk(model, max(eps, 0.45), target="resampled", family="bayesian")
        else:
            own = walk(model, eps)
        right = outcome([i < (clean or {}).get(model, N) for i in range(N)])
        records += [dataclasses.replace(record, clean=right) for record in own]
    return records


def verdicts(records: list[Record], target: str = "expected") -> dict[str, str]:
    return {claim.text: verdict for claim, verdict, _ in judge_claims(build_curves(records), target)}


# For each claim, by its first words: curves under which it must be confirmed, and curves that refute it
CIFAR, NEVER = "cifar10-jpeg", 0.6
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "On clean MNIST images AlexNet": (
        {"clean": {"mnist/lenet": 20, "mnist/bayesian-alexnet": 20}},
        {"clean": {"mnist/alexnet": 20, "mnist/bayesian-lenet": 20}},
    ),
    "MNIST, small eps: frequentist LeNet is highly": ({"broken_from": {"mnist/lenet": 0.02}}, {}),
    "MNIST, small eps: Bayesian LeNet is robust": ({}, {"broken_from": {"mnist/bayesian-lenet": 0.05}}),
    "MNIST, small eps: AlexNet is robust": ({}, {"broken_from": {"mnist/alexnet": 0.05}}),
    "MNIST, small eps: Bayesian AlexNet is robust": ({}, {"broken_from": {"mnist/bayesian-alexnet": 0.05}}),
    "MNIST, small eps: Bayesian LeNet is more": (
        {"broken_from": {"mnist/lenet": 0.02}},
        {"broken_from": {"mnist/bayesian-lenet": 0.02}},
    ),
    "MNIST, large eps: Bayesian networks": (
        {"broken_from": {"mnist/bayesian-lenet": 0.3, "mnist/bayesian-alexnet": 0.3}},
        {"broken_from": {"mnist/bayesian-lenet": 0.3, "mnist/alexnet": 0.3}},
    ),
    "On clean CIFAR-10 images Bayesian AlexNet": (
        {"clean": {f"{CIFAR}/bayesian-alexnet": 5, f"{CIFAR}/bayesian-3conv3fc": 5}},
        {"clean": {f"{CIFAR}/bayesian-alexnet": 5}},
    ),
    "On clean CIFAR-10 images Bayesian LeNet": (
        {"clean": {f"{CIFAR}/bayesian-lenet": 20}},
        {"clean": {f"{CIFAR}/lenet": 20}},
    ),
    "CIFAR-10, small eps: Bayesian LeNet retains": ({}, {"broken_from": {f"{CIFAR}/bayesian-lenet": 0.05}}),
    "CIFAR-10, small eps: attacks do not lower the accuracy of Bayesian AlexNet": (
        {"broken_from": {f"{CIFAR}/alexnet": 0.05}},
        {},
    ),
    "CIFAR-10, small eps: attacks do not lower the accuracy of Bayesian 3Conv3FC": (
        {"broken_from": {f"{CIFAR}/3conv3fc": 0.05}},
        {"broken_from": {f"{CIFAR}/3conv3fc": 0.05, f"{CIFAR}/bayesian-3conv3fc": 0.05}},
    ),
    "CIFAR-10, large eps: Bayesian LeNet is the best": (
        {"broken_from": {f"{CIFAR}/bayesian-lenet": 0.3}},
        {"broken_from": {f"{CIFAR}/bayesian-lenet": 0.3, f"{CIFAR}/3conv3fc": 0.4}},
    ),
    "CIFAR-10, large eps: FGSM": ({}, {"broken_from": {f"{CIFAR}/alexnet": NEVER}}),
    "Networks made Bayesian by variational inference are more robust than their twins (small": (
        {"broken_from": {model: 0.02 for model in PAPER_MODELS if "bayesian" not in model}},
        {"broken_from": {"mnist/bayesian-alexnet": 0.02}},
    ),
    "Networks made Bayesian by variational inference are more robust than their twins (large": (
        {"broken_from": {model: 0.02 for model in PAPER_MODELS if "bayesian" not in model}},
        {"broken_from": {f"{CIFAR}/bayesian-alexnet": 0.02}},
    ),
    "Bayesian networks can defend": ({}, {"broken_from": {f"{CIFAR}/bayesian-alexnet": 0.05}}),
}


@pytest.mark.parametrize("words", CASES)
def test_every_claim_can_be_confirmed_and_refuted(words: str) -> None:
    (text,) = (claim.text for claim in CLAIMS if claim.text.startswith(words))
    confirming, refuting = CASES[words]
    assert verdicts(paper_records(**confirming))[text] == "confirmed"
    assert verdicts(paper_records(**refuting))[text] == "refuted"


def test_every_claim_is_judged_under_both_protocols() -> None:
    assert len(CASES) == len(CLAIMS)
    records = paper_records(dict.fromkeys(PAPER_MODELS, 0.05))
    robust = "MNIST, small eps: Bayesian LeNet is robust to all attacks."
    assert verdicts(records, "expected")[robust] == "refuted"
    assert verdicts(records, "resampled")[robust] == "confirmed"
    for target in claims.PROTOCOLS.values():
        assert "not measured" not in verdicts(records, target).values()
        assert set(verdicts([], target).values()) == {"not measured"}


def masking_records(only_expected: int, only_target: int) -> list[Record]:
    """Of all images, some stand only under the expected gradient, some only under the mean loss."""
    expected = [i < only_expected for i in range(N)]
    target = [N - 1 - i < only_target for i in range(N)]
    return [
        attacked("mnist/b", attack, eps, dict.fromkeys(LIBRARIES, stands), target=name, family="bayesian")
        for name, stands in (("expected", expected), ("mean-loss", target))
        for attack in ATTACKS
        for eps in eps_grid("mnist")[NORMS[attack]]
    ]


def test_the_matrix_counts_what_a_gradient_invents() -> None:
    matrix = masking_matrix(masking_records(3, 17))
    assert len(matrix) == 8
    for masked in matrix:
        counts = (0, 0) if masked.target == "expected" else (17, 3)
        assert (masked.only_target, masked.only_expected) == counts
        assert masked.invented == pytest.approx((counts[0] - counts[1]) / N)
    wrong = next(masked for masked in matrix if masked.target == "mean-loss")
    assert wrong.p == pytest.approx(2 * binom.cdf(3, 20, 0.5))
    incomplete = [record for record in masking_records(3, 17) if record.cell.attack.name != "bim"]
    assert {masked.threat.norm for masked in masking_matrix(incomplete)} == {"l2"}


def test_pages_and_figures_show_what_was_measured() -> None:
    records = paper_records()
    curves, matrix = build_curves(records), masking_matrix(masking_records(3, 17))
    page = claims_page(curves)
    assert page.count("## ") == len(CLAIMS)
    assert "**confirmed**" in page
    assert "**refuted**" in page
    figures = all_figures([], [], curves, matrix)
    paper = paper_page(curves, figures)
    assert f"{19 * 4 * (len(PAPER_MODELS) + 6)}" in paper  # cells: 14 entries, 6 of them with a second gradient
    shown = set(re.findall(r"figures/([a-z0-9-]+)\.png", paper))
    assert shown == {name for name in figures if "eps" in name or "clean" in name}
    assert "+23.3" in masking_page(matrix)
    assert f"mean-loss,{N},{17 / N:.5g}" in masking_table(matrix)
    for dataset in ("mnist", CIFAR):
        for grid in PAPER_GRIDS:
            figure = figures[f"{dataset}-{grid}-eps"]()
            assert [axis.get_title() for axis in figure.axes] == list(ATTACKS)
            for axis in figure.axes:
                assert len(axis.lines) == len(PAPER_MODELS) / 2
                assert max(max(line.get_xdata()) for line in axis.lines) == PAPER_GRIDS[grid][-1]
        plain, resampled = (
            sum(line.get_ydata().sum() for line in figures[f"{dataset}-large-eps{suffix}"]().axes[0].lines)
            for suffix in ("", "-resampled")
        )
        assert resampled > plain
    for axis in figures["mnist-masking"]().axes:
        assert len(axis.lines) == 2 * 2  # a point and its interval for each of two gradients


def test_a_part_of_the_experiment_gives_a_part_of_the_pages() -> None:
    """A Bayesian entry under one gradient alone, as an interrupted run leaves it."""
    for target, name in (("expected", "mnist-small-eps"), ("resampled", "mnist-small-eps-resampled")):
        curves = build_curves(walk("mnist/bayesian-x", 0.2, target=target, family="bayesian"))
        figures = all_figures([], [], curves, [])
        assert {figure for figure in figures if "small" in figure} == {name}
        assert f"figures/{name}.png" in paper_page(curves, figures)
        assert "not measured" in claims_page(curves)
