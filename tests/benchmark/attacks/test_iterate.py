"""Which image of an attack's walk counts: the last, or the best that it saw."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from benchmark.attacks.craft import craft
from benchmark.attacks.methods import Goal, Iterate
from benchmark.attacks.spec import AttackSpec
from benchmark.protocol import LIBRARIES, standard_attack
from tests.benchmark.attacks.adapter_contract import CENTRAL, LABELS, Linear
from tests.benchmark.networks import EXAMPLES, X, Y, prediction_of, small_network

SPEC = replace(standard_attack("pgd-linf", 0.3), random_start=False)


def walked(path: list[Tensor], spec: AttackSpec, y: Tensor = LABELS) -> Tensor:
    """What counts of an attack that takes a gradient at all images of a path but the last, which it returns."""

    def adapter(model: object, x: Tensor, labels: Tensor, *_: object) -> Tensor:
        for images in path[:-1]:
            leaf = images.clone().requires_grad_()
            torch.nn.functional.cross_entropy(model(leaf), labels).backward()  # type: ignore[operator]
        return path[-1]

    return craft("own", prediction_of(Linear()), CENTRAL, y, spec, EXAMPLES, 0, adapter=adapter).images


def moved(by: float) -> Tensor:
    """Images moved towards their wrong label, by so much of the optimum."""
    return CENTRAL + by * Linear().direction(LABELS).sign().view_as(CENTRAL)


def test_the_image_that_hurts_most_counts_wherever_it_was_on_the_way() -> None:
    best = replace(SPEC, iterate=Iterate.BEST)
    path = [CENTRAL, moved(0.1), moved(0.3), moved(0.2)]
    assert torch.equal(walked(path, SPEC), moved(0.2))
    assert torch.equal(walked(path, best), moved(0.3))
    assert torch.equal(walked(path[:2], best), moved(0.1))  # the last is the best


def test_towards_a_label_the_image_nearest_to_it_counts() -> None:
    path = [CENTRAL, moved(-0.1), moved(0.3), moved(0.2)]
    assert torch.equal(walked(path, replace(SPEC, iterate=Iterate.BEST, goal=Goal.CONFIDENT)), moved(-0.1))


def test_what_lies_outside_the_ball_or_box_or_is_no_whole_batch_does_not_count() -> None:
    best = replace(SPEC, iterate=Iterate.BEST)
    outside = [moved(0.4), CENTRAL + 2, torch.full_like(CENTRAL, torch.nan), moved(0.2)]
    assert torch.equal(walked(outside, best), moved(0.2))
    model_of_a_part = [moved(0.3)[:3], moved(0.2)]

    def adapter(model: object, x: Tensor, labels: Tensor, *_: object) -> Tensor:
        model(model_of_a_part[0].clone().requires_grad_()).sum().backward()  # type: ignore[operator]
        return model_of_a_part[1]

    found = craft("own", prediction_of(Linear()), CENTRAL, LABELS, best, EXAMPLES, 0, adapter=adapter).images
    assert torch.equal(found, moved(0.2))


def test_of_images_that_hurt_alike_the_last_counts() -> None:
    """A constant network: nothing hurts."""

    def adapter(model: object, x: Tensor, labels: Tensor, *_: object) -> Tensor:
        model(x.clone().requires_grad_()).sum().backward()  # type: ignore[operator]
        return moved(0.1)

    network, best = Linear(scale=0.0), replace(SPEC, iterate=Iterate.BEST)
    found = craft("own", prediction_of(network), CENTRAL, LABELS, best, EXAMPLES, 0, adapter=adapter).images
    assert torch.equal(found, moved(0.1))


def test_a_misclassified_image_counts_more_than_one_whose_label_has_less_probability() -> None:
    """Three labels: at 0.5 the label has half and is first, at 0.4 it is second."""
    from benchmark.attacks.seen import WorstSeen

    log_p = torch.tensor([[[0.45, 0.5, 0.05]], [[0.4, 0.3, 0.3]]]).log()
    x, y = torch.full((1, 1, 1, 1), 0.5), torch.zeros(1, dtype=torch.long)
    images = [x + 0.1, x - 0.1]
    for order in ((0, 1), (1, 0)):
        worst = WorstSeen(x, y, SPEC.threat)
        for at in order:
            worst.see(images[at], log_p[at])
        assert torch.equal(worst.images, images[0])


def test_it_never_hurts_and_without_it_nothing_changes() -> None:
    prediction, column = prediction_of(small_network(3.0)), Y[:, None]
    spec = replace(standard_attack("pgd-linf", 0.1), steps=5, step_size=0.15)  # it oscillates
    gained = 0
    for library in LIBRARIES:
        last = craft(library, prediction, X, Y, spec, EXAMPLES, 0)
        best = craft(library, prediction, X, Y, replace(spec, iterate=Iterate.BEST), EXAMPLES, 0)
        hurt = [prediction(found.images).gather(1, column) for found in (last, best)]
        broken = [prediction(found.images).argmax(1) != Y for found in (last, best)]
        assert (broken[1] | ~broken[0]).all()
        assert (hurt[1] <= hurt[0] + 1e-6)[broken[0] == broken[1]].all()
        assert torch.equal(last.losses, best.losses)  # the walk is the same
        gained += int((best.images != last.images).flatten(1).any(1).sum())
    assert gained > 0
