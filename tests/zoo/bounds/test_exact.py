"""Bounds beside exact values: closed forms of linear networks, enumerated ReLU patterns, the duals' own optima."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, linprog
from torch import Tensor, nn

from benchmark.attacks.spec import AttackSpec
from benchmark.evaluation.closed_form import optimum
from benchmark.protocol import standard_attack
from zoo.bounds import certified, margins
from zoo.bounds.activations import Softplus, convex_lines, relu_lines, s_shaped_lines
from zoo.bounds.pooling import MaxPooling
from zoo.bounds.region import Region
from zoo.bounds.rows import Interval, Rows
from zoo.bounds.steps import Lines
from zoo.seeding import forked_random_state, private_generator

# --- Linear networks: certified = attacked ----------------------------------------------------------------------------


def two_classes(seed: int) -> nn.Sequential:
    with forked_random_state(seed):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).double().eval()


def specification(norm: str, eps: float) -> AttackSpec:
    return standard_attack("pgd-linf" if norm == "linf" else "pgd-l2", eps)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_linear_network_is_certified_where_the_best_attack_fails(norm: str) -> None:
    eps_of_norm = {"linf": (0.0, 0.01, 0.05, 0.1, 0.2, 0.35), "l2": (0.0, 0.05, 0.1, 0.15, 0.2)}
    answers = []
    for seed, eps in itertools.product(range(4), eps_of_norm[norm]):
        network = two_classes(seed)
        x = 0.25 + 0.5 * torch.rand(32, 1, 4, 4, generator=private_generator("linear", seed), dtype=torch.float64)
        if norm == "linf":
            x = (2 * x - 0.5).clamp(0, 1)  # up to the walls; of l2 the closed form is for images far from them
        y = network(x).argmax(1)
        weight = network[1].weight.detach()
        direction = (weight[1 - y] - weight[y]).double()
        best = optimum(x.flatten(1), direction, specification(norm, eps)).view_as(x)
        assert bool(((best >= 0) & (best <= 1)).all())
        attacked = network(best).detach()
        lead = (attacked.gather(1, y[:, None]) - attacked.gather(1, 1 - y[:, None]))[:, 0]
        found = margins(network, x, y, eps, norm).lower[0].gather(1, 1 - y[:, None])[:, 0]
        assert torch.allclose(found, lead, rtol=0, atol=1e-9)
        survives, certain = lead > 0, certified(network, x, y, eps, norm) > 0
        assert torch.equal(survives, certain)
        answers += survives.tolist()
    assert 0.2 < np.mean(answers) < 0.95  # both answers were asked for


@given(seed=st.integers(0, 10_000), eps=st.sampled_from([0.02, 0.3, 0.9, 2.5]))
@settings(max_examples=30)
def test_the_least_over_ball_and_box_is_exact(seed: int, eps: float) -> None:
    generator = private_generator("ball and box", seed)
    x = (1.6 * torch.rand(1, 6, generator=generator, dtype=torch.float64) - 0.3).clamp(0, 1)
    a = torch.randn(1, 1, 1, 6, 2, generator=generator, dtype=torch.float64)
    rows, region = Rows(a, torch.zeros(1, 1, 1, 2, dtype=torch.float64)), Region(x, eps, "l2")
    exact, quick = region.least(rows, exact=True)[0, 0, 0], region.least(rows)[0, 0, 0]
    assert (quick <= exact + 1e-10).all()
    for k in range(2):
        reached = along(a[0, 0, 0, :, k].numpy(), x[0].numpy(), eps)
        assert abs(float(exact[k]) - reached) <= 1e-9


def along(a: np.ndarray, start: np.ndarray, eps: float) -> float:
    """a z at the point z of ball and box that is furthest against a: clip(start - t a), as far as the ball allows."""

    def length(t: float) -> float:
        return float(np.linalg.norm(np.clip(start - t * a, 0, 1) - start) - eps)

    t = 1e6 if length(1e6) <= 0 else brentq(length, 0.0, 1e6, xtol=1e-15, rtol=1e-14, maxiter=1000)
    return float(np.clip(start - t * a, 0, 1) @ a)


# --- ReLU networks small enough to enumerate --------------------------------------------------------------------------


def exact_least(network: nn.Sequential, x: Tensor, eps: float, direction: Tensor) -> float:
    """The least value of direction · network over the linf ball in the box, by a linear program a pattern of signs."""
    first, last = network[1], network[3]
    w, b = first.weight.detach().numpy(), first.bias.detach().numpy()
    v, c = direction.numpy() @ last.weight.detach().numpy(), float(direction.numpy() @ last.bias.detach().numpy())
    pixels = x.flatten().numpy()
    box = list(zip(np.maximum(pixels - eps, 0), np.minimum(pixels + eps, 1), strict=True))
    best = np.inf
    for pattern in itertools.product((0, 1), repeat=len(b)):
        on = np.array(pattern)
        sign = 1 - 2 * on  # of a unit that is on w x + b >= 0, of the others <= 0
        solved = linprog((v * on) @ w, sign[:, None] * w, -sign * b, bounds=box)
        if solved.status == 0:
            best = min(best, solved.fun + float((v * on) @ b) + c)
    return float(best)


def test_crown_is_close_to_the_least_value_and_closer_than_intervals() -> None:
    shares: dict[str, list[float]] = {"crown": [], "interval": []}
    for seed, eps in itertools.product(range(3), (0.05, 0.2)):
        with forked_random_state(seed):
            network = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).double().eval()
        x = torch.rand(1, 1, 2, 2, generator=private_generator("enumerated", seed), dtype=torch.float64)
        y = network(x).argmax(1)
        direction = torch.eye(2, dtype=torch.float64)[y[0]] - torch.eye(2, dtype=torch.float64)[1 - y[0]]
        at_image = float((network(x)[0].detach() * direction).sum())
        least = exact_least(network, x, eps, direction)
        assert least < at_image
        for method, found in shares.items():
            bound = float(margins(network, x, y, eps, "linf", method=method).lower[0, 0, 1 - y[0]])
            assert bound <= least + 1e-9
            found.append((at_image - least) / (at_image - bound))  # 1: exact
    assert np.mean(shares["crown"]) > 0.8
    assert np.mean(shares["crown"]) > np.mean(shares["interval"]) + 0.1


# --- Lines ------------------------------------------------------------------------------------------------------------


def slope_of_sigmoid(x: Tensor) -> Tensor:
    return torch.sigmoid(x) * torch.sigmoid(-x)


def softplus_lines(lower: Tensor, upper: Tensor) -> Lines:
    return convex_lines(Softplus(1.0, 20.0)._f, torch.sigmoid, lower, upper)


LINES = {
    "relu": (torch.relu, relu_lines),
    "softplus": (torch.nn.functional.softplus, softplus_lines),
    "sigmoid": (torch.sigmoid, lambda lo, up: s_shaped_lines(torch.sigmoid, slope_of_sigmoid, lo, up)),
    "tanh": (torch.tanh, lambda lo, up: s_shaped_lines(torch.tanh, lambda x: 1 - torch.tanh(x) ** 2, lo, up)),
}


@pytest.mark.parametrize("name", LINES)
@given(ends=st.tuples(st.floats(-25, 25), st.floats(0, 30) | st.floats(0, 1e-6)))
@settings(max_examples=80)
def test_lines_hold_the_function(name: str, ends: tuple[float, float]) -> None:
    f, lines_of = LINES[name]
    lower = torch.tensor([[ends[0]]], dtype=torch.float64)
    upper = lower + ends[1]
    lines = lines_of(lower, upper)
    x = lower + (upper - lower) * torch.linspace(0, 1, 501, dtype=torch.float64)
    above, below = lines.upper_slope * x + lines.upper_shift, lines.lower_slope * x + lines.lower_shift
    rounding = 3e-9 if name == "softplus" else 1e-13 * (1 + x.abs())  # of torch's own step at 20
    assert (above >= f(x) - rounding).all()
    assert (below <= f(x) + rounding).all()
    assert (above - f(x)).min() <= 1e-9  # they touch
    assert (f(x) - below).min() <= max(1e-3, 1e-2 * float((f(x) - below).max()))


@given(seed=st.integers(0, 10_000), spread=st.sampled_from([0.1, 1.0, 5.0]))
@settings(max_examples=40)
def test_the_largest_of_a_window_is_between_its_functions(seed: int, spread: float) -> None:
    generator = private_generator("largest", seed)
    lower = torch.randn(1, 1, 1, 2, 2, generator=generator, dtype=torch.float64)
    upper = lower + spread * torch.rand(lower.shape, generator=generator, dtype=torch.float64)
    back = MaxPooling((2, 2), (2, 2)).back(Interval(lower, upper))
    one = torch.tensor([1.0, -1.0], dtype=torch.float64).view(1, 1, 1, 1, 1, 1, 2)
    rows = back(Rows(one, torch.zeros(1, 1, 1, 2, dtype=torch.float64)))
    a, bias = rows.a.flatten(0, 5), rows.bias.flatten()  # (4, 2), (2,)
    inside = torch.rand(200, 4, generator=generator, dtype=torch.float64)
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 4)
    units = lower.flatten() + (upper - lower).flatten() * torch.cat([inside, corners])
    largest, functions = units.amax(1), units @ a + bias
    assert (functions[:, 0] <= largest + 1e-12).all()
    assert (-functions[:, 1] >= largest - 1e-12).all()
    assert (-functions[:, 1] - largest).min() <= 1e-9
