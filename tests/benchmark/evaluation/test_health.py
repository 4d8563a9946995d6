"""V4 on outputs that are probabilities in disguise and on logits that look like them; V3 on what rounding may make."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from benchmark.evaluation.health import examine, rounding, vertices
from benchmark.records.parts import Health
from tests.benchmark.evidence import HEALTHY, evidence, verdict
from zoo import models
from zoo.datasets import load_split
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import private_generator

COUNT = 60
BIAS = torch.randn(10, generator=private_generator("bias"))
DISGUISED = {
    "probabilities": lambda logits: logits.softmax(1),
    "5 p + 3": lambda logits: 5 * logits.softmax(1) + 3,
    "p - 1000": lambda logits: logits.softmax(1) - 1000,
    "40 p + b_k": lambda logits: 40 * logits.softmax(1) + BIAS,
    "of two classes": lambda logits: torch.tanh(logits[:, :1] - logits[:, 1:2]) * torch.tensor([3.0, -3.0]),
}
HONEST = {
    "logits": lambda logits: logits,
    "centred": lambda logits: logits - logits.mean(1, keepdim=True),
    "centred, far from 0": lambda logits: logits - logits.mean(1, keepdim=True) + 1e5,
    "log-probabilities": lambda logits: logits.log_softmax(1),
    "of two classes": lambda logits: (logits[:, :1] - logits[:, 1:2]) * torch.tensor([0.5, -0.5]),
    "of three classes": lambda logits: logits[:, :3] - logits[:, :3].mean(1, keepdim=True),
    "constant": lambda logits: 0 * logits,
}


class Then(nn.Module):
    def __init__(self, name: str, then: object) -> None:
        super().__init__()
        self.inner, self.then = models[name].build().eval(), then

    def forward(self, x: Tensor) -> Tensor:
        return self.then(self.inner(x))


@pytest.fixture(scope="module")
def images() -> tuple[Tensor, Tensor]:
    split = load_split("mnist", "test")
    return split.sample(COUNT, "health")


@pytest.mark.parametrize("name", ["mnist/lenet", "mnist/logistic", "mnist/lenet-adversarial"])
@pytest.mark.parametrize("what", DISGUISED)
def test_probabilities_are_seen_behind_scale_and_shift(images: tuple[Tensor, Tensor], name: str, what: str) -> None:
    x, y = images
    health = examine(ExpectedPrediction([Then(name, DISGUISED[what])]), None, x, y % 2, [])
    assert health.vertices + health.probabilities > 0.4 * COUNT
    status, text = verdict("V4", evidence(_with_libraries(health)))
    assert status == "FAIL"
    assert "probabilities" in text


@pytest.mark.parametrize("name", ["mnist/lenet", "mnist/logistic", "mnist/lenet-adversarial"])
@pytest.mark.parametrize("what", HONEST)
def test_logits_are_not_taken_for_probabilities(images: tuple[Tensor, Tensor], name: str, what: str) -> None:
    x, y = images
    health = examine(ExpectedPrediction([Then(name, HONEST[what])]), None, x, y % 2, [])
    assert health.vertices < 0.1 * COUNT
    assert verdict("V4", evidence(_with_libraries(health)))[0] == "PASS"
    assert verdict("V3", evidence(_with_libraries(health)))[0] == "PASS"


def test_of_few_images_nothing_is_said() -> None:
    assert vertices(torch.eye(10)[:9] * 5 + 3) == 0
    assert vertices(torch.eye(10) * 5 + 3) == 10


def test_what_a_network_returns_is_seen_whatever_each_draw_is(images: tuple[Tensor, Tensor]) -> None:
    """All networks of an average must be like that."""
    x, y = images
    one, other = Then("mnist/lenet", DISGUISED["5 p + 3"]), Then("mnist/lenet", HONEST["logits"])
    assert examine(ExpectedPrediction([one, one]), None, x, y, []).vertices > 0.4 * COUNT
    assert examine(ExpectedPrediction([one, other]), None, x, y, []).vertices == 0


def test_rounding_is_relative_to_log_probabilities_and_to_logits() -> None:
    log_p = torch.tensor([[-0.1, -2.0], [-50.0, 0.0]])
    near = rounding(log_p, torch.zeros(1, 2, 2))
    assert torch.allclose(near, torch.tensor([2e-4, 5e-3]))
    step = torch.tensor(1e5).nextafter(torch.tensor(1e6)) - 1e5
    far = rounding(log_p, torch.full((1, 2, 2), 1e5))
    assert (far > 4 * step).all()
    assert (far < 20 * step).all()


def test_what_is_beyond_rounding_fails_and_what_is_not_passes_with_its_number() -> None:
    for repeat, may, expected in (
        (0.0, 1e-3, "PASS"),
        (9e-4, 1e-3, "PASS"),
        (2e-3, 1e-3, "FAIL"),
        (2e-3, None, "FAIL"),
    ):
        status, text = verdict("V3", evidence(dataclasses.replace(HEALTHY, repeat=repeat, rounding=may)))
        assert status == expected
        assert f"{repeat:g}" in text


def test_older_records_keep_their_bytes() -> None:
    older = {name: value for name, value in dataclasses.asdict(HEALTHY).items() if name not in LATER}
    assert Health(**older).to_json() == older


LATER = ("rounding", "vertices", "spread")


def _with_libraries(health: Health) -> Health:
    """V17 is about libraries, which were not run."""
    return dataclasses.replace(health, shortfall=HEALTHY.shortfall)
