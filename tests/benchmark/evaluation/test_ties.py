"""An image is right where its label is likelier than every other; a tie is wrong, whichever class comes first."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from benchmark.evaluation.judge import judge
from benchmark.plan.cells import Selection
from benchmark.selftest.__main__ import audited
from tests.benchmark.evaluation.secretive import Around, entry_of
from zoo.combine import answered
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import private_generator


class Fixed(nn.Module):
    """The same logits for every image."""

    logits: Tensor

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.register_buffer("logits", torch.tensor(logits))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.expand(len(x), -1) + 0 * x.flatten(1)[:, :1]


class Uniform(Around):
    """It says the same of all classes."""

    def forward(self, x: Tensor) -> Tensor:
        return 0 * super().forward(x)


X, EVERY = torch.zeros(3, 1, 2, 2), torch.arange(3)


@pytest.mark.parametrize("classes", [3, 10, 17])
@pytest.mark.parametrize("draws", [1, 2, 64])
def test_a_uniform_output_is_right_for_no_class(classes: int, draws: int) -> None:
    """Of many classes and draws: vector units and the rest of a loop round differently."""
    y = torch.arange(classes)
    found = judge(ExpectedPrediction([Fixed(*[0.3] * classes) for _ in range(draws)]), torch.zeros(classes, 1, 2, 2), y)
    assert not any(found.correct)
    assert all(label != predicted for label, predicted in zip(y.tolist(), found.predicted, strict=True))
    assert found.right_draws == ([0] * classes if draws > 1 else [])
    assert found.log_p == pytest.approx([-math.log(classes)] * classes, rel=1e-3)


def test_of_a_tie_the_likeliest_wrong_label_is_predicted() -> None:
    found = judge(ExpectedPrediction([Fixed(2.0, 2.0, 1.0)]), X, EVERY)
    assert (found.correct, found.predicted) == ([False] * 3, [1, 0, 0])
    led = judge(ExpectedPrediction([Fixed(2.0, 2.0 + 1e-4, 1.0)]), X, EVERY)
    assert (led.correct, led.predicted) == ([False, True, False], [1, 1, 1])


def test_a_vote_that_is_tied_is_lost() -> None:
    found = judge(ExpectedPrediction([Fixed(3.0, 0.0, 0.0), Fixed(0.0, 2.0, 0.0)]), X, EVERY)
    assert (found.correct, found.right_draws) == ([True, False, False], [1, 1, 0])
    assert found.majority == [1, 0, 0]


def test_where_there_is_no_tie_the_answer_is_the_largest() -> None:
    outputs = torch.randn(4, 50, 10, generator=private_generator("ties"))
    labels = torch.arange(50) % 10
    assert torch.equal(answered(outputs, labels), outputs.argmax(-1))
    assert torch.equal(answered(outputs[0].log_softmax(-1) - 7, labels), outputs[0].argmax(-1))


def test_a_network_that_says_nothing_has_no_accuracy() -> None:
    result = audited(entry_of(Uniform), Selection(examples=20, eps=(0.1,), attacks=("noise-l2",)))
    assert {row.clean.hits for row in result.rows} == {0}
