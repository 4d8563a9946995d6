"""What is refused when a network is loaded, and what the refusal says to do."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from tests.zoo.networks import After, Drawing, Factory, Noisy, X, entry, linear
from zoo.layers import make_bayesian
from zoo.seeding import forked_random_state, seeded_by


def numpy_noise(z: Tensor) -> Tensor:
    return z + float(np.random.normal())  # noqa: NPY002


def python_noise(z: Tensor) -> Tensor:
    return z * (1 + random.random())


def from_global_state(generator: torch.Generator) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def from_numpy(generator: torch.Generator) -> nn.Module:
    net = linear()
    net[1].weight.data.mul_(1 + float(np.random.normal()))  # noqa: NPY002
    return net


class Swag(nn.Module):
    """Samples into its one network, as public SWAG objects do."""

    def __init__(self) -> None:
        super().__init__()
        self.net = linear()

    def draw(self, generator: torch.Generator) -> nn.Module:
        self.net[1].weight.data.copy_(torch.randn(10, 784, generator=generator))
        return self.net


class Sharing(Swag):
    """A new module around the same weights."""

    def draw(self, generator: torch.Generator) -> nn.Module:
        return nn.Sequential(super().draw(generator))


class With(nn.Module):
    """An ensemble of what a function gives."""

    def __init__(self, members: Callable[[], list[nn.Module]]) -> None:
        super().__init__()
        self.members = members


class Counting(nn.Module):
    """Another answer at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.calls = linear(), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.inner(x) * (1 + self.calls)


def deep() -> nn.Module:
    return nn.Sequential(torchvision.ops.StochasticDepth(0.5, "row"), linear())


@pytest.mark.parametrize(
    ("factory", "family", "found", "remedy"),
    [
        (lambda: After(numpy_noise), "frequentist", "NumPy's or Python's", "torch.rand_like"),
        (lambda: After(numpy_noise), "bayesian", "NumPy's or Python's", "torch.rand_like"),
        (lambda: After(python_noise), "bayesian", "NumPy's or Python's", "torch.rand_like"),
        (lambda: After(F.dropout), "frequentist", r"dropout in After\.forward", r"training=self\.training"),
        (lambda: After(lambda z: z, Noisy()), "frequentist", r"randn_like in inner\.1 \(Noisy\)", "leave out family"),
        (lambda: After(lambda z: F.dropout(z, training=False)), "bayesian", r"dropout in After\.forward", "alone"),
        (deep, "bayesian", "StochasticDepth", "nn.Dropout layers alone"),
        (Counting, "frequentist", "keeps something from one pass to the next", "function of the image alone"),
        (Counting, "bayesian", "keeps something from one pass to the next", "function of the image alone"),
        (lambda: Drawing(from_global_state), "bayesian", "another network for the same generator", "seeded_by"),
        (lambda: Drawing(from_numpy), "bayesian", "another network for the same generator", "seeded_by"),
        (Swag, "bayesian", "changes the ones before", "copy.deepcopy"),
        (Sharing, "bayesian", "changes the ones before", "copy.deepcopy"),
        (lambda: make_bayesian(linear()), "frequentist", "MeanFieldLayer|BayesianLinear", "--family bayesian"),
        (Swag, "frequentist", r"a method draw\(\)", "--family bayesian"),
        (lambda: With(lambda: [linear(), 3]), "ensemble", r"members\(\) returned int", "nn.Module"),
        (lambda: With(lambda: 1 / 0), "ensemble", r"members\(\) failed: ZeroDivisionError", "takes nothing"),
    ],
)
def test_a_refusal_says_what_was_found_and_what_to_do(
    factory: Factory, family: str, found: str, remedy: str, untouched_global_state: None
) -> None:
    with forked_random_state(0), pytest.raises(ValueError, match=found) as error:
        entry(factory, family).predictor(2, 0)
    assert remedy.replace("\\", "") in str(error.value)
    assert str(error.value).startswith("mnist/under-test: ")
    assert len(str(error.value)) < 420


def test_a_library_that_takes_no_generator_can_follow_one(untouched_global_state: None) -> None:
    def draw(generator: torch.Generator) -> nn.Module:
        with seeded_by(generator):
            return from_numpy(generator)

    prediction = entry(lambda: Drawing(draw)).predictor(3, 0)
    assert torch.equal(prediction(X), entry(lambda: Drawing(draw)).predictor(3, 0)(X))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "Frequentist"}, "did you mean 'frequentist'"),
        ({"family": "frequentest"}, "did you mean 'frequentist'"),
        ({"family": "Bayesian"}, "did you mean 'bayesian'"),
        ({"family": "baysian"}, "did you mean 'bayesian'"),
        (
            {"family": "frequentist", "randomness": "dropout"},
            "'frequentist' is of one network, and randomness='dropout'",
        ),
        ({"outputs": "softmax"}, "no outputs 'softmax'; there are: logits, probabilities"),
        ({"accuracy": 97.2}, "between 0 and 1, such as 0.972, not 97.2"),
        ({"normalize": ((0.5, 0.5, 0.5), (0.2, 0.2, 0.2))}, "1 numbers each for mnist"),
        ({"normalize": ((0.5,), (0.0,))}, "std > 0"),
        ({"normalize": 0.5}, "1 numbers each for mnist and std > 0, not 0.5"),
    ],
)
def test_a_near_miss_in_a_registration_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        entry(linear, **options)
    for family in ("frequentist", "bayesian", "ensemble", "mc-dropout", "laplace"):
        assert entry(linear, family).family == family
