"""foolbox: the loss is a sum over the batch, starts and gradient normalisation are methods to override."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import eagerpy as ep
import foolbox
from torch import Tensor

from benchmark.attacks.metered import MeteredModel
from benchmark.attacks.methods import Goal, Norm
from benchmark.attacks.own import Call
from benchmark.attacks.references import unbound
from benchmark.attacks.spec import AttackSpec

Build = Callable[[AttackSpec, Tensor | None], Any]  # a foolbox attack


class _LinfNoise(foolbox.attacks.LinfRepeatedAdditiveUniformNoiseAttack):
    def get_epsilons(self, x: ep.Tensor, p: ep.Tensor, epsilon: float, min_: float, max_: float) -> ep.Tensor:
        # foolbox 3.3.4 divides by the largest component where the largest |component| is meant, and leaves the ball
        largest = p.raw.abs().flatten(1).amax(1)
        return ep.astensor(epsilon / largest.view(-1, *[1] * (p.ndim - 1)))


class _L2Noise(foolbox.attacks.L2ClippingAwareRepeatedAdditiveUniformNoiseAttack):
    def get_epsilons(self, x: ep.Tensor, p: ep.Tensor, epsilon: float, min_: float, max_: float) -> ep.Tensor:
        # foolbox 3.3.4 divides 0 by 0 where there is no budget
        found: ep.Tensor = super().get_epsilons(x, p, epsilon or 1.0, min_, max_)
        return found if epsilon else found * 0


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


class _AddsGradientsUp:
    """Momentum of gradients: foolbox 3.3.4 takes their sign, or their direction in l2, before it adds them up."""

    def normalize(self, gradients: ep.Tensor, *, x: ep.Tensor, bounds: Any) -> ep.Tensor:
        return gradients


class _LinfMIFGSM(_AddsGradientsUp, foolbox.attacks.LinfMomentumIterativeFastGradientMethod):
    pass


class _L2MIFGSM(_AddsGradientsUp, foolbox.attacks.L2MomentumIterativeFastGradientMethod):
    pass


def _fgsm(spec: AttackSpec, start: Tensor | None) -> Any:
    return foolbox.attacks.LinfFastGradientAttack(random_start=False)


def _bim(spec: AttackSpec, start: Tensor | None) -> Any:
    return foolbox.attacks.LinfBasicIterativeAttack(abs_stepsize=spec.step_size, steps=spec.steps, random_start=False)


def _mifgsm(spec: AttackSpec, start: Tensor | None) -> Any:
    kind = _L2MIFGSM if spec.threat.norm == "l2" else _LinfMIFGSM
    return kind(momentum=spec.decay, abs_stepsize=spec.step_size, steps=spec.steps, random_start=False)


def _pgd(spec: AttackSpec, start: Tensor | None) -> Any:
    kind = _L2PGD if spec.threat.norm == "l2" else _LinfPGD
    return kind(start, abs_stepsize=spec.step_size, steps=spec.steps)


def _noise(spec: AttackSpec, start: Tensor | None) -> Any:
    if spec.threat.norm == "l2":
        return _L2Noise(repeats=spec.steps)
    return _LinfNoise(repeats=spec.steps)


def _run(
    model: MeteredModel,
    x: Tensor,
    y: Tensor,
    spec: AttackSpec,
    start: Tensor | None,
    build: Build,
) -> Tensor:
    target = foolbox.PyTorchModel(model, bounds=(0, 1), device=x.device)
    wrong = foolbox.criteria.Misclassification(y)
    criterion = foolbox.criteria.TargetedMisclassification(y) if spec.goal is Goal.CONFIDENT else wrong
    # `run` and not `__call__`, which would add a forward pass to judge success: the harness judges itself.
    images: Tensor = build(spec, start).run(target, x, criterion, epsilon=spec.threat.eps)
    return images


RUNNERS = {
    name: partial(_run, build=build)
    for name, build in {"fgsm": _fgsm, "bim": _bim, "mifgsm": _mifgsm, "pgd": _pgd, "noise": _noise}.items()
}


def wrapped(attack: Any) -> tuple[Call, tuple[Norm, ...]]:
    """An attack of foolbox, or what makes one without arguments, and the norm of its distance.

    foolbox itself clips the images of those that look for the nearest adversarial one.
    """
    made = attack() if isinstance(unbound(attack), type) else attack
    norms: dict[float | None, tuple[Norm, ...]] = {math.inf: ("linf",), 2: ("l2",)}
    return partial(_own, made), norms.get(getattr(getattr(made, "distance", None), "p", None), ())


def _own(attack: Any, model: MeteredModel, x: Tensor, y: Tensor, *, norm: Norm, eps: float, generator: Any) -> Tensor:
    target = foolbox.PyTorchModel(model, bounds=(0, 1), device=x.device)
    _, images, _ = attack(target, x, foolbox.criteria.Misclassification(y), epsilons=eps)
    clipped: Tensor = images
    return clipped
