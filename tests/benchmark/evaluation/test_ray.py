"""The nearest image of other draws than the attacker's: on the ray, judged, and no further than it must be."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.ray import FARTHER, judged_along_the_ray
from benchmark.plan.cells import Cell
from benchmark.protocol import EVERYWHERE, usual_attack
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import private_generator


class Half(nn.Module):
    """Label 1 from a mean pixel of `at` on."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = at

    def forward(self, x: Tensor) -> Tensor:
        mean = 100 * (x.flatten(1).mean(1) - self.at)
        return torch.stack([-mean, mean], 1)


def test_it_is_the_first_on_the_ray_that_the_judge_takes_for_another_label() -> None:
    """Images of 0.2; the attacker's boundary is at 0.3, that is at a distance of 0.1 in linf."""
    x, y = torch.full((1, 1, 4, 4), 0.2), torch.zeros(1, dtype=torch.long)
    found = torch.full_like(x, 0.3001)
    for boundary in (0.25, 0.301, 0.32, 0.36):
        judge = ExpectedPrediction([Half(boundary)])
        moved = (judged_along_the_ray(judge, x, found, y) - x).amax().item()
        wanted = min(0.1001 * farther for farther in (1.0, *FARTHER) if 0.2 + 0.1001 * farther > boundary + 1e-4)
        assert abs(moved - wanted) < 1e-6
    never = judged_along_the_ray(ExpectedPrediction([Half(0.9)]), x, found, y)
    assert torch.equal(never, found)
    assert torch.equal(judged_along_the_ray(ExpectedPrediction([Half(0.9)]), x, x, y), x)


def test_images_are_judged_each_alone_and_stay_in_the_box() -> None:
    x = torch.rand(8, 1, 4, 4, generator=private_generator("ray"))
    found, y = (x + 0.3).clamp(0, 1), torch.zeros(8, dtype=torch.long)
    judge = ExpectedPrediction([Half(0.75)])
    together = judged_along_the_ray(judge, x, found, y)
    alone = [judged_along_the_ray(judge, x[i : i + 1], found[i : i + 1], y[i : i + 1]) for i in range(8)]
    assert torch.equal(together, torch.cat(alone))
    assert 0 <= together.min() <= together.max() <= 1


def test_of_a_continuous_posterior_most_of_what_is_found_is_judged_broken() -> None:
    """On the attacker's boundary it would be half of it."""
    attack = usual_attack("fmn-linf", EVERYWHERE["linf"])
    record = Evaluator().evaluate(Cell("mnist/bayesian-mlp", "mnist", attack, 0, 20, ("foolbox",)))
    outcome = record.outcomes["foolbox"]
    assert outcome.error is None
    assert sum(not right for right in outcome.correct) >= 18
    assert max(outcome.distance) < 0.5
