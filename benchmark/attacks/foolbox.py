"""foolbox: the loss is a sum over the batch, starts and gradient normalisation are methods to override."""

from __future__ import annotations

from typing import Any

import eagerpy as ep
import foolbox
from foolbox.attacks.additive_noise import BaseRepeatedAdditiveNoiseAttack
from foolbox.attacks.gradient_descent_base import BaseGradientDescent
from torch import Tensor

from benchmark.attacks.metered import MeteredModel
from benchmark.attacks.spec import AttackSpec


def attack(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    """Adversarial images by `spec`; see `benchmark.attacks.craft.Adapter`."""
    target = foolbox.PyTorchModel(model, bounds=(0, 1), device=x.device)
    options: dict[str, Any] = {"abs_stepsize": spec.step_size, "steps": spec.steps}
    runner: BaseGradientDescent | BaseRepeatedAdditiveNoiseAttack
    if spec.name == "fgsm":
        runner = foolbox.attacks.LinfFastGradientAttack(random_start=False)
    elif spec.name == "bim":
        runner = foolbox.attacks.LinfBasicIterativeAttack(**options, random_start=False)
    elif spec.name == "pgd-linf":
        runner = _LinfPGD(start, **options)
    elif spec.name == "pgd-l2":
        runner = _L2PGD(start, **options)
    elif spec.name == "noise-linf":
        runner = _LinfNoise(repeats=spec.steps)
    elif spec.name == "noise-l2":
        runner = foolbox.attacks.L2ClippingAwareRepeatedAdditiveUniformNoiseAttack(repeats=spec.steps)
    else:
        raise ValueError(f"foolbox has no {spec.name}")
    wrong = foolbox.criteria.Misclassification(y)
    criterion = foolbox.criteria.TargetedMisclassification(y) if spec.goal == "confident" else wrong
    # `run` and not `__call__`, which would add a forward pass to judge success: the harness judges itself.
    images: Tensor = runner.run(target, x, criterion, epsilon=spec.threat.eps)
    return images


class _LinfNoise(foolbox.attacks.LinfRepeatedAdditiveUniformNoiseAttack):
    def get_epsilons(self, x: ep.Tensor, p: ep.Tensor, epsilon: float, min_: float, max_: float) -> ep.Tensor:
        # foolbox 3.3.4 divides by the largest component where the largest |component| is meant, and leaves the ball
        largest = p.raw.abs().flatten(1).amax(1)
        return ep.astensor(epsilon / largest.view(-1, *[1] * (p.ndim - 1)))


class _GivenStart:
    """Starts at `eps * start` from the image instead of drawing; mixed into foolbox's attacks."""

    def __init__(self, start: Tensor | None, **options: Any) -> None:
        super().__init__(**options, random_start=start is not None)  # type: ignore[call-arg]
        self.start = start

    def get_random_start(self, x0: ep.Tensor, epsilon: float) -> ep.Tensor:
        assert self.start is not None  # foolbox asks only if random_start is set
        return x0 + ep.astensor(epsilon * self.start)


class _LinfPGD(_GivenStart, foolbox.attacks.LinfProjectedGradientDescentAttack):
    pass


class _L2PGD(_GivenStart, foolbox.attacks.L2ProjectedGradientDescentAttack):
    def normalize(self, gradients: ep.Tensor, *, x: ep.Tensor, bounds: Any) -> ep.Tensor:
        # foolbox divides by max(norm, 1e-12); without that floor, as in the other libraries, and 0 stays 0
        raw: Tensor = gradients.raw
        norms = raw.flatten(1).norm(dim=1).view(-1, *[1] * (raw.ndim - 1))
        return ep.astensor(raw / norms.where(norms > 0, norms.new_ones(())))
