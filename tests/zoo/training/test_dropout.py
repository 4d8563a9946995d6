"""MC dropout: draws that are networks, with the moments that dropout has, of a network that was trained with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.zoo.training.known import Z
from zoo.catalogue.recipes import Recipe
from zoo.catalogue.samplers import Dropout
from zoo.datasets import load_split
from zoo.networks import build_network
from zoo.training.loop import Training
from zoo.training.sampling import sample
from zoo.training.subset import Divided, divided

RATE, DRAWS = 0.3, 4000
RECIPE = Recipe("mlp-50", 2, 1e-2, 20, prior=0.3, images=60, sampler=Dropout(RATE, draws=DRAWS))


def build() -> nn.Module:
    return build_network("mlp-50", "mnist")


@pytest.fixture(scope="module")
def data() -> Divided:
    test = load_split("mnist", "test")
    return divided(dataclasses.replace(test, name="train", images=test.images[:300], labels=test.labels[:300]), 60)


@pytest.fixture(scope="module")
def states(data: Divided) -> dict[str, Tensor]:
    return sample(build, data, RECIPE).states


def without_dropout(states: dict[str, Tensor]) -> dict[str, Tensor]:
    """The trained weights: a unit's are the same in all draws that have it."""
    whole = {name: value[0] for name, value in states.items()}
    by_size = states["fc2.weight"].abs().sum(1).argmax(0)  # (units,) a draw that has each
    columns = torch.stack([states["fc2.weight"][draw, :, unit] for unit, draw in enumerate(by_size)], 1)
    return whole | {"fc2.weight": columns * (1 - RATE)}


def test_a_draw_leaves_units_out_and_scales_the_others(states: dict[str, Tensor]) -> None:
    weights, whole = states["fc2.weight"], without_dropout(states)["fc2.weight"]
    left_out = (weights == 0).all(1)
    assert abs(left_out.float().mean() - RATE) < Z * (RATE * (1 - RATE) / left_out.numel()) ** 0.5
    assert torch.allclose(weights, whole / (1 - RATE) * ~left_out[:, None])
    for name in ("fc1.weight", "fc1.bias", "fc2.bias"):
        assert (states[name] == states[name][0]).all()


def test_logits_have_the_mean_and_the_covariance_of_dropout(states: dict[str, Tensor], data: Divided) -> None:
    """Given hidden units h: mean W h + b, covariance p / (1 - p) sum_i h_i^2 w_i w_i^T (Srivastava et al. 2014)."""
    whole = build()
    whole.load_state_dict(without_dropout(states))
    image = data.images[:1].float() / 255
    with torch.no_grad():
        hidden = whole.get_submodule("act1")(whole.get_submodule("fc1")(image.flatten(1)))[0]
        mean = whole(image)[0]
    centred = states["fc2.weight"] @ hidden + states["fc2.bias"] - mean  # (S, K)
    of_units = without_dropout(states)["fc2.weight"] * hidden
    covariance = RATE / (1 - RATE) * of_units @ of_units.T
    assert (centred.mean(0).abs() < Z * (covariance.diagonal() / DRAWS).sqrt()).all()
    products = torch.einsum("si,sj->sij", centred, centred)
    assert ((products.mean(0) - covariance).abs() < Z * products.std(0) / DRAWS**0.5).all()


def test_it_is_trained_with_dropout(
    states: dict[str, Tensor], data: Divided, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    epoch: Callable[[Training, int], dict[str, float]] = Training._epoch
    rates = []

    def seen(training: Training, now: int) -> dict[str, float]:
        rates.append([layer.p for layer in training.network.modules() if isinstance(layer, nn.Dropout)])
        return epoch(training, now)

    monkeypatch.setattr(Training, "_epoch", seen)
    again = sample(build, data, RECIPE, tmp_path / "c.safetensors").states
    assert rates == [[RATE], [RATE]]
    from_checkpoint = sample(build, data, RECIPE, tmp_path / "c.safetensors").states
    assert len(rates) == 2, "nothing is trained again"
    for name, value in states.items():
        assert torch.equal(again[name], value)
        assert torch.equal(from_checkpoint[name], value)


def test_a_network_that_ends_otherwise_is_refused(data: Divided) -> None:
    ends = lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Identity())  # noqa: E731
    with pytest.raises(ValueError, match=r"before the last layer, a linear one; here it is 2, Identity"):
        sample(ends, data, RECIPE)
