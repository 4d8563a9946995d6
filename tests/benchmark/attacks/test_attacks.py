"""One specification, three libraries: closed forms, aligned starts, gradients in range, no trust."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from torch import Tensor, nn

from benchmark.attacks.craft import craft, random_start
from benchmark.attacks.methods import METHOD_OF, METHODS, NORMS
from benchmark.attacks.spec import AttackSpec, ThreatModel, format_eps
from benchmark.evaluation.closed_form import closed_form_gaps, optimum
from benchmark.evaluation.judge import distance, violations
from benchmark.protocol import ATTACKS, LIBRARIES, required_agreement, standard_attack
from tests.benchmark.networks import EXAMPLES, X, Y, prediction_of, small_network
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import private_generator
from zoo.targets import GRADIENT_TARGETS, Gradient


def crafted(library: str, spec: AttackSpec, prediction: ExpectedPrediction, seed: int = 0) -> Tensor:
    return craft(library, prediction, X, Y, spec, EXAMPLES, seed).images


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_library_reaches_the_optimum_of_a_linear_model(library: str) -> None:
    """V17: linf exactly, l2 within 1 %."""
    for gap in closed_form_gaps((library,)):
        assert gap.inside, gap
        assert gap.shortfall <= (1e-6 if gap.norm == "linf" else 0.01), gap


@pytest.mark.parametrize("library", LIBRARIES)
def test_l2_without_a_start_reaches_the_optimum_with_the_protocols_own_steps(library: str) -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():
        linear[1].weight.copy_(0.05 * torch.randn(2, 64, generator=private_generator("l2")))
        linear[1].bias.zero_()
    y, x = Y % 2, 0.4 + 0.2 * X
    direction = (linear[1].weight[1] - linear[1].weight[0]).detach() * (1 - 2 * y[:, None])
    spec = replace(standard_attack("pgd-l2", 0.3), random_start=False)
    found = craft(library, prediction_of(linear), x, y, spec, EXAMPLES, 0).images
    assert torch.allclose(found.flatten(1), optimum(x.flatten(1), direction, spec), atol=1e-6)


def test_the_optimum_is_one() -> None:
    """No random point of the ball and box goes further along the direction than the closed form says."""
    generator = private_generator("optimum")
    x, direction = torch.rand(1, 6, generator=generator), torch.randn(1, 6, generator=generator)
    for name, eps in (("fgsm", 0.3), ("pgd-l2", 0.1)):
        spec = standard_attack(name, eps)
        centre = x if name == "fgsm" else 0.4 + 0.2 * x
        best = ((optimum(centre, direction, spec) - centre) * direction).sum()
        for _ in range(500):
            step = torch.randn(1, 6, generator=generator)
            step = eps * step.sign() if name == "fgsm" else eps * step / step.norm()
            other = (centre + step).clamp(0, 1)
            assert ((other - centre) * direction).sum() <= best + 1e-6


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("target", GRADIENT_TARGETS)
def test_the_libraries_give_the_same_images(
    bayesian_net: nn.Module, name: str, target: str, untouched_global_state: None
) -> None:
    """On a Bayesian network with spread, random starts included, under every gradient target."""
    prediction = ExpectedPrediction.of(bayesian_net.float(), 4, 0, Gradient(target))
    x, y = X[:, :, :4, :4].contiguous(), Y % 3
    spec = standard_attack(name, 0.1)
    found = {library: craft(library, prediction, x, y, spec, EXAMPLES, 0).images for library in LIBRARIES}
    for library in LIBRARIES:
        assert not violations(x, found[library], spec.threat).any(), library
    reference = found["foolbox"]
    if required_agreement(spec) == "identical":
        for library in LIBRARIES:
            assert (found[library] - reference).abs().max() <= 1e-6, library
    else:
        assert (found["torchattacks"] - reference).abs().max() <= 1e-5
        assert ((found["art"] - reference).flatten(1).norm(dim=1) <= 0.1 * spec.threat.eps).all()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", ["pgd-linf", "pgd-l2"])
def test_the_start_is_the_given_one_in_every_library(library: str, name: str) -> None:
    """With a step too small to move, the result is the start itself, clipped to the box."""
    spec = replace(standard_attack(name, 0.2), steps=1, step_size=1e-12)
    start = random_start(spec, X, EXAMPLES, seed=3, restart=0)
    expected = (X + 0.2 * start).clamp(0, 1)
    assert torch.allclose(crafted(library, spec, prediction_of(small_network()), seed=3), expected, atol=1e-6)


def test_starts_are_uniform_in_the_ball_and_belong_to_the_example() -> None:
    examples, x = range(2000), torch.zeros(2000, 1, 3, 3)
    linf = random_start(standard_attack("pgd-linf", 0.1), x, examples, 0, 0)
    assert kstest(linf.flatten().numpy(), "uniform", args=(-1, 2)).pvalue > 1e-3
    l2 = random_start(standard_attack("pgd-l2", 0.1), x, examples, 0, 0).flatten(1).norm(dim=1)
    assert kstest((l2**9).numpy(), "uniform").pvalue > 1e-3  # the volume inside a radius grows with its 9th power
    again = random_start(standard_attack("pgd-linf", 0.3), x[:2], [7, 3], 0, 0)
    assert torch.equal(again, linf[[7, 3]])  # in another batch, at another eps
    other = random_start(standard_attack("pgd-linf", 0.1), x[:2], [7, 3], 0, 1)
    assert not torch.equal(other, again)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", ATTACKS)
def test_a_ball_of_radius_zero_holds_the_image_alone(library: str, name: str) -> None:
    assert torch.equal(crafted(library, standard_attack(name, 0.0), prediction_of(small_network())), X)


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_overconfident_network_is_attacked_all_the_same(library: str) -> None:
    """Gradients around 1e-24, whose square is zero in float32: the l2 step must still have its full length."""
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():
        linear[1].weight.copy_(0.02 * torch.randn(2, 64, generator=private_generator("confident")))
        linear[1].bias.copy_(torch.tensor([0.0, 50.0]))
    x, y = 0.4 + 0.2 * X, torch.ones(7, dtype=torch.long)
    prediction = prediction_of(linear)
    leaf = x.clone().requires_grad_()
    nn.functional.cross_entropy(prediction(leaf), y).backward()
    assert 0 < leaf.grad.abs().max() < 1e-22
    spec = replace(standard_attack("pgd-l2", 0.2), random_start=False)
    found = craft(library, prediction, x, y, spec, EXAMPLES, 0).images
    direction = (linear[1].weight[0] - linear[1].weight[1]).detach().expand(7, -1)
    assert torch.allclose(found.flatten(1), optimum(x.flatten(1), direction, spec), atol=1e-5)


@pytest.mark.parametrize("library", LIBRARIES)
def test_cost_counts_passes_per_example_times_draws(bayesian_net: nn.Module, library: str) -> None:
    prediction = ExpectedPrediction.of(bayesian_net.float(), 4, 0)
    found = craft(library, prediction, X[:, :, :4, :4], Y % 3, standard_attack("bim", 0.1), EXAMPLES, 0)
    assert found.backwards == 4 * 10
    assert found.forwards == 4 * (12 if library == "art" else 10)  # ART predicts twice to log its own success


@pytest.mark.parametrize("library", LIBRARIES)
def test_restarts_never_hurt_the_attack(library: str) -> None:
    prediction = prediction_of(small_network(3.0))
    spec = replace(standard_attack("pgd-linf", 0.1), steps=2)
    once, thrice = (crafted(library, replace(spec, restarts=count), prediction) for count in (1, 3))
    column = Y[:, None]
    assert (prediction(thrice).gather(1, column) <= prediction(once).gather(1, column)).all()
    assert not torch.equal(once, thrice)


def test_a_library_that_returns_another_shape_is_refused() -> None:
    spec, prediction = standard_attack("fgsm", 0.1), prediction_of(small_network())
    with pytest.raises(ValueError, match=r"torchattacks returned images of shape \(3, 1, 8, 8\)"):
        craft("torchattacks", prediction, X, Y, spec, EXAMPLES, 0, adapter=lambda model, x, y, spec, start: x[:3])


@pytest.mark.parametrize(
    ("library", "name"), [("art", "apgd-ce-linf"), ("foolbox", "square-l2"), ("torchattacks", "noise-linf")]
)
def test_a_method_that_a_library_does_not_have_is_refused_by_name(library: str, name: str) -> None:
    spec = AttackSpec(name, ThreatModel(NORMS[name], 0.1), 0.1, 1)
    with pytest.raises(ValueError, match=f"adapter of {library} has no .*; it has fgsm, bim, mifgsm, pgd"):
        crafted(library, spec, prediction_of(small_network()))


def test_every_method_is_run_by_a_library_and_every_runner_is_a_method() -> None:
    run = {library: set(import_module(f"benchmark.attacks.{library}").RUNNERS) for library in LIBRARIES}
    assert set.union(*run.values()) == set(METHODS)
    standard = {METHOD_OF[name].name for name in ATTACKS}
    assert all(standard <= methods for methods in run.values())


@pytest.mark.parametrize(
    "change",
    [
        {"eps": -0.1},
        {"eps": math.nan},
        {"eps": math.inf},
        {"name": "pgd"},
        {"steps": 0},
        {"step_size": 0.0},
        {"step_size": math.nan},
        {"restarts": 0},
        {"norm": "l1"},
        {"norm": "l2"},
        {"restarts": 2, "random_start": False},
    ],
)
def test_a_specification_that_no_library_could_run_is_refused(change: dict[str, object]) -> None:
    settings = {"name": "pgd-linf", "norm": "linf", "eps": 0.1, "step_size": 0.01, "steps": 5, "random_start": True}
    settings |= change
    with pytest.raises(
        ValueError, match=str(next(iter(change.values())))[:3] if "random_start" not in change else "restarts"
    ):
        AttackSpec(threat=ThreatModel(settings.pop("norm"), settings.pop("eps")), **settings)


def test_specifications_survive_json_and_eps_is_readable() -> None:
    for name in ATTACKS:
        spec = standard_attack(name, 8 / 255)
        assert AttackSpec.from_json(spec.to_json()) == spec
    assert [format_eps(e) for e in (8 / 255, 2 / 255, 0.1, 0.005, 1.0, 0.0, 0.2)] == [
        "8/255", "2/255", "0.1", "0.005", "1", "0", "0.2",
    ]  # fmt: skip


@given(st.floats(0, 1), st.integers(0, 10_000))
def test_distances_are_those_of_the_definition(size: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(3, 1, 4, 4, generator=generator)
    moved = (x + size * (torch.rand(x.shape, generator=generator) - 0.5)).clamp(0, 1)
    difference = (moved.double() - x.double()).flatten(1).numpy()
    for norm, order in (("linf", np.inf), ("l2", 2)):
        threat = ThreatModel(norm, 0.5)
        expected = np.linalg.norm(difference, ord=order, axis=1)
        assert np.allclose(distance(x, moved, threat).numpy(), expected, rtol=1e-12)
        assert violations(x, moved, threat).numpy().tolist() == (expected > 0.5 + 1e-6).tolist()


@pytest.mark.parametrize("spoil", [1.0001, -0.0001, math.nan, math.inf])
def test_an_image_outside_the_box_is_a_violation(spoil: float) -> None:
    moved = X.clone()
    moved[2, 0, 0, 0] = spoil
    found = violations(X, moved, ThreatModel("linf", 10.0))
    assert found.tolist() == [False, False, True, False, False, False, False]
