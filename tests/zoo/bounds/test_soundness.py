"""No attack, no corner and no random image leaves the bounds; and a wrong rule is found by the same check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.zoo.bounds.soundness import (
    ACTIVATIONS,
    CHAINS,
    TOLERANCE,
    built,
    excess,
    margin_excess,
    pictures,
)
from zoo.bounds import METHODS, bounds, margins
from zoo.bounds import activations as act
from zoo.bounds.affine import Convolution, Linear
from zoo.bounds.patches import Patches
from zoo.bounds.pooling import MaxPooling
from zoo.bounds.region import Region
from zoo.bounds.rows import Interval
from zoo.bounds.steps import Lines

NETWORKS = st.tuples(st.sampled_from(CHAINS), st.sampled_from(sorted(ACTIVATIONS)), st.integers(0, 1000))


@given(
    network=NETWORKS,
    eps=st.sampled_from([0.003, 0.05, 0.3, 1.0]),
    norm=st.sampled_from(["linf", "l2"]),
    method=st.sampled_from(METHODS),
    scale=st.sampled_from([0.5, 2.0, 8.0]),
)
@settings(max_examples=30)
def test_nothing_leaves_the_bounds(
    network: tuple[str, str, int], eps: float, norm: str, method: Any, scale: float
) -> None:
    chain, activation, seed = network
    networks, x = built(chain, activation, seed, 2, scale), pictures(chain, seed)
    labels = torch.arange(len(x)) % 3
    largest = 1 + float(bounds(networks, x, eps, norm, method=method).upper.abs().max())
    assert excess(networks, x, eps, norm, bounds(networks, x, eps, norm, method=method), seed) <= TOLERANCE * largest
    found = margins(networks, x, labels, eps, norm, method=method)
    assert margin_excess(networks, x, labels, eps, norm, found, seed) <= TOLERANCE * largest


@given(network=NETWORKS, norm=st.sampled_from(["linf", "l2"]), eps=st.sampled_from([0.01, 0.2]))
@settings(max_examples=25)
def test_backward_passes_are_never_looser_than_intervals(network: tuple[str, str, int], norm: str, eps: float) -> None:
    chain, activation, seed = network
    networks, x = built(chain, activation, seed, 2, 3.0), pictures(chain, seed)
    widths = {}
    for method in METHODS:
        found = bounds(networks, x, eps, norm, method=method)
        widths[method] = (found.lower, found.upper)
    for method in ("crown", "crown-ibp"):
        assert (widths[method][0] >= widths["interval"][0] - TOLERANCE).all()
        assert (widths[method][1] <= widths["interval"][1] + TOLERANCE).all()
    assert (widths["crown"][1] - widths["crown"][0]).mean() <= (widths["crown-ibp"][1] - widths["crown-ibp"][0]).mean()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("chain", CHAINS)
def test_of_no_ball_the_bounds_are_the_network(chain: str, norm: str, method: Any) -> None:
    for activation in ACTIVATIONS:
        networks, x = built(chain, activation, 1, 2), pictures(chain, 1)
        found = bounds(networks, x, 0.0, norm, method=method)
        logits = torch.stack([network(x) for network in networks])
        assert torch.allclose(found.lower, logits, rtol=0, atol=1e-10)
        assert torch.allclose(found.upper, logits, rtol=0, atol=1e-10)
        assert (found.lower <= found.upper).all()


# --- The check has teeth ----------------------------------------------------------------------------------------------


def low_chord(lower: Tensor, upper: Tensor) -> Lines:
    lines = RELU_LINES(lower, upper)
    return Lines(lines.lower_slope, lines.lower_shift, lines.upper_slope, lines.upper_shift * 0.8)


def steep_below(lower: Tensor, upper: Tensor) -> Lines:
    lines = RELU_LINES(lower, upper)
    return Lines(lines.upper_slope, lines.upper_shift / 2, lines.upper_slope, lines.upper_shift)


def chord_below(f: Any, derivative: Any, lower: Tensor, upper: Tensor) -> Lines:
    lines = CONVEX_LINES(f, derivative, lower, upper)
    return Lines(lines.upper_slope, lines.upper_shift, lines.upper_slope, lines.upper_shift)


def tangents_only(f: Any, derivative: Any, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    middle = (lower + upper) / 2
    return derivative(middle), f(middle) - derivative(middle) * middle


def forgets_a_tap(step: MaxPooling, maps: Tensor) -> Tensor:
    return MAX_TAPS(step, maps)[:-1]


def signed_radius(step: Linear, x: Interval) -> Interval:
    centre, radius = x.centre @ step.weight.mT, x.radius @ step.weight.mT
    centre = centre if step.bias is None else centre + step.bias[:, None]
    return Interval(centre - radius, centre + radius)


RELU_LINES, CONVEX_LINES, MAX_TAPS = act.relu_lines, act.convex_lines, MaxPooling._taps
BACK, LEAST, PATCHES = Convolution.back, Region.least, Patches.back
WRONG: dict[str, tuple[Any, str, Callable[..., Any], str]] = {
    "the chord of ReLU is too low": (act, "relu_lines", low_chord, "relu"),
    "the lower line of ReLU crosses it": (act, "relu_lines", steep_below, "relu"),
    "a chord where the tangent belongs": (act, "convex_lines", chord_below, "softplus"),
    "a tangent to both branches of the logistic": (act, "_above_s", tangents_only, "sigmoid"),
    "max-pooling forgets an input": (MaxPooling, "_taps", forgets_a_tap, "relu"),
    "the radius goes through signed weights": (Linear, "interval", signed_radius, "relu"),
    "a bias is left out": (Convolution, "back", lambda step, x: BACK(_without_bias(step), x), "relu"),
    "patches without their shifts": (
        Patches,
        "back",
        lambda patches, rows: PATCHES(patches, type(rows)(rows.a, 0 * rows.bias, rows.window)),
        "softplus",
    ),
    "the ball is too small": (
        Region,
        "least",
        lambda region, rows, exact=False: LEAST(Region(region.images, region.eps / 2, region.norm), rows, exact),
        "relu",
    ),
}


def _without_bias(step: Convolution) -> Convolution:
    return Convolution(step.weight, None, step.stride, step.padding, step.dilation)


def worst(norm: str, activation: str, checked: str | None = None) -> float:
    """The largest excess over the chains. checked: the norm of the region that is looked through, if another."""
    found = -torch.inf
    for chain in CHAINS:
        for eps in (0.02, 0.2):
            networks, x = built(chain, activation, 3, 1, 3.0), pictures(chain, 3)
            found = max(found, excess(networks, x, eps, checked or norm, bounds(networks, x, eps, norm)))
    return found


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_rule_is_found(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, rule, activation = WRONG[wrong]
    monkeypatch.setattr(where, name, rule)
    assert worst("linf", activation) > 1e-4


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_right_rules_are_not(activation: str) -> None:
    assert worst("linf", activation) <= TOLERANCE
    assert worst("l2", activation) <= TOLERANCE


def test_a_norm_taken_for_another_is_found() -> None:
    assert worst("l2", "relu", checked="linf") > 1e-4
