"""The ways of computing one bound agree: windows and whole maps, parts and all at once, networks together and alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.zoo.bounds.soundness import CHAINS, built, pictures
from zoo.bounds import Interval, bounds, margins, rule
from zoo.bounds.chain import Chain
from zoo.bounds.rows import Rows, Window
from zoo.layers import BayesianLinear
from zoo.networks import build_network
from zoo.seeding import private_generator


def close(one: Interval, other: Interval) -> bool:
    return all(torch.allclose(a, b, rtol=0, atol=1e-10) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("chain", CHAINS)
def test_windows_and_whole_maps_give_the_same(chain: str, norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    networks, x, found = built(chain, "softplus", 5, 2, 3.0), pictures(chain, 5), []
    for windows in (True, False):
        monkeypatch.setattr(Chain, "by_windows", lambda chain, shape, windows=windows: windows)
        found.append(bounds(networks, x, 0.1, norm))
    assert close(*found)


@pytest.mark.parametrize("chain", CHAINS)
def test_what_comes_in_parts_is_what_comes_at_once(chain: str) -> None:
    networks, x = built(chain, "relu", 6, 3, 3.0), pictures(chain, 6, 5)
    labels = torch.tensor([0, 2, 1, 1, 0])
    for norm in ("linf", "l2"):
        whole, parts = (margins(networks, x, labels, 0.05, norm, max_bytes=size) for size in (1 << 30, 1 << 17))
        assert close(whole, parts)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("chain", CHAINS)
def test_units_of_every_case_alone_and_all_units_give_the_same(
    chain: str, norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for activation in ("relu", "tanh"):
        networks, x, found = built(chain, activation, 5, 2, 2.0), pictures(chain, 5), []
        for picked in (0.0, 1e9):
            monkeypatch.setattr("zoo.bounds.chain.PICKED", picked)
            found += [bounds(networks, x, 0.05, norm, max_bytes=size) for size in (1 << 28, 1 << 15)]
        assert all(close(found[0], other) for other in found[1:])


@pytest.mark.parametrize("chain", CHAINS)
def test_bounds_of_units_that_do_not_matter_change_nothing_that_goes_back(
    chain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks, x, found = built(chain, "relu", 5, 3), pictures(chain, 5, 4), []
    some, asked = Chain._narrowed, []

    def every(chain: Chain, units: Interval, wanted: Tensor) -> Interval:
        asked.append(float(wanted.double().mean()))
        return some(chain, units, torch.ones_like(wanted))

    for narrowed in (some, every):
        monkeypatch.setattr(Chain, "_narrowed", narrowed)
        found.append(bounds(networks, x, 0.01, "linf"))
    assert close(*found)
    assert not asked or min(asked) < 0.5


@pytest.mark.parametrize("chain", CHAINS)
def test_networks_together_are_as_alone(chain: str) -> None:
    networks, x = built(chain, "tanh", 7, 3, 2.0), pictures(chain, 7)
    together = bounds(networks, x, 0.1, "linf")
    alone = [bounds(network, x, 0.1, "linf") for network in networks]
    assert together.lower.shape == (3, 2, 3)
    assert close(together, Interval(*(torch.cat(sides) for sides in zip(*alone, strict=True))))


def test_nothing_larger_than_the_bound_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    back = Chain._backwards

    def noted(chain: Chain, rows: Rows, exact: bool, stop: int | None = None) -> tuple[Tensor, Rows | None]:
        least = back(chain, rows, exact, stop)
        cases = len(chain.region.images) * max(len(units.lower) for units in chain.units)
        sizes.append(8 * rows.a.shape[-1] * chain.widest(rows.window is not None) * cases)
        return least

    monkeypatch.setattr(Chain, "_backwards", noted)
    networks, x = built("three convolutions", "relu", 8, 4), pictures("three convolutions", 8, 16)
    bounds(networks, x, 0.1, "linf", max_bytes=1 << 18)
    assert max(sizes) <= 1 << 18
    assert len(sizes) > 100


@given(size=st.integers(1, 4), stride=st.integers(1, 3), pad=st.integers(0, 2), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_windows_are_what_a_convolution_sees(size: int, stride: int, pad: int, seed: int) -> None:
    generator = private_generator("windows", seed)
    maps = torch.randn(2, 3, 7, 6, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, 3, size, size, generator=generator, dtype=torch.float64)
    seen = nn.functional.conv2d(maps, weight, stride=stride, padding=pad)
    grid = (seen.shape[2], seen.shape[3])
    windows = Window(grid).before((size, size), (stride, stride), (pad, pad)).of(maps)
    assert windows.shape == (2, grid[0] * grid[1], 3, size, size)
    assert torch.allclose(windows.flatten(2) @ weight.flatten(1).T, seen.flatten(2).mT)


# --- Mistakes ---------------------------------------------------------------------------------------------------------


class Doubled(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return 2 * super().forward(input)


X = torch.rand(2, 1, 4, 4, generator=private_generator("mistakes"))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Flatten(), nn.GELU(), nn.Linear(16, 3)], "no rule bounds the layer GELU: .*rule.register"),
        ([nn.Flatten(), Doubled(16, 3)], "no rule bounds the layer Doubled"),
        ([nn.Flatten(), BayesianLinear(16, 3)], "BayesianLinear.*posterior_of"),
        ([nn.Linear(4, 3)], "put nn.Flatten"),
        ([nn.Flatten(2), nn.Linear(16, 3)], "use nn.Flatten"),
        ([nn.Conv2d(1, 2, 3, padding="same")], "a padding in numbers"),
        ([nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")], "padding_mode='zeros'"),
        ([nn.MaxPool2d(2, padding=1)], "without padding"),
        ([nn.MaxPool2d(3, ceil_mode=True)], "ceil_mode"),
        ([nn.MaxPool2d(2, dilation=2)], "dilation"),
        ([nn.AvgPool2d(2, divisor_override=3)], "average of all"),
        ([nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3)], "call eval"),
    ],
)
def test_a_layer_without_a_rule_is_named(layers: list[nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bounds(nn.Sequential(*layers), X, 0.1, "linf")


def test_what_is_not_right_is_named() -> None:
    network, labels = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval(), torch.tensor([0, 1])
    other = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.ReLU())
    for arguments, message in (
        ((network, X, 0.1, "l1"), "no norm 'l1'"),
        ((network, X, -0.1, "l2"), "eps must be .* not -0.1"),
        ((network, X, float("nan"), "l2"), "eps must be"),
        ((network, X + 1, 0.1, "l2"), "pixels from 0 to 1"),
        ((network, X * float("nan"), 0.1, "l2"), "pixels from 0 to 1"),
        ((network, X[:0], 0.1, "l2"), "at least one"),
        (([], X, 0.1, "l2"), "at least one network"),
        (([network, other], X, 0.1, "l2"), "same chain"),
        (([network, nn.Sequential(nn.Flatten(), nn.Linear(16, 4))], X, 0.1, "l2"), "same shapes"),
    ):
        with pytest.raises(ValueError, match=message):
            bounds(*arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no method 'ibp'"):
        bounds(network, X, 0.1, "l2", method="ibp")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_bytes must be positive"):
        bounds(network, X, 0.1, "l2", max_bytes=0)
    with pytest.raises(ValueError, match="labels are one an image"):
        margins(network, X, labels[:1], 0.1, "l2")
    with pytest.raises(ValueError, match="classes from 0 to 2"):
        margins(network, X, labels + 2, 0.1, "l2")


def test_a_layer_of_ones_own_can_have_a_rule() -> None:
    class Plain(nn.Linear):
        pass

    rule.register(Plain, rule.dispatch(nn.Linear))
    assert bounds(nn.Sequential(nn.Flatten(), Plain(16, 3)), X, 0.1, "linf").lower.shape == (1, 2, 3)


@pytest.mark.parametrize("architecture", ["lenet", "mlp", "mlp-50", "logistic"])
def test_networks_of_the_zoo_have_bounds(architecture: str) -> None:
    network = build_network(architecture, "mnist").eval()
    images = torch.rand(1, 1, 28, 28, generator=private_generator("zoo"))
    found = bounds(network, images, 0.001, "linf", method="crown-ibp")
    logits = network(images)
    assert (found.lower <= logits + 1e-5).all()
    assert (found.upper >= logits - 1e-5).all()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["alexnet", "3conv3fc"])
@pytest.mark.parametrize("method", ["crown", "crown-ibp"])
def test_large_networks_of_the_zoo_have_bounds(architecture: str, method: str) -> None:
    network = build_network(architecture, "mnist").eval()
    images = torch.rand(1, 1, 28, 28, generator=private_generator("zoo"))
    found = bounds(network, images, 0.001, "linf", method=method)  # type: ignore[arg-type]
    logits = network(images)
    assert (found.lower <= logits + 1e-5).all()
    assert (found.upper >= logits - 1e-5).all()


def test_weights_of_float32_are_taken_as_they_are(untouched_global_state: None) -> None:
    (network,) = built("mlp", "relu", 1)
    found = bounds(network.float(), X[..., :3, :3].float(), 0.1, "l2")
    assert found.lower.dtype == torch.float64
    assert found.lower.shape == (1, 2, 3)
    assert next(network.parameters()).dtype == torch.float32
