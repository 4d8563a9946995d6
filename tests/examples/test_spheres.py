"""Concentric spheres: attacks on rules whose errors are known, a Gaussian that is known, one small run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from examples import spheres
from examples.half_moons import climbed
from examples.spheres import DIMENSIONS, RADII, attack, mean_field, outcomes
from zoo.seeding import private_generator


def _by_radius(x: Tensor) -> Tensor:
    """The true rule: the class changes in the middle between the spheres."""
    lead = 20 * (x.norm(dim=-1) - sum(RADII) / 2)
    return torch.stack([-lead, lead], -1).log_softmax(-1)


def _with_cap(x: Tensor) -> Tensor:
    """Wrong on the inner sphere within a cap around the first axis, where cos(angle) > .9."""
    wrong = 20 * (x[:, 0] / x.norm(dim=-1) - 0.9)
    return torch.stack([-wrong, wrong], -1).log_softmax(-1)


X, Y = spheres.spheres("test", 60)


def test_points_lie_on_the_spheres_of_their_classes() -> None:
    torch.testing.assert_close(X.norm(dim=-1), torch.tensor(RADII)[Y])
    assert Y.bincount().tolist() == [30, 30]


@pytest.mark.parametrize("eps", [0.1, 0.4, 3.0])
def test_an_attack_along_the_sphere_stays_on_it_and_within_eps(eps: float) -> None:
    found = attack(_with_cap, X, Y, eps, on_sphere=True)
    torch.testing.assert_close(found.norm(dim=-1), X.norm(dim=-1))
    assert (found - X).norm(dim=-1).max() <= eps + 1e-5
    assert (found - X).norm(dim=-1).max() > 0.01


def test_in_the_ball_what_is_nearer_to_the_boundary_than_eps_breaks() -> None:
    """Both spheres are .15 from it; the rule itself has no error on them."""
    for eps, survive in ((0.14, True), (0.16, False)):
        found = attack(_by_radius, X, Y, eps, on_sphere=False)
        assert ((found - X).norm(dim=-1) <= eps + 1e-5).all()
        assert ((_by_radius(found).argmax(-1) == Y) == survive).all()
    along = attack(_by_radius, X, Y, 2.0, on_sphere=True)
    assert (_by_radius(along).argmax(-1) == Y).all()


def test_errors_on_the_sphere_are_found_where_they_can_be_reached() -> None:
    """From an angle a the cap of angle acos(.9) is a - acos(.9) away, a chord of 2 sin of half of that."""
    angles = torch.tensor([0.6, 0.8, 1.2])
    x = F.pad(torch.stack([angles.cos(), angles.sin()], -1), (0, DIMENSIONS - 2))
    y = torch.zeros(3, dtype=torch.long)
    chords = 2 * ((angles - math.acos(0.9)) / 2).sin()
    for eps in (0.1, 0.3, 0.5, 0.8):
        found = attack(_with_cap, x, y, eps, on_sphere=True)
        assert ((_with_cap(found).argmax(-1) != y) == (chords < eps)).all(), eps


def test_outcomes_are_those_of_the_judge_and_only_fall() -> None:
    found = outcomes(_with_cap, _with_cap, X, torch.zeros_like(Y), "sphere")
    counts = [each.count("1") for each in found.values()]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]
    blind = outcomes(_by_radius, _with_cap, X, Y, "sphere")  # attacked is another network, and the judge is right
    assert set(blind.values()) == {"1" * len(X)}


def test_the_nearest_gaussian_without_covariances_of_a_gaussian_is_known() -> None:
    """Its mean, and the inverse of the precision's diagonal as variances (Bishop 2006, section 10.1.2)."""
    precision, centre = torch.tensor([[4.0, 1.5], [1.5, 1.0]]), torch.tensor([0.5, -1.0])

    def target(positions: Tensor) -> tuple[Tensor, Tensor]:
        pull = (positions - centre) @ precision
        return -0.5 * ((positions - centre) * pull).sum(-1).double(), -pull

    mean, sigma = mean_field(target, torch.zeros(1, 2), private_generator("test", "spheres"), 3000)
    torch.testing.assert_close(mean, centre, atol=0.03, rtol=0)
    torch.testing.assert_close(sigma, precision.diagonal().rsqrt(), atol=0, rtol=0.05)
    torch.testing.assert_close(climbed(target, torch.zeros(1, 2))[0], centre, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_a_small_run_writes_what_claims_are_judged_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spheres, "DRAWS", 4)
    monkeypatch.setattr(spheres, "POINTS", 20)
    monkeypatch.setattr(spheres, "STEPS", 2)
    spheres.run(tmp_path, 6)
    kinds = json.loads((tmp_path / "spheres.json").read_text())["kinds"]
    assert set(kinds) == {"map", "mean-field", "hmc"}
    for name, kind in kinds.items():
        views = {f"{where} {view}" for where in spheres.EPS for view in ("own", *(["limit"] if name != "map" else []))}
        assert kind["survive"].keys() == views
        for by_eps in kind["survive"].values():
            assert all(len(each) == spheres.TRAININGS and {len(one) for one in each} == {6} for each in by_eps.values())
