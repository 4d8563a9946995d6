"""ART (adversarial-robustness-toolbox): NumPy in, NumPy out, clips before it projects.

Of ART 1.20.1 neither AutoProjectedGradientDescent nor SquareAttack is run. The first returns its last image, not one
that it broke on the way, compares a step's size with itself where it should with that of the checkpoint before, and
stops a whole batch where all losses round to zero: aligned, nothing of its loop would be left. The second breaks about
what torchattacks' breaks on a linear network, but predicts three times a query.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import BasicIterativeMethod, FastGradientMethod
from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch import (
    ProjectedGradientDescentPyTorch,
)
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from benchmark.attacks.metered import MeteredModel
from benchmark.attacks.methods import Goal, Norm
from benchmark.attacks.own import Call, parameters_of, require_class, require_free
from benchmark.attacks.spec import AttackSpec


class _PGD(ProjectedGradientDescentPyTorch):
    def __init__(self, classifier: PyTorchClassifier, start: Tensor | None, **options: Any) -> None:
        super().__init__(classifier, num_random_init=0 if start is None else 1, **options)
        self._start = start

    def _compute_pytorch(
        self, x: Tensor, x_init: Tensor, y: Any, mask: Any, eps: Any, eps_step: Any, random_init: bool, momentum: Any
    ) -> Tensor:
        if random_init:  # the first step: the given start in place of one from NumPy's global state
            x = (x_init + eps * self._start).clamp(0, 1)
        moved: Tensor = super()._compute_pytorch(x, x_init, y, mask, eps, eps_step, False, momentum)
        return moved


def _fgsm(classifier: PyTorchClassifier, spec: AttackSpec, start: Tensor | None, batch_size: int) -> EvasionAttack:
    eps, step = float(spec.threat.eps), spec.step_size
    return FastGradientMethod(classifier, norm=np.inf, eps=eps, eps_step=step, batch_size=batch_size)


def _bim(classifier: PyTorchClassifier, spec: AttackSpec, start: Tensor | None, batch_size: int) -> EvasionAttack:
    return BasicIterativeMethod(classifier, **_options(spec, batch_size))


def _pgd(classifier: PyTorchClassifier, spec: AttackSpec, start: Tensor | None, batch_size: int) -> EvasionAttack:
    norm = 2 if spec.threat.norm == "l2" else math.inf
    targeted = spec.goal is Goal.CONFIDENT
    decay = spec.decay or None  # without it the gradients themselves are followed
    return _PGD(classifier, start, norm=norm, targeted=targeted, decay=decay, **_options(spec, batch_size))


def _options(spec: AttackSpec, batch_size: int) -> dict[str, Any]:
    steps: dict[str, Any] = {"eps_step": float(spec.step_size), "max_iter": spec.steps, "verbose": False}
    return {"eps": float(spec.threat.eps), "batch_size": batch_size, **steps}


def _run(
    model: MeteredModel,
    x: Tensor,
    y: Tensor,
    spec: AttackSpec,
    start: Tensor | None,
    build: Callable[[PyTorchClassifier, AttackSpec, Tensor | None, int], EvasionAttack],
) -> Tensor:
    def attack(classifier: PyTorchClassifier) -> EvasionAttack:
        return build(classifier, spec, start, len(x))  # one batch, so that the start fits the examples

    return _generated(attack, model, x, y)


def _generated(
    attack: Callable[[PyTorchClassifier], EvasionAttack], model: MeteredModel, x: Tensor, y: Tensor
) -> Tensor:
    """The images of an attack that is made for ART's classifier."""
    with torch.no_grad():
        outputs = model.prediction(x[:1]).shape[1]  # one more than classes for the target mean-loss
    with torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext():  # by "gpu" ART means the current one
        classifier = PyTorchClassifier(
            model=model,
            loss=nn.CrossEntropyLoss(reduction="sum"),
            input_shape=tuple(x.shape[1:]),
            nb_classes=outputs,
            clip_values=(0.0, 1.0),
            device_type="cpu" if x.device.type == "cpu" else "gpu",
        )
        # Without y ART would attack the model's own predictions.
        images = attack(classifier).generate(x.cpu().numpy(), y=y.cpu().numpy())
    return torch.from_numpy(images)


def wrapped(attack: Any) -> tuple[Call, tuple[Norm, ...]]:
    """A class of ART, or a partial of one, as an own attack; in both norms, if it takes one.

    One that looks for the nearest adversarial image takes no eps; its images count where they are near enough.
    Raises ValueError for an instance, which has its model already.
    """
    require_class(attack)
    require_free(attack, "eps", "norm")
    return partial(_own, attack), ("linf", "l2") if "norm" in parameters_of(attack) else ()


def _own(attack: Any, model: MeteredModel, x: Tensor, y: Tensor, *, norm: Norm, eps: float, generator: Any) -> Tensor:
    said = {"eps": eps, "norm": 2 if norm == "l2" else np.inf, "verbose": False}
    bound = attack.keywords if isinstance(attack, partial) else {}
    options = {k: v for k, v in said.items() if k in parameters_of(attack) and k not in bound}
    return _generated(lambda classifier: attack(classifier, **options), model, x, y)


RUNNERS = {
    name: partial(_run, build=build)
    for name, build in {"fgsm": _fgsm, "bim": _bim, "mifgsm": _pgd, "pgd": _pgd}.items()
}
