"""One specification, three libraries: the same images, aligned starts, no trust. `test_adapters` is of each alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from torch import nn

from benchmark.attacks import torchattacks
from benchmark.attacks.craft import craft, random_start
from benchmark.attacks.spec import AttackSpec, ThreatModel, format_eps
from benchmark.evaluation.closed_form import optimum
from benchmark.evaluation.judge import distance, violations
from benchmark.protocol import ATTACKS, LIBRARIES, required_agreement, standard_attack, usual_attack
from tests.benchmark.networks import EXAMPLES, X, Y, prediction_of, small_network
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import private_generator
from zoo.targets import GRADIENT_TARGETS, Gradient


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


def test_a_library_that_returns_another_shape_is_refused() -> None:
    spec, prediction = standard_attack("fgsm", 0.1), prediction_of(small_network())
    with pytest.raises(ValueError, match=r"torchattacks returned images of shape \(3, 1, 8, 8\)"):
        craft("torchattacks", prediction, X, Y, spec, EXAMPLES, 0, adapter=lambda model, x, y, spec, start: x[:3])


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


@pytest.mark.parametrize("side", [5, 8, 12, 14, 18, 24])
def test_square_runs_on_images_that_its_tiles_do_not_fit(side: int) -> None:
    """torchattacks lays tiles of a fifth of the height beyond the edge, and raises."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(side * side, 5)).eval()
    generator = private_generator("square", side)
    with torch.no_grad():
        network[1].weight.copy_(torch.randn(network[1].weight.shape, generator=generator))
    prediction, x = prediction_of(network), torch.rand(3, 1, side, side, generator=generator)
    spec = usual_attack("square-l2", 2.0, steps=20)
    found = craft("torchattacks", prediction, x, prediction(x).argmax(1), spec, range(3), 0).images
    assert not violations(x, found, spec.threat).any()
    assert (distance(x, found, spec.threat) > 0.5).all()


def test_tiles_that_fit_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    x, prediction = torch.rand(3, 1, 10, 10, generator=private_generator("tiles")), prediction_of(Flat())
    spec = usual_attack("square-l2", 1.0, steps=20)
    once = craft("torchattacks", prediction, x, Y[:3], spec, range(3), 0).images
    monkeypatch.setattr(torchattacks, "_is_tiled", lambda height, width: False)
    assert torch.equal(once, craft("torchattacks", prediction, x, Y[:3], spec, range(3), 0).images)


class Flat(nn.Module):
    """Looks at the mean of a quarter of the image alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dark = x[..., :5, :5].mean((1, 2, 3))
        return torch.stack([dark, -dark, dark**2, 0 * dark, 1 - dark], 1)
