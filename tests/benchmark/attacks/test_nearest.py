"""On a linear network the distance to the nearest image of another label is known, and so what each eps breaks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.attacks.balls import distances
from benchmark.attacks.craft import Crafted, adapter_of, craft
from benchmark.attacks.methods import METHOD_OF, NORMS, Norm
from benchmark.attacks.seen import NearestSeen
from benchmark.attacks.starts import adversarial_starts
from benchmark.evaluation.judge import violations
from benchmark.protocol import EVERYWHERE, usual_attack
from tests.benchmark.attacks.adapter_contract import attack_parameter, seeks_the_boundary
from tests.benchmark.networks import prediction_of
from zoo.seeding import private_generator

IMAGES = 0.3 + 0.4 * torch.rand(12, 1, 6, 6, generator=private_generator("central"))  # far from the walls of the box
BY = {name: METHOD_OF[name].libraries[0] for name in NORMS}
# How far beyond the nearest image an attack may stop.
SLACK = {"ddn": 0.2, "fmn": 0.2, "brendel-bethge": 0.02, "hopskipjump": 0.5}
STEPS = {"hopskipjump": 2000, "brendel-bethge": 1000, "fab-t": 30}


def linear(classes: int) -> nn.Module:
    """Rows of about the same length, and biases with which distances are about a third, in l2."""
    generator = private_generator("linear", classes)
    layer = nn.utils.skip_init(nn.Linear, 36, classes)
    weight = torch.randn(classes, 36, generator=generator)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(5 * torch.randn(classes, generator=generator) - 0.5 * weight.sum(1))
    return nn.Sequential(nn.Flatten(), layer)


def nearest_distances(network: nn.Module, y: Tensor, norm: Norm) -> Tensor:
    """(B,) |margin| / ||w_other - w_label||, in the dual norm, of the nearest other label."""
    weight, bias = network[1].weight.detach().double(), network[1].bias.detach().double()
    difference = weight[None] - weight[y][:, None]  # (B, K, D)
    margins = -(torch.einsum("bkd,bd->bk", difference, IMAGES.flatten(1).double()) + bias[None] - bias[y][:, None])
    lengths = difference.abs().sum(2) if norm == "linf" else difference.norm(dim=2)
    return (margins / lengths).scatter(1, y[:, None], torch.inf).amin(1)


def attacked(name: str, network: nn.Module, y: Tensor, eps: float, images: Tensor = IMAGES) -> Crafted:
    spec = usual_attack(name, eps, steps=STEPS.get(METHOD_OF[name].name))
    found = craft(BY[name], prediction_of(network), images, y, spec, range(len(images)), 0)
    assert not violations(images, found.images, spec.threat).any()
    return found


def labels(network: nn.Module, images: Tensor = IMAGES) -> Tensor:
    with torch.no_grad():
        return prediction_of(network)(images).argmax(1)


SEEKERS = [name for name in NORMS if METHOD_OF[name].nearest or seeks_the_boundary(name)]
SEEKERS = [attack_parameter(name) for name in SEEKERS if name not in ("square-linf", "square-l2")]


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("name", SEEKERS)
def test_the_nearest_adversarial_image_is_found(name: str, classes: int) -> None:
    """Everywhere, as such an attack is run; FAB-T knows no eps beyond where it stops."""
    network, norm = linear(classes), NORMS[name]
    y = labels(network)
    nearest = nearest_distances(network, y, norm)
    images = attacked(name, network, y, EVERYWHERE[norm]).images
    assert (labels(network, images) != y).all()
    found = distances(IMAGES, images, norm)
    assert (found >= nearest * (1 - 1e-3)).all()
    # a walk along the boundary to one other label may never come to the nearest one's
    if METHOD_OF[name].name in ("ddn", "fmn") or (METHOD_OF[name].nearest and classes == 2):
        away = nearest > 0.25 * nearest.median()  # the others begin at the boundary, where steps are too long
        assert (found <= nearest * (1 + SLACK[METHOD_OF[name].name]))[away].all(), (found / nearest)[away]


CLIMBERS = ("apgd-ce", "apgd-dlr", "apgd-t", "pma", "fab-t", "ddn", "fmn", "brendel-bethge")
BY_CLASSES = [
    pytest.param(name, classes, marks=[pytest.mark.slow] if name.startswith("brendel") else [])
    for classes in (2, 10)
    for name in NORMS
    if METHOD_OF[name].name in CLIMBERS and METHOD_OF[name].classes <= classes
]


@pytest.mark.parametrize(("name", "classes"), BY_CLASSES)
def test_the_images_that_can_be_broken_are_broken_and_no_others(name: str, classes: int) -> None:
    """At an eps in the middle, but for images whose nearest one is about that far away."""
    network, norm = linear(classes), NORMS[name]
    y = labels(network)
    nearest = nearest_distances(network, y, norm)
    eps = float(nearest.median())
    broken = labels(network, attacked(name, network, y, eps).images) != y
    far, near = nearest > 1.001 * eps, nearest < 0.9 * eps
    assert near.sum() >= 3
    assert far.sum() >= 3
    assert broken[near].all()
    assert not broken[far].any()


def test_square_breaks_what_is_near_and_nothing_that_is_beyond() -> None:
    """Its squares reach a part of the optimum only."""
    network = linear(10)
    y = labels(network)
    for norm in ("linf", "l2"):
        nearest = nearest_distances(network, y, norm)
        eps = float(nearest.max()) / 2
        broken = labels(network, attacked(f"square-{norm}", network, y, eps).images) != y
        assert broken[nearest < eps / 3].all()
        assert not broken[nearest > 1.001 * eps].any()


class Plateaus(nn.Module):
    """The labels of a linear network, all with the same confidence: no gradient and no margin says anything."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        output = self.network(x)
        return 5 * nn.functional.one_hot(output.argmax(1), output.shape[1]).to(x) + 0 * output


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_labels_alone_lead_hopskipjump_over_plateaus(norm: Norm) -> None:
    network = linear(2)
    y = labels(network)
    nearest = nearest_distances(network, y, norm)
    network = Plateaus(network)
    eps = 1.5 * float(nearest.max())
    for name in (f"square-{norm}", f"apgd-ce-{norm}", f"fab-t-{norm}", f"fmn-{norm}"):
        far = nearest > eps / 2  # chance finds what is near
        assert (labels(network, attacked(name, network, y, eps).images) == y)[far].all(), name
    assert (labels(network, attacked(f"hopskipjump-{norm}", network, y, eps).images) != y).all()


@pytest.mark.parametrize("name", SEEKERS)
def test_an_image_that_is_wrong_already_stays_as_it_is(name: str) -> None:
    network = linear(10)
    y = (labels(network) + 1) % 10
    assert torch.equal(attacked(name, network, y, EVERYWHERE[NORMS[name]]).images, IMAGES)


@pytest.mark.parametrize("name", [attack_parameter(name) for name in NORMS if name[:3] in ("bre", "hop")])
def test_without_a_start_an_image_stays_as_it_is(name: str) -> None:
    """A network that knows one label alone."""
    network = linear(3)
    with torch.no_grad():
        network[1].bias[1] += 1e3
    y = torch.ones(len(IMAGES), dtype=torch.long)
    assert torch.equal(attacked(name, network, y, 1.0).images, IMAGES)


def test_hopskipjump_asks_as_often_as_it_may_and_no_more() -> None:
    network = linear(10)
    y = labels(network)
    spec = usual_attack("hopskipjump-l2", 1000.0, steps=700)
    assert craft("foolbox", prediction_of(network), IMAGES, y, spec, range(12), 0).forwards in range(697, 701)


def test_starts_are_in_noise_and_at_the_nearest_image_of_another_label() -> None:
    network = linear(2)
    y = labels(network)
    has, noise, starts = adversarial_starts(network, IMAGES, y, "l2")
    assert has.all()
    assert (labels(network, noise) != y).all()
    for image, label, start in zip(IMAGES, y, starts, strict=True):
        others = IMAGES[y != label]
        assert torch.equal(start, others[(others - image).flatten(1).norm(dim=1).argmin()])
    has, noise, starts = adversarial_starts(network, IMAGES[:1], y[:1], "l2")  # no other image: noise stands in
    assert has.all()
    assert (labels(network, starts) != y[:1]).all()
    assert torch.equal(noise, starts)
    assert not adversarial_starts(network, IMAGES, 1 - y, "l2")[0].any()


def test_where_noise_has_one_label_alone_an_image_stands_in_for_it() -> None:
    """A network that knows its images, and takes all else for the first."""

    def network(x: Tensor) -> Tensor:
        known = (x[:, None] == IMAGES[None]).flatten(2).all(2)
        return torch.cat([known[:, :1] | ~known.any(1, keepdim=True), known[:, 1:]], 1).float()

    y = torch.arange(12)
    has, noise, starts = adversarial_starts(network, IMAGES, y, "linf")  # type: ignore[arg-type]
    assert has.all()
    assert torch.equal(noise[0], starts[0])
    assert not torch.equal(noise[1], starts[1])


def test_what_a_batch_was_asked_about_is_seen_where_it_counts() -> None:
    """Only images of another label, in the box, nearer than before, and only whole batches."""
    network = linear(2)
    y = labels(network)
    seen = NearestSeen(network, IMAGES, y, "linf")
    wrong = IMAGES.flip(0)[torch.randperm(12, generator=private_generator("order"))]
    seen(wrong)
    other = labels(network, wrong) != y
    assert torch.equal(seen.distance.isfinite(), other)
    assert torch.equal(seen.images[other], wrong[other])
    assert torch.equal(seen.images[~other], IMAGES[~other])
    before = seen.images.clone()
    for images in (wrong[:5], torch.full_like(IMAGES, torch.nan), IMAGES + 2, IMAGES - 2, 0.5 * (wrong + wrong)):
        seen(images)
        assert torch.equal(seen.images, before)


def test_what_was_found_on_the_boundary_is_moved_off_it_and_no_farther() -> None:
    network = linear(2)
    y = labels(network)
    weight = (network[1].weight[1] - network[1].weight[0]).detach()
    away = weight * (1 - 2 * y[:, None])
    on_it = nearest_distances(network, y, "l2").float()[:, None] * away / away.norm(dim=1, keepdim=True)
    seen = NearestSeen(prediction_of(network), IMAGES, y, "l2")
    for beyond in (1e-7, 0.5):
        seen(IMAGES + (1 + beyond) * on_it.view_as(IMAGES))
    before = seen.distance.clone()
    seen.settle()
    assert (labels(network, seen.images) != y).all()
    assert (seen.distance <= 1.0101 * before).all()
    log_p = prediction_of(network)(seen.images).log_softmax(1)
    assert (log_p[torch.arange(12), 1 - y] > log_p[torch.arange(12), y]).all()
    assert torch.equal(seen.distance, distances(IMAGES, seen.images, "l2"))


def test_what_is_found_beyond_eps_is_brought_into_the_ball() -> None:
    for norm, eps in (("linf", 0.01), ("l2", 0.05)):
        network, moved = linear(2), IMAGES + 0.1
        seen = NearestSeen(network, IMAGES, 1 - labels(network, moved), norm)
        seen(moved)
        found = distances(IMAGES, seen.inside(eps), norm)
        assert torch.allclose(found, torch.full_like(found, eps), atol=1e-6)
        assert torch.equal(seen.inside(10.0), moved)


def test_without_numba_brendel_bethge_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    from foolbox.attacks import brendel_bethge

    monkeypatch.setattr(brendel_bethge, "NUMBA_IMPORT_ERROR", ModuleNotFoundError("No module named 'numba'"))
    network = linear(2)
    spec = usual_attack("brendel-bethge-l2", 1.0, steps=2)
    model: Any = prediction_of(network)
    with pytest.raises(ValueError, match="brendel-bethge needs numba: pip install"):
        adapter_of("foolbox")(model, IMAGES, labels(network), spec, None)
