"""Balls and the box: what is brought into them is the nearest point there, and what lies there stays."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.attacks.balls import distances, in_box, lengths, unit, within
from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import ThreatModel
from zoo.seeding import private_generator

NORMS = st.sampled_from(get_args(Norm))


def images(seed: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    return low + (high - low) * torch.rand(4, 1, 3, 3, generator=private_generator("balls", seed))


@given(norm=NORMS, eps=st.sampled_from([0.0, 1e-4, 0.3, 1.0, 9.0]), seed=st.integers(0, 1000))
@settings(deadline=None)
def test_what_is_brought_into_a_ball_lies_in_it_and_what_lies_there_stays(norm: Norm, eps: float, seed: int) -> None:
    x, moved, threat = images(seed), images(seed + 1, -1, 2), ThreatModel(norm, eps)
    found = within(moved, x, threat)
    assert (distances(x, found, norm) <= eps + 1e-6).all()
    assert in_box(found).all()
    assert torch.allclose(within(found, x, threat), found, atol=1e-6)
    inside = x + 0.5 * (found - x)
    assert torch.allclose(within(inside, x, threat), inside, atol=1e-6)


@given(norm=NORMS, seed=st.integers(0, 1000))
@settings(deadline=None)
def test_no_point_of_a_ball_is_nearer(norm: Norm, seed: int) -> None:
    """Where the box is far: the projection, against random points of the ball."""
    x, moved, threat = images(seed, 0.4, 0.6), images(seed + 1, 0.2, 0.8), ThreatModel(norm, 0.1)
    found = (moved - within(moved, x, threat)).flatten(1).norm(dim=1)
    for other in range(20):
        point = within(x + 0.1 * unit(images(seed + 2 + other, -1, 1), norm), x, threat)
        assert (found <= (moved - point).flatten(1).norm(dim=1) + 1e-6).all()


@pytest.mark.parametrize("norm", get_args(Norm))
def test_a_unit_is_of_length_one_and_zero_stays_zero(norm: Norm) -> None:
    direction = torch.tensor([[[3.0, -4.0]], [[0.0, 0.0]], [[1e-20, 0.0]]])
    found = unit(direction, norm)
    assert found[0].tolist() == ([[1.0, -1.0]] if norm == "linf" else [[pytest.approx(0.6), pytest.approx(-0.8)]])
    assert not found[1].any()
    assert found[2].tolist() == [[pytest.approx(1.0, rel=1e-5), 0.0]]
    assert lengths(direction).flatten().tolist() == pytest.approx([5.0, 0.0, 1e-20])


def test_a_pixel_that_is_no_number_is_in_no_box() -> None:
    inside = torch.zeros(1, 1, 2)
    assert in_box(inside).item()
    for value in (math.nan, math.inf, 1.001, -0.001):
        assert not in_box(inside.index_fill(2, torch.tensor([1]), value)).item()
