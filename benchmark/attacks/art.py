"""ART (adversarial-robustness-toolbox): NumPy in, NumPy out, clips before it projects."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
import torch
from art.attacks.evasion import BasicIterativeMethod, FastGradientMethod
from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch import (
    ProjectedGradientDescentPyTorch,
)
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from benchmark.attacks.metered import MeteredModel
from benchmark.attacks.spec import AttackSpec


def attack(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    """Adversarial images by `spec`; see `benchmark.attacks.craft.Adapter`."""
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
        eps, batch_size = float(spec.threat.eps), len(x)  # one batch, so that the start fits the examples
        options: dict[str, Any] = {"eps_step": float(spec.step_size), "max_iter": spec.steps, "verbose": False}
        if spec.name == "fgsm":
            runner = FastGradientMethod(
                classifier, norm=np.inf, eps=eps, eps_step=spec.step_size, batch_size=batch_size
            )
        elif spec.name == "bim":
            runner = BasicIterativeMethod(classifier, eps=eps, batch_size=batch_size, **options)
        elif spec.name in ("pgd-linf", "pgd-l2"):
            norm = math.inf if spec.threat.norm == "linf" else 2
            targeted = spec.goal == "confident"
            runner = _PGD(classifier, start, norm=norm, eps=eps, batch_size=batch_size, targeted=targeted, **options)
        else:
            raise ValueError(f"the adapter of art has no {spec.name}")
        # Without y ART would attack the model's own predictions.
        images = runner.generate(x.cpu().numpy(), y=y.cpu().numpy())
    return torch.from_numpy(images)


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
