"""The averaged softmax: the lead of one network over a box of differences, and what is certified of many."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.zoo.bounds.soundness import TOLERANCE, built, candidates, pictures
from zoo.bounds import Interval, certified, lead, margins
from zoo.bounds.planes import Curve, curve_of
from zoo.combine import expected
from zoo.posteriors import SampledNetwork, posterior_of
from zoo.seeding import private_generator


def leads(logits: Tensor, labels: Tensor) -> Tensor:
    """p_y - p_j, (..., B, K); 1 for y itself."""
    p = logits.softmax(-1)
    own = labels.expand(p.shape[:-1])[..., None]
    return (p.gather(-1, own) - p).scatter(-1, own, 1.0)


@given(seed=st.integers(0, 10_000), spread=st.sampled_from([0.0, 0.3, 3.0, 30.0]))
@settings(max_examples=60)
def test_the_lead_is_exact_for_a_box_of_differences(seed: int, spread: float) -> None:
    generator = private_generator("lead", seed)
    lower = 3 * torch.randn(1, 4, generator=generator, dtype=torch.float64)
    upper = lower + spread * torch.rand(1, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([1])
    lower[0, 1] = upper[0, 1] = 0.0
    found = lead(Interval(lower, upper), labels)
    # differences d_j = f_y - f_j are any in the box: logits 0 for y and -d_j
    ends = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4)), dtype=torch.float64)
    inside = torch.rand(200, 4, generator=generator, dtype=torch.float64)
    differences = lower + (upper - lower) * torch.cat([ends, inside])
    values = leads(-differences, labels.expand(len(differences)))
    assert (values.amin(0) >= found[0] - 1e-12).all()
    assert torch.allclose(values[: len(ends)].amin(0), found[0], rtol=0, atol=1e-12)  # at a corner


def test_leads_of_huge_differences_are_numbers() -> None:
    far = torch.tensor([[0.0, -5e3, 5e3]], dtype=torch.float64)
    for low, high in ((far, far), (far, far + 1e4), (-far.abs(), far.abs())):
        found = lead(Interval(low, high), torch.tensor([0]))
        assert found.isfinite().all()
        assert (found >= -1).all()
        assert (found <= 1).all()


@pytest.mark.parametrize("chain", ["mlp", "lenet"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@given(seed=st.integers(0, 1000), eps=st.sampled_from([0.0, 0.02, 0.2]), weighted=st.booleans())
@settings(max_examples=3)
def test_no_image_has_a_smaller_lead(chain: str, norm: str, seed: int, eps: float, weighted: bool) -> None:
    networks, x = built(chain, "softplus", seed, 3, 3.0), pictures(chain, seed)
    weights = [1.0, 3.0, 0.5] if weighted else None
    share = torch.tensor(weights or [1.0] * 3, dtype=torch.float64)
    with torch.no_grad():
        labels = expected(torch.stack([network(x) for network in networks])).argmax(-1)
        found = certified(networks, x, labels, eps, norm, weights=weights)
        for image in candidates(networks, x, eps, norm, seed):
            each = leads(torch.stack([network(image) for network in networks]), labels)
            value = torch.tensordot(share / share.sum(), each, 1).amin(-1)
            assert (found <= value + TOLERANCE).all()
            if eps == 0:
                assert torch.allclose(found, value, rtol=0, atol=1e-10)


def boxes(seed: int, spread: float) -> tuple[Interval, Tensor]:
    """Bounds of differences, (1, 4) each, class 1 being the label, and 2,000 differences between them."""
    generator = private_generator("lines", seed)
    lower = 4 * torch.randn(1, 4, generator=generator, dtype=torch.float64)
    upper = lower + spread * torch.rand(1, 4, generator=generator, dtype=torch.float64)
    lower[0, 1] = upper[0, 1] = 0.0
    ends = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4)), dtype=torch.float64)
    inside = torch.rand(1000, 4, generator=generator, dtype=torch.float64)
    corners = (torch.rand(984, 4, generator=generator, dtype=torch.float64) < 0.5).double()
    corners[:, seed % 4] = torch.rand(984, generator=generator, dtype=torch.float64)  # along the edges
    return Interval(lower, upper), lower + (upper - lower) * torch.cat([ends, inside, corners])


def above_line(line: Callable[[Curve, Interval], tuple[Tensor, Tensor]], seed: int, spread: float) -> float:
    """The least that leads over a box are above their lines; negative where one crosses."""
    box, differences = boxes(seed, spread)
    slope, shift = line(curve_of(box, torch.tensor([[False, True, False, False]])), box)
    values = leads(-differences, torch.full((len(differences),), 1))
    above = (values - slope * differences - shift)[:, [0, 2, 3]]
    return float(above.min())


@given(seed=st.integers(0, 10_000), spread=st.sampled_from([0.0, 0.3, 3.0, 30.0]))
@settings(max_examples=100)
def test_lines_are_below_the_lead(seed: int, spread: float) -> None:
    assert above_line(Curve.line, seed, spread) >= -1e-12


def the_chord(curve: Curve, ends: Interval) -> tuple[Tensor, Tensor]:
    slope, _ = curve.line(ends)
    return slope, curve.at(ends.lower) - slope * ends.lower


def without_others(curve: Curve, ends: Interval) -> tuple[Tensor, Tensor]:
    return Curve(curve.least, curve.least).line(ends)


@pytest.mark.parametrize("wrong", [the_chord, without_others])
def test_a_wrong_line_is_found(wrong: Callable[[Curve, Interval], tuple[Tensor, Tensor]]) -> None:
    assert min(above_line(wrong, seed, 3.0) for seed in range(20)) < -1e-3


def rivals() -> tuple[list[nn.Module], Tensor, Tensor]:
    """Two networks with a lead that falls with different pixels: no image takes it from both."""
    networks: list[nn.Module] = []
    for pixel in (0, 1):
        network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2)).double().eval()
        network[1].weight.data.zero_()[0, pixel], network[1].weight.data[0, 1 - pixel] = 8.0, -7.0
        network[1].bias.data.copy_(torch.tensor([0.5, 0.0]))
        networks.append(network)
    return networks, torch.full((1, 1, 1, 2), 0.5, dtype=torch.float64), torch.tensor([0])


def test_one_image_must_do_it_to_all_networks() -> None:
    networks, x, y = rivals()
    found = margins(networks, x, y, 0.1, "linf")
    assert float(lead(found, y).mean(0).amin()) < 0 < float(certified(networks, x, y, 0.1, "linf"))


def test_a_line_that_crosses_makes_a_claim_that_an_attack_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    networks, x, y = rivals()

    def least() -> float:
        return float(certified(networks, x, y, 0.45, "linf"))

    with torch.no_grad():
        images = candidates(networks, x, 0.45, "linf")
        each = [leads(torch.stack([network(image) for network in networks]), y) for image in images]
    attacked = min(float(values.mean(0).amin()) for values in each)
    assert least() <= attacked + TOLERANCE
    right = Curve.line

    def too_high(curve: Curve, ends: Interval) -> tuple[Tensor, Tensor]:
        slope, shift = right(curve, ends)
        return slope, shift + 0.9

    monkeypatch.setattr(Curve, "line", too_high)
    assert least() > attacked + 0.01


def test_one_network_is_certified_by_its_margins() -> None:
    (network,), x = built("mlp", "relu", 4, 1, 3.0), pictures("mlp", 4, 40)
    labels = network(x).argmax(1)
    for eps in (0.01, 0.05, 0.1):
        own = margins(network, x, labels, eps, "linf").lower[0]
        behind = own.masked_fill(nn.functional.one_hot(labels, 3).bool(), 1.0)
        assert torch.equal(certified(network, x, labels, eps, "linf") > 0, (behind > 0).all(1))


def test_members_of_a_finite_posterior_count_as_they_weigh() -> None:
    members = built("mlp", "sigmoid", 9, 3, 3.0)
    network = SampledNetwork.of(members[0], [one.state_dict() for one in members], [1.0, 0.0, 3.0]).eval()
    posterior, x = posterior_of(network), pictures("mlp", 9)
    labels = network(x).argmax(1)
    drawn = [one.eval() for one in posterior.draws(64, 0)]
    found = certified(drawn, x, labels, 0.05, "linf", weights=posterior.weights(64, 0))
    assert torch.allclose(found, certified([members[0], *[members[2]] * 3], x, labels, 0.05, "linf"))


def test_weights_that_are_none_are_named() -> None:
    networks, x = built("mlp", "relu", 4, 2), pictures("mlp", 4)
    for weights in ([1.0], [1.0, -1.0], [0.0, 0.0], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="weights are one number >= 0"):
            certified(networks, x, torch.tensor([0, 1]), 0.1, "linf", weights=weights)
