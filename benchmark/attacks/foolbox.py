"""foolbox: the loss is a sum over the batch, starts and gradient normalisation are methods to override."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import eagerpy as ep
import foolbox
import torch
from foolbox.attacks import brendel_bethge
from torch import Tensor

from benchmark.attacks.balls import lengths
from benchmark.attacks.metered import MeteredModel
from benchmark.attacks.methods import Goal, Norm
from benchmark.attacks.own import Call
from benchmark.attacks.references import unbound
from benchmark.attacks.seen import BEYOND, NearestSeen, Spent
from benchmark.attacks.spec import AttackSpec
from benchmark.attacks.starts import adversarial_starts

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
        norms = lengths(raw)
        return ep.astensor(raw / norms.where(norms > 0, norms.new_ones(())))

    def project(self, x: ep.Tensor, x0: ep.Tensor, epsilon: float) -> ep.Tensor:
        # foolbox takes the root of a sum of squares, which torch.norm rounds otherwise: as torchattacks rounds it, both
        # walk one path, bit for bit, and share its gradients
        step: Tensor = (x - x0).raw
        return x0 + ep.astensor(step * (epsilon / lengths(step).clamp_min(1e-30)).clamp_max(1))


# FMN steps to where the boundary would be if it were flat. Where it bends away, FMN as published ends a hair this side
# of it and has found nothing: 4 of 20 images of MNIST.
_OVERSHOOT = 1.01


class _L2FMN(foolbox.attacks.L2FMNAttack):
    def project(self, x: ep.Tensor, x0: ep.Tensor, epsilon: ep.Tensor) -> ep.Tensor:
        # foolbox 3.3.4 multiplies by norm / norm and stays where it is: the images only go farther away
        step: Tensor = (x - x0).raw
        allowed = _OVERSHOOT * epsilon.raw.view(-1, *[1] * (step.ndim - 1))
        return x0 + ep.astensor(step * (allowed / lengths(step).clamp_min(1e-12)).clamp_max(1))


class _LinfFMN(foolbox.attacks.LInfFMNAttack):
    def project(self, x: ep.Tensor, x0: ep.Tensor, epsilon: ep.Tensor) -> ep.Tensor:
        return super().project(x, x0, _OVERSHOOT * epsilon)


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


def _ddn(spec: AttackSpec) -> Any:
    return foolbox.attacks.DDNAttack(steps=spec.steps)


def _fmn(spec: AttackSpec) -> Any:
    kind = _L2FMN if spec.threat.norm == "l2" else _LinfFMN
    return kind(steps=spec.steps)


def _nearest(
    model: MeteredModel,
    x: Tensor,
    y: Tensor,
    spec: AttackSpec,
    start: Tensor | None,
    build: Callable[[AttackSpec], Any],
) -> Tensor:
    """Of an attack that looks for the nearest adversarial image from the image itself."""
    seen = NearestSeen(model, x, y, spec.threat.norm)
    _walk(build(spec), seen)
    seen.settle()
    return seen.inside(spec.threat.eps)


def _brendel_bethge(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    """Along the decision boundary, from noise and from another image, all steps from each.

    Neither start finds what the other does. foolbox's steps stay in a region whose radius grows with the size of the
    batch; here it is that of a single image.
    """
    if (error := brendel_bethge.NUMBA_IMPORT_ERROR) is not None:
        raise ValueError("brendel-bethge needs numba: pip install 'numba>=0.60'") from error
    images = x.clone()
    has, *starts = adversarial_starts(model, x, y, spec.threat.norm)
    if has.any():
        seen = NearestSeen(model, x[has], y[has], spec.threat.norm)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is compiled first
            attack = _KINDS[spec.threat.norm](steps=spec.steps, lr=_REGION / int(has.sum()))
        for begin in starts:
            _walk(attack, seen, begin[has])
        seen.settle()
        images[has] = seen.inside(spec.threat.eps)
    return images


def _hopskipjump(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    """From other images, by labels alone, until all queries are spent: foolbox knows steps, of ever more queries."""
    asked, images = NearestSeen(model, x, y, spec.threat.norm, max(0, spec.steps - len(BEYOND))), x.clone()
    size = max(1, _NOISE // (x[0].numel() * _DIRECTIONS))
    with contextlib.suppress(Spent):
        has, _, starts = adversarial_starts(asked, x, y, spec.threat.norm)
        for rows in torch.nonzero(has)[:, 0].split(size) if has.any() else ():
            seen = NearestSeen(model, x[rows], y[rows], spec.threat.norm, asked.queries)
            with contextlib.suppress(Spent):
                _walk(
                    foolbox.attacks.HopSkipJumpAttack(steps=spec.steps, constraint=spec.threat.norm), seen, starts[rows]
                )
            seen.settle()
            images[rows] = seen.inside(spec.threat.eps)
    return images


def _walk(attack: Any, seen: NearestSeen, starts: Tensor | None = None) -> None:
    """Run an attack that looks for the nearest adversarial image. What it returns is among what `seen` has seen."""
    target = foolbox.PyTorchModel(seen, bounds=(0, 1), device=seen.x.device)
    where = {} if starts is None else {"starting_points": ep.astensor(starts)}
    attack.run(target, seen.x, foolbox.criteria.Misclassification(seen.y), **where)


_KINDS = {"l2": brendel_bethge.L2BrendelBethgeAttack, "linf": brendel_bethge.LinfinityBrendelBethgeAttack}
_REGION = 1e-3  # radius of the first step's region, over the largest distance: foolbox's, for a batch of one image
_DIRECTIONS, _NOISE = 500, 1 << 26  # of one step of HopSkipJump: how many at most, and numbers that may be in memory

RUNNERS = {
    **{
        name: partial(_run, build=build)
        for name, build in {"fgsm": _fgsm, "bim": _bim, "mifgsm": _mifgsm, "pgd": _pgd, "noise": _noise}.items()
    },
    **{name: partial(_nearest, build=build) for name, build in {"ddn": _ddn, "fmn": _fmn}.items()},
    "brendel-bethge": _brendel_bethge,
    "hopskipjump": _hopskipjump,
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
