"""Channels' statistics against those of random images, for which units are independent, and of normalised networks."""

from __future__ import annotations

import math
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from zoo.networks import Preprocess
from zoo.propagation import Moments, propagate
from zoo.propagation.statistics import AnalyticNormalisation, channel_statistics, normalise_by_propagation
from zoo.seeding import forked_random_state, private_generator

PIXELS = Moments(torch.tensor([0.4, 0.6, 0.5]), torch.tensor([0.04, 0.09, 0.01]))


def noise(count: int = 4000, size: int = 12) -> Tensor:
    """Images whose pixels are independent normal variables with `PIXELS` as moments."""
    z = torch.randn(count, 3, size, size, generator=private_generator("statistics"))
    return PIXELS.mean.view(-1, 1, 1) + PIXELS.variance.sqrt().view(-1, 1, 1) * z


def measured(x: Tensor, channels: int) -> Moments:
    values = x.double().unflatten(1, (channels, -1)).transpose(0, 1).flatten(1)
    return Moments(values.mean(1), values.var(1))


def chain() -> nn.Sequential:
    with forked_random_state(0):
        return nn.Sequential(
            OrderedDict(
                input=Preprocess((0.4, 0.6, 0.5), (0.2, 0.3, 0.1), pad=0),
                conv=nn.Conv2d(3, 8, 3),
                act=nn.LeakyReLU(0.01),
                pool=nn.AvgPool2d(2),
                flatten=nn.Flatten(),
                fc=nn.Linear(8 * 25, 5),
            )
        )


def test_a_convolution_and_what_acts_on_units_are_exact_for_independent_pixels() -> None:
    network, x, found = chain(), noise(), PIXELS
    for layer in (network.input, network.conv, network.act):
        x, found = layer(x), channel_statistics(layer, found)
        truth = measured(x, len(found.mean))
        sigma = truth.variance.sqrt()
        assert ((found.mean - truth.mean).abs() / sigma).max() < 0.02
        assert (found.variance / truth.variance - 1).abs().max() < 0.03


def test_a_linear_layer_after_flatten_meets_every_channel_at_all_its_places() -> None:
    with forked_random_state(0):
        layer = nn.Linear(3 * 16, 4)
    x = noise(4000, 4)
    found, truth = channel_statistics(nn.Sequential(nn.Flatten(), layer), PIXELS), measured(layer(x.flatten(1)), 4)
    assert torch.allclose(found.mean.double(), truth.mean, atol=0.01)
    assert (found.variance / truth.variance - 1).abs().max() < 0.1


def test_max_pooling_takes_the_maximum_of_as_many_independent_units() -> None:
    found = channel_statistics(nn.MaxPool2d(2), Moments(torch.zeros(1), torch.ones(1)))
    assert found.mean.item() == pytest.approx(1.0294, abs=0.03)  # the expected maximum of four standard normals


def test_windows_of_pooling_need_not_be_square() -> None:
    x = Moments(torch.zeros(1), torch.ones(1))
    assert channel_statistics(nn.AvgPool2d((2, 3)), x).variance.item() == pytest.approx(1 / 6)
    assert channel_statistics(nn.MaxPool2d((1, 2)), x).mean.item() == pytest.approx(
        math.pi**-0.5
    )  # of two standard normals


def test_normalised_weights_have_the_statistics_that_were_asked_for() -> None:
    network = chain()
    normalise_by_propagation(network, PIXELS)
    found = PIXELS
    for layer in network:
        found = channel_statistics(layer, found)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert torch.allclose(found.mean, torch.zeros_like(found.mean), atol=1e-5)
            assert torch.allclose(found.variance, torch.ones_like(found.variance), atol=1e-4)
    x = network[:2](noise())
    assert x.mean((0, 2, 3)).abs().max() < 0.05
    assert (x.std((0, 2, 3)) - 1).abs().max() < 0.05


def test_analytic_normalisation_is_the_network_with_normalised_weights() -> None:
    """At its start; and it has gradients for the weights through the statistics, none for the bias it cancels."""
    plain, network = chain(), AnalyticNormalisation(chain(), PIXELS)
    normalise_by_propagation(plain, PIXELS)
    x = noise(5)
    torch.testing.assert_close(network(x), plain(x), atol=1e-4, rtol=1e-4)
    network(x).square().sum().backward()
    conv = network.chain.get_submodule("conv")
    assert conv.weight.grad.abs().max() > 0
    assert conv.bias.grad.abs().max() < 1e-3 * conv.weight.grad.abs().max()


def test_analytic_normalisation_propagates_moments() -> None:
    plain, network = chain(), AnalyticNormalisation(chain(), PIXELS)
    normalise_by_propagation(plain, PIXELS)
    x = noise(3)
    uncertain = Moments(x, torch.full_like(x, 0.01))
    for ours, theirs in zip(propagate(network, uncertain), propagate(plain, uncertain), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_padded_images_have_no_statistics_of_channels() -> None:
    with pytest.raises(ValueError, match="zeros are padded"):
        channel_statistics(Preprocess((0.0,), (1.0,), pad=2), PIXELS)
