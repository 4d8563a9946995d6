"""Our attacks beside AutoAttack's official code, as pyautoattack has it: `pip install 'robustness-zoo[referee]'`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.attacks.craft import craft
from benchmark.attacks.methods import Norm
from benchmark.evaluation.judge import violations
from benchmark.protocol import AUTOATTACK, REFEREE, example_order, usual_attack
from tests.benchmark.attacks.adapter_contract import CENTRAL, Linear
from tests.benchmark.networks import prediction_of
from zoo import models
from zoo.datasets import load_split
from zoo.prediction.expected import ExpectedPrediction

pytestmark = pytest.mark.skipif(find_spec(REFEREE) is None, reason="needs the extra referee: pyautoattack")

EXAMPLES = 50
EPS: dict[Norm, tuple[float, ...]] = {"linf": (0.1, 0.3), "l2": (1.0, 2.0)}
# Images in 100 by which ours may leave more. FAB walks from boundary to boundary, and a network with masked gradients
# answers a rounding of its steps with another boundary.
MARGIN = {"mnist/lenet": 2, "mnist/lenet-adversarial": 4}


def survivors_by_referee(part: str, model: ExpectedPrediction, x: Tensor, y: Tensor, norm: Norm, eps: float) -> Tensor:
    """(B,) which images a part of AutoAttack leaves, run on all."""
    from pyautoattack.autoattack import AutoAttack

    whole: Any = AutoAttack(model, norm={"linf": "Linf", "l2": "L2"}[norm], eps=eps, seed=0)
    whole.apgd.loss, whole.fab.targeted = "ce", True
    attack = {"apgd-ce": whole.apgd, "apgd-t": whole.apgd_targeted, "fab-t": whole.fab, "square": whole.square}[part]
    attack.seed = 0
    with torch.random.fork_rng():
        images = attack.perturb(x, y)
    return surviving(model, images, y)


@torch.no_grad()
def surviving(model: ExpectedPrediction, images: Tensor, y: Tensor) -> Tensor:
    survives: Tensor = model(images).argmax(1) == y
    return survives


@pytest.mark.slow
@pytest.mark.parametrize("part", AUTOATTACK)
@pytest.mark.parametrize("norm", EPS)
@pytest.mark.parametrize("name", MARGIN)
def test_what_the_official_code_breaks_is_broken_here(name: str, norm: Norm, part: str) -> None:
    split = load_split("mnist", "test")
    examples = list(example_order(len(split)))[:EXAMPLES]
    x, y = split.pixels(examples), torch.from_numpy(split.labels[examples])
    model = models[name].predictor(1, 0)
    for eps in EPS[norm]:
        spec = usual_attack(f"{part}-{norm}", eps, steps=AUTOATTACK[part])
        ours = surviving(model, craft("torchattacks", model, x, y, spec, examples, 0).images, y)
        theirs = survivors_by_referee(part, model, x, y, norm, eps)
        assert int(ours.sum()) <= int(theirs.sum()) + MARGIN[name] * EXAMPLES / 100, (eps, int(ours.sum()))


@pytest.mark.parametrize("norm", EPS)
@pytest.mark.parametrize(("part", "enough"), [("apgd-ce", 1.01), ("square", 2.0)])
def test_the_referee_breaks_a_linear_network_where_it_can_be_broken(part: str, enough: float, norm: Norm) -> None:
    """The boundary is as far as the margin over the dual norm of the weights: APGD gets there, Square at twice that."""
    model = Linear()
    with torch.no_grad():
        margins = model(CENTRAL)[:, 0] - model(CENTRAL)[:, 1]
    y = (margins < 0).long()
    distances = margins.abs() / (2 * model.weight).norm(p={"linf": 1, "l2": 2}[norm])
    for image, distance in enumerate(distances.tolist()):
        x, label = CENTRAL[image : image + 1], y[image : image + 1]
        for times, falls in ((0.99, False), (enough, True)):
            spec = usual_attack(f"{part}-{norm}", times * distance, steps=1000)
            found = craft(REFEREE, prediction_of(model), x, label, spec, [image], 0)
            assert not violations(x, found.images, spec.threat).any()
            assert bool(surviving(prediction_of(model), found.images, label)) is not falls
            assert found.forwards <= spec.steps + 3
