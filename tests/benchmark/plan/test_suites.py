"""Suites expand to the cells of the protocol, and the protocol to the attacks of the papers."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.cli import parsed_eps
from benchmark.plan.cells import Cell, Reading, Selection, Subject
from benchmark.plan.roles import role_of
from benchmark.plan.suites import SUITES
from benchmark.protocol import ATTACKS, LIBRARIES, example_order, standard_attack
from zoo.targets import GRADIENT_TARGETS, Gradient

MNIST = [Subject("mnist/bayesian-lenet", "mnist", 10_000, deterministic=False)]


def test_the_whitebox_suite_is_the_protocols() -> None:
    cells = SUITES["whitebox"].cells(MNIST, Selection())
    found = [(c.attack.name, c.attack.threat.eps, c.attack.steps, c.attack.random_start) for c in cells]
    assert found == [
        ("fgsm", 0.0, 1, False), ("fgsm", 0.1, 1, False), ("fgsm", 0.3, 1, False),
        ("bim", 0.0, 10, False), ("bim", 0.1, 10, False), ("bim", 0.3, 10, False),
        ("pgd-linf", 0.0, 20, True), ("pgd-linf", 0.1, 20, True), ("pgd-linf", 0.3, 20, True),
        ("pgd-l2", 0.0, 20, True), ("pgd-l2", 1.0, 20, True), ("pgd-l2", 2.0, 20, True),
    ]  # fmt: skip
    for cell in (cell for cell in cells if cell.attack.threat.eps):
        expected = cell.attack.threat.eps * (1 if cell.attack.name == "fgsm" else 2.5 / cell.attack.steps)
        assert cell.attack.step_size == pytest.approx(expected)
        assert (cell.start, cell.stop, cell.attack_draws, cell.judge_draws) == (0, 100, 8, 64)
        assert cell.libraries == ("torchattacks", "foolbox", "art")
    cifar = SUITES["whitebox"].cells([Subject("cifar10/x", "cifar10", 10_000, deterministic=False)], Selection())
    assert [c.attack.threat.eps for c in cifar] == [0, 2 / 255, 8 / 255] * 3 + [0, 0.25, 0.5]


def test_the_masking_suite_is_the_whitebox_suite_for_every_gradient_and_more_draws_at_the_smallest_eps() -> None:
    cells = SUITES["masking"].cells(MNIST, Selection())
    whitebox = [cell for cell in SUITES["whitebox"].cells(MNIST, Selection()) if cell.attack.threat.eps]
    assert set(whitebox) < set(cells)
    gradients = [c for c in cells if role_of(c).target is not None]
    assert {
        dataclasses.replace(c, attack=dataclasses.replace(c.attack, gradient=Gradient())) for c in gradients
    } == set(whitebox)
    assert {c.attack.target for c in gradients} == set(GRADIENT_TARGETS)
    by_draws = [c for c in cells if c not in gradients]
    assert {c.attack.threat for c in by_draws} == {ThreatModel("linf", 0.1), ThreatModel("l2", 1.0)}
    assert {c.attack_draws for c in by_draws} == {1, 8, 32}
    assert {c.attack.target for c in by_draws} == {"expected", "mean-loss", "mean-logit"}
    in_all = {c.attack.name for c in by_draws if c.libraries == LIBRARIES}
    assert in_all == set(ATTACKS)
    assert all(c.attack.gradient.is_fresh for c in by_draws if c.libraries == LIBRARIES)
    lenet = Subject("mnist/lenet", "mnist", 10_000, deterministic=True)
    assert SUITES["masking"].cells([lenet], Selection()) == []


def test_the_masking_suite_can_be_narrowed_to_each_of_its_attacks() -> None:
    cells = SUITES["masking"].cells(MNIST, Selection(attacks=("mifgsm-linf",)))
    assert {(c.attack.name, c.attack_draws) for c in cells} == {("mifgsm-linf", draws) for draws in (1, 8, 32)}
    with pytest.raises(ValueError, match=r"suite masking has .*mifgsm-l2; square-linf is none of them"):
        SUITES["masking"].cells(MNIST, Selection(attacks=("square-linf",)))


def test_of_monte_carlo_samples_half_are_attacked_and_the_others_judge() -> None:
    samples = Subject("mnist/s", "mnist", 10_000, deterministic=False, members=51, is_sample=True)
    ensemble = Subject("mnist/e", "mnist", 10_000, deterministic=False, members=51)
    found = [c for c in SUITES["masking"].cells([samples], Selection()) if c.reading is Reading.SAMPLE]
    assert {c.attack_draws for c in found} == {1, 8, 25}
    assert {(c.judge_draws, c.finite) for c in found} == {(26, True)}
    assert not any(c.attack.gradient.is_fresh for c in found if c.attack_draws == 25)
    assert {c.reading for c in SUITES["masking"].cells([ensemble], Selection())} == {Reading.HEADLINE}
    for subject, readings in ((samples, {"planted", "half the samples"}), (ensemble, {"planted"})):
        adaptive = (role_of(cell) for cell in SUITES["adaptive"].cells([subject], Selection()))
        assert {role.adaptive.name for role in adaptive if role.adaptive and not role.headline} == readings


def test_shards_cover_the_examples_once() -> None:
    cells = SUITES["whitebox"].cells(MNIST, Selection(examples=250, attacks=("fgsm",), eps=(0.1,)))
    assert [(c.start, c.stop) for c in cells] == [(0, 100), (100, 200), (200, 250)]


def test_a_larger_run_contains_the_smaller_ones_cells() -> None:
    small, large = (set(SUITES["whitebox"].cells(MNIST, Selection(examples=n))) for n in (100, 300))
    assert small < large


def test_examples_are_a_fixed_sample_of_the_whole_split() -> None:
    order = example_order(10_000)
    assert sorted(order) == list(range(10_000))
    assert order[:5] == (6870, 3413, 2104, 3505, 8412)  # a change here changes every published number
    assert 30 < sum(index < 5000 for index in order[:100]) < 70


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": (-0.1,)}, "-0.1"),
        ({"eps": (float("nan"),)}, "nan"),
        ({"attacks": ("pgd",)}, "'pgd'"),
        ({"libraries": ("cleverhans",)}, "'cleverhans'"),
        ({"examples": 0}, "examples"),
        ({"draws": -1}, "draws"),
        ({"targets": ("mean",)}, "'mean'"),
    ],
)
def test_bad_selections_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Selection(**options)


def test_more_examples_than_there_are() -> None:
    with pytest.raises(ValueError, match="10000"):
        SUITES["whitebox"].cells(MNIST, Selection(examples=20_000))


def test_cells_survive_json() -> None:
    for cell in SUITES["whitebox"].cells(MNIST, Selection()):
        assert Cell.from_json(json.loads(json.dumps(cell.to_json()))) == cell


def test_unknown_attacks_are_named() -> None:
    with pytest.raises(ValueError, match="'deepfool'"):
        standard_attack("deepfool", 0.1)


@pytest.mark.parametrize(
    "module",
    ["benchmark.run", "benchmark.registry", "benchmark.leaderboard", "benchmark.cli", "zoo", "zoo.catalogue.entries"],
)
def test_what_plans_and_helps_imports_no_heavy_library(module: str) -> None:
    heavy = ("torch", "pandas", "matplotlib", "art", "foolbox")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_what_does_not_matter_does_not_make_another_cell() -> None:
    """Draws of a deterministic network, and the order in which libraries are named."""
    lenet = [Subject("mnist/lenet", "mnist", 10_000, deterministic=True)]
    cells = SUITES["whitebox"].cells(lenet, Selection(draws=32))
    assert cells == SUITES["whitebox"].cells(lenet, Selection())
    assert {(cell.attack_draws, cell.judge_draws) for cell in cells} == {(1, 1)}
    one, other = (
        SUITES["whitebox"].cells(lenet, Selection(libraries=names))
        for names in (("art", "foolbox"), ("foolbox", "art"))
    )
    assert one == other


def test_a_gradient_target_reaches_every_attack() -> None:
    cells = SUITES["whitebox"].cells(MNIST, Selection(targets=("mean-loss",)))
    assert {cell.attack.target for cell in cells} == {"mean-loss"}


@pytest.mark.parametrize(
    ("texts", "linf", "l2"),
    [
        (["0.1,8/255"], (0.1, 8 / 255), (0.1, 8 / 255)),
        (["linf=8/255,0.1", "l2=0.5"], (8 / 255, 0.1), (0.5,)),
        (["linf=0.1", "linf=0.2"], (0.1, 0.2), (1.0, 2.0)),  # the norm that is left out keeps the suite's own
        (["l2=3"], (0.1, 0.3), (3.0,)),
        ([], (0.1, 0.3), (1.0, 2.0)),
    ],
)
@pytest.mark.parametrize("suite", ["whitebox", "adaptive"])
def test_radii_are_chosen_norm_by_norm(
    suite: str, texts: list[str], linf: tuple[float, ...], l2: tuple[float, ...]
) -> None:
    cells = SUITES[suite].cells(MNIST, Selection(eps=parsed_eps(texts)))
    met: dict[str, set[float]] = {"linf": set(), "l2": set()}
    for cell in cells:
        if cell.attack.name in ATTACKS and role_of(cell).adaptive is None and cell.attack.threat.eps > 0:
            met[cell.attack.threat.norm].add(cell.attack.threat.eps)
    assert met == {"linf": set(linf), "l2": set(l2)}
    assert len({json.dumps(cell.to_json()) for cell in cells}) == len(cells)
    if suite == "adaptive":
        assert any(cell.attack.threat.eps == 0 for cell in cells)


def test_gradient_targets_that_a_network_has_not_are_left_out_or_refused() -> None:
    """MC dropout has neither a posterior mean nor moments: the masking suite must not end in the middle."""
    dropout = Subject("mnist/d", "mnist", 10_000, deterministic=False, undefined=("mean-weights", "propagation"))
    cells = SUITES["masking"].cells([dropout], Selection(examples=10))
    assert {cell.attack.target for cell in cells} == set(GRADIENT_TARGETS) - set(dropout.undefined)
    adaptive = SUITES["adaptive"]
    assert all(
        cell.attack.target not in dropout.undefined for cell in adaptive.cells([dropout], Selection(examples=10))
    )
    with pytest.raises(ValueError, match="mnist/d has no gradient target 'propagation'"):
        SUITES["whitebox"].cells([dropout], Selection(targets=("propagation",)))
