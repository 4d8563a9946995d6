"""What every library's adapter promises, whatever the library does by itself."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib import import_module
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from benchmark.attacks.craft import Crafted, craft, random_start
from benchmark.attacks.methods import METHOD_OF, METHODS, NORMS, Goal, Loss
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.evaluation.closed_form import TOLERANCE, closed_form_gaps, optimum
from benchmark.evaluation.judge import violations
from benchmark.protocol import ATTACKS, STEP_RATIO, standard_attack
from tests.benchmark.networks import EXAMPLES, X, Y, prediction_of, small_network
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import isolated_random_state, private_generator

CENTRAL = 0.4 + 0.2 * X  # far from the walls of the box
LABELS = torch.arange(len(X)) % 2


class Linear(nn.Module):
    """Five linear outputs; the first two are opposites, the others do not depend on the image.

    Every loss that an attack climbs has its gradient along that one direction, so that the best image is known for
    every method. passed, returned: images that went forward, and images whose gradient came back.
    """

    def __init__(self, shape: tuple[int, ...] = (1, 8, 8), scale: float = 0.05, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = scale * torch.randn(shape, generator=private_generator("linear", *shape)).flatten()
        self.bias = torch.tensor([0.0, bias, -3.0, -3.0, -4.0])
        self.passed = self.returned = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passed += len(x)
        along = x.flatten(1) @ self.weight
        if along.requires_grad:
            along.register_hook(self._back)
        return torch.stack([along, -along, *[0 * along] * 3], 1) + self.bias

    def _back(self, gradient: Tensor) -> None:
        self.returned += len(gradient)

    def direction(self, labels: Tensor) -> Tensor:
        """(B, D): where an image loses most of its label, 0 or 1."""
        return self.weight * (2 * labels[:, None] - 1)


def spec_of(name: str, eps: float, steps: int = 20) -> AttackSpec:
    """An attack with the step of the protocol's PGD and, where it may, a random start."""
    method = METHOD_OF[name]
    steps = 1 if method.single_step else steps
    step = eps if method.single_step else STEP_RATIO * eps / 20
    decay = 0.9 if method.momentum else 0.0
    threat = ThreatModel(NORMS[name], eps)
    return AttackSpec(name, threat, step or 0.01, steps, random_start=method.random_start, decay=decay)


def seeks_the_boundary(name: str) -> bool:
    """Whether an attack follows gradients to the nearest image of another label."""
    return METHOD_OF[name].nearest or METHOD_OF[name].loss is Loss.MARGIN


def attack_parameter(name: str) -> Any:
    """A parameter of a test: numba compiles Brendel-Bethge for half a minute."""
    return pytest.param(name, marks=pytest.mark.slow) if name.startswith("brendel-bethge") else name


class AdapterContract:
    """A library's test class inherits it and says which library.

    more: by method, passes forward and backward beside one of each a step (forward alone, of a method without
        gradients).
    at_most: by method, passes forward and backward of 20 steps where they depend on what breaks when.
    lacks: attacks of its methods that it has in the other norm alone.
    unmetered: images that the adapter passes to find out what the network's output is.
    """

    library: ClassVar[str]
    more: ClassVar[dict[str, tuple[int, int]]] = {}
    at_most: ClassVar[dict[str, tuple[int, int]]] = {}
    lacks: ClassVar[tuple[str, ...]] = ()
    unmetered: ClassVar[int] = 0

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """name: every attack; started: from a random point; driven: towards a label.

        following: by gradients, as far into the ball as the loss grows; what seeks the boundary is in `test_nearest`.
        """
        names = [name for name in NORMS if METHOD_OF[name].name in self.runners() and name not in self.lacks]
        chosen = {
            "name": names,
            "following": [name for name in names if METHOD_OF[name].gradients and not seeks_the_boundary(name)],
            "started": [name for name in names if METHOD_OF[name].random_start],
            "driven": [name for name in names if Goal.CONFIDENT in METHOD_OF[name].goals],
        }
        for argument in set(chosen) & set(metafunc.fixturenames):
            metafunc.parametrize(argument, [attack_parameter(name) for name in chosen[argument]])

    def runners(self) -> dict[str, object]:
        with isolated_random_state(0):  # some libraries draw while they are imported
            found: dict[str, object] = import_module(f"benchmark.attacks.{self.library}").RUNNERS
        return found

    def craft(self, network: nn.Module, x: Tensor, y: Tensor, spec: AttackSpec, seed: int = 0) -> Crafted:
        return craft(self.library, prediction_of(network), x, y, spec, EXAMPLES[: len(x)], seed)

    def test_it_has_the_protocols_methods_and_none_that_is_not_known(self) -> None:
        assert {METHOD_OF[name].name for name in ATTACKS} <= set(self.runners()) <= set(METHODS)

    def test_a_method_that_it_does_not_have_is_refused_by_name(self) -> None:
        for name in NORMS:
            if (method := METHOD_OF[name].name) not in self.runners():
                with pytest.raises(ValueError, match=f"adapter of {self.library} has no {method}; it has fgsm, bim"):
                    self.craft(Linear(), X, LABELS, spec_of(name, 0.1))

    def test_an_attack_that_it_has_in_the_other_norm_alone_is_refused_by_name(self) -> None:
        for name in self.lacks:
            with pytest.raises(ValueError, match=f"{self.library} has no {name}"):
                self.craft(Linear(), X, LABELS, spec_of(name, 0.1))

    @pytest.mark.parametrize("shape", [(7, 1, 8, 8), (1, 1, 8, 8), (5, 3, 6, 6)], ids=str)
    def test_images_keep_their_shape_and_stay_inside_budget_and_box(self, name: str, shape: tuple[int, ...]) -> None:
        """Images with black and white pixels among the others; a small budget and one that is larger than the box."""
        x = (1.5 * torch.rand(shape, generator=private_generator("inside")) - 0.25).clamp(0, 1)
        for eps in (0.05, 1.5):
            for network in (Linear(shape[1:], 0.5), Linear(shape[1:], 0.0)):  # no gradient at all in the second
                spec = spec_of(name, eps)
                found = self.craft(network, x, LABELS[: len(x)], spec).images
                assert (found.shape, found.dtype) == (x.shape, x.dtype)
                assert found.isfinite().all()
                assert not violations(x, found, spec.threat).any()

    def test_its_inputs_and_the_global_random_states_are_left_alone(
        self, name: str, untouched_global_state: None
    ) -> None:
        x, y = X.clone(), LABELS.clone()
        self.craft(Linear(), x, y, spec_of(name, 0.3, steps=3))
        assert torch.equal(x, X)
        assert torch.equal(y, LABELS)
        assert not x.requires_grad

    def test_the_same_seed_gives_the_same_images_whatever_the_global_random_states(self, name: str) -> None:
        found = []
        for state in (1, 2):
            with isolated_random_state(state):
                found.append(self.craft(small_network(3.0), X, Y, spec_of(name, 0.3, steps=3), seed=5).images)
        assert torch.equal(*found)

    def test_it_makes_the_passes_that_it_says(self, name: str) -> None:
        """Per example and, as two networks are averaged, times two. The networks count them, too."""
        networks = [Linear(), Linear()]
        prediction = ExpectedPrediction(networks, stack=False)
        prediction(X)  # measures the memory of a pass the first time
        for network in networks:
            network.passed = network.returned = 0
        spec = spec_of(name, 0.1)
        found = craft(self.library, prediction, X, LABELS, spec, EXAMPLES, 0)
        forward, backward = self.more.get(spec.method.name, (0, 0))
        for network in networks:
            assert found.forwards == math.ceil(2 * (network.passed - self.unmetered) / len(X))
            assert found.backwards == math.ceil(2 * network.returned / len(X))
        if (most := self.at_most.get(spec.method.name)) is not None:
            assert 0 < found.forwards <= 2 * most[0]
            assert 0 < found.backwards <= 2 * most[1]
        elif spec.method.gradients:
            assert (found.forwards, found.backwards) == (2 * (spec.steps + forward), 2 * (spec.steps + backward))
        else:  # it may end where all images are broken
            assert 0 < found.forwards <= 2 * (spec.steps + forward)
            assert found.backwards == 0

    def test_it_starts_where_it_is_told_to(self, started: str) -> None:
        """With a step too small to move, the result is the start itself, clipped to the box."""
        spec = replace(standard_attack(started, 0.2), steps=1, step_size=1e-12)
        expected = (X + 0.2 * random_start(spec, X, EXAMPLES, seed=3, restart=0)).clamp(0, 1)
        assert torch.allclose(self.craft(small_network(), X, Y, spec, seed=3).images, expected, atol=1e-6)

    def test_a_ball_of_radius_zero_holds_the_image_alone(self, name: str) -> None:
        assert torch.equal(self.craft(small_network(), X, Y, spec_of(name, 0.0)).images, X)

    def test_it_reaches_the_optimum_of_a_linear_model(self, following: str) -> None:
        """linf: where the box cuts the ball, too. l2: with twice the steps, see `closed_form`."""
        norm, network = NORMS[following], Linear()
        x = X if norm == "linf" else CENTRAL
        spec = spec_of(following, 0.3, steps=20 if norm == "linf" else 40)
        self.reaches(self.craft(network, x, LABELS, spec).images, x, network.direction(LABELS), spec)

    def test_towards_a_label_is_away_from_the_other(self, driven: str) -> None:
        norm, network = NORMS[driven], Linear()
        x = X if norm == "linf" else CENTRAL
        spec = replace(spec_of(driven, 0.3, steps=40), goal=Goal.CONFIDENT)
        self.reaches(self.craft(network, x, LABELS, spec).images, x, -network.direction(LABELS), spec)

    def reaches(self, images: Tensor, x: Tensor, direction: Tensor, spec: AttackSpec) -> None:
        best = optimum(x.flatten(1), direction, spec)
        if spec.threat.norm == "linf":
            assert (images.flatten(1) - best).abs().max() <= TOLERANCE["linf"]
        gain = ((images - x).flatten(1) * direction).sum(1) / ((best - x.flatten(1)) * direction).sum(1)
        assert (1 - gain).max() <= TOLERANCE[spec.threat.norm]

    def test_the_protocols_attacks_reach_the_optimum_of_check_v17(self) -> None:
        gaps = closed_form_gaps((self.library,))
        assert {gap.attack for gap in gaps} == set(ATTACKS)
        assert all(gap.reached for gap in gaps), gaps

    def test_l2_without_a_start_reaches_the_optimum_with_the_protocols_own_steps(self) -> None:
        network, spec = Linear(), replace(standard_attack("pgd-l2", 0.3), random_start=False)
        found = self.craft(network, CENTRAL, LABELS, spec).images
        best = optimum(CENTRAL.flatten(1), network.direction(LABELS), spec)
        assert torch.allclose(found.flatten(1), best, atol=1e-6)

    def test_an_overconfident_network_is_attacked_all_the_same(self) -> None:
        """Gradients around 1e-24, whose square is zero in float32: the l2 step must still have its full length."""
        network, y = Linear(scale=0.02, bias=50.0), torch.ones(len(X), dtype=torch.long)
        leaf = CENTRAL.clone().requires_grad_()
        nn.functional.cross_entropy(prediction_of(network)(leaf), y).backward()
        assert 0 < leaf.grad.abs().max() < 1e-22
        spec = replace(standard_attack("pgd-l2", 0.2), random_start=False)
        best = optimum(CENTRAL.flatten(1), network.direction(y), spec)
        assert torch.allclose(self.craft(network, CENTRAL, y, spec).images.flatten(1), best, atol=1e-5)

    def test_restarts_never_hurt_the_attack(self, started: str) -> None:
        network, spec = small_network(3.0), replace(standard_attack(started, 0.1), steps=2)
        once, thrice = (self.craft(network, X, Y, replace(spec, restarts=count)).images for count in (1, 3))
        prediction, column = prediction_of(network), Y[:, None]
        assert (prediction(thrice).gather(1, column) <= prediction(once).gather(1, column)).all()
        assert not torch.equal(once, thrice)
