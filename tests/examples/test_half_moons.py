"""The half-moons: gradients against closed forms and differences, the search of the ball, a posterior that is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call

from examples.half_moons import (
    CHAINS,
    EPS,
    Moons,
    figure_of,
    fit,
    found_by_gradient,
    found_by_search,
    gradients,
    log_probabilities,
    maximum,
    moons,
    norm_in_the_limit,
    norm_of,
)
from zoo.seeding import private_generator
from zoo.training.log_posterior import LogPosterior


class _Line(nn.Module):
    """Logits 0 and w x_0 - b: the class changes at x_0 = b / w."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.tensor([4.0])), nn.Parameter(torch.tensor([2.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logit = self.w * x[:, :1] - self.b
        return torch.cat([torch.zeros_like(logit), logit], 1)


POINTS, LABELS = torch.tensor([[0.75, 0.0], [0.95, 0.3], [0.3, 0.1]]), torch.tensor([1, 1, 0])


def _states(module: nn.Module, count: int = 1) -> dict[str, torch.Tensor]:
    return {name: value.detach().expand(count, *value.shape).clone() for name, value in module.named_parameters()}


def test_the_search_breaks_what_the_ball_reaches() -> None:
    """The boundary is at .5: the points are .25, .45 and .2 away from it."""
    accuracies = found_by_search(_Line(), _states(_Line()), POINTS, LABELS)
    far = torch.tensor([0.25, 0.45, 0.2])
    for eps, accuracy in zip(EPS, accuracies, strict=True):
        assert accuracy == pytest.approx(float((far > eps + 1e-6).double().mean())), eps
    # of a line the gradient shows the way, too
    assert found_by_gradient(_Line(), _states(_Line()), POINTS, LABELS)[1:5] == accuracies[1:5]


def test_gradients_are_those_of_each_network() -> None:
    states = {"w": torch.tensor([[4.0], [1.0]]), "b": torch.tensor([[2.0], [0.0]])}
    p, gradient = gradients(_Line(), states, POINTS, LABELS)
    sign = 2.0 * LABELS - 1
    for s in range(2):
        expected = torch.sigmoid(sign * (states["w"][s] * POINTS[:, 0] - states["b"][s]))
        torch.testing.assert_close(p[s], expected)
        torch.testing.assert_close(gradient[s, :, 0], sign * states["w"][s] * expected * (1 - expected))
    assert not gradient[..., 1].any()
    together = log_probabilities(_Line(), states, POINTS)
    torch.testing.assert_close(together.exp().gather(1, LABELS[:, None])[:, 0], p.mean(0))


def test_the_norm_in_the_limit_has_no_noise_of_few_draws() -> None:
    """Gradients of mean (.3, 0) and noise 1: few draws have a norm of noise, the product of chains has .3."""
    noise = torch.randn(CHAINS * 500, 40, 2, generator=private_generator("test"))
    gradient = noise + torch.tensor([0.3, 0.0])
    p = torch.ones(gradient.shape[:2])
    assert norm_of(p, gradient, 1) == pytest.approx(math.sqrt(math.pi / 2), rel=0.1)
    assert norm_of(p, gradient, 100) > 0.3
    assert norm_in_the_limit(p, gradient) == pytest.approx(0.3, abs=0.02)
    assert norm_in_the_limit(p, noise) < norm_of(p, noise, len(p))


def test_the_maximum_is_where_the_gradient_vanishes() -> None:
    network, (x, y) = Moons(8).eval(), moons("train", 60)
    posterior = LogPosterior(network, x, y, 4.0)
    found = maximum(posterior)
    flat = torch.cat([value.flatten(1) for value in found.values()], 1)
    density, gradient = posterior(flat)
    start, _ = posterior(torch.zeros_like(flat))
    assert float(density) > float(start)
    assert float(gradient.norm()) < 0.5
    one = {name: value[0] for name, value in found.items()}
    assert (functional_call(network, one, (x,)).argmax(1) == y).double().mean() > 0.8


def test_a_width_is_fitted_and_drawn() -> None:
    fitted = fit(4, burn_in=2, draws=5)
    assert len(fitted.samples["hidden.weight"]) == CHAINS * 5
    assert [*fitted.norms.by_draws] == [1, 2, 5, 10, 20]
    assert 0 < fitted.norms.limit < 10
    ways = dict.fromkeys(("MAP, FGSM", "MAP, search", "HMC, FGSM", "HMC, search"), [0.5] * len(EPS))
    assert len(figure_of([fitted, fitted], ways).axes) == 5
