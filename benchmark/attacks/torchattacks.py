"""torchattacks: the loss is a mean over the batch, the start comes from torch's global generator."""

from __future__ import annotations

from typing import Any

import torch
import torchattacks
from torch import Tensor
from torch.overrides import TorchFunctionMode

from benchmark.attacks.metered import MeteredModel
from benchmark.attacks.spec import AttackSpec


def attack(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    """Adversarial images by `spec`; see `benchmark.attacks.craft.Adapter`."""
    eps, alpha, steps = spec.threat.eps, spec.step_size, spec.steps
    options: dict[str, Any] = {"eps": eps, "alpha": alpha, "steps": steps}
    norm = "L2" if spec.threat.norm == "l2" else "Linf"
    if spec.name == "fgsm":
        runner = torchattacks.FGSM(model, eps=eps)
    elif spec.name == "bim":
        runner = torchattacks.BIM(model, **options)
    elif spec.name == "pgd-linf":
        runner = torchattacks.PGD(model, **options, random_start=start is not None)
    elif spec.name == "pgd-l2":
        # The default 1e-10 stops the steps of a confident network, whose gradient is smaller than that.
        runner = torchattacks.PGDL2(model, **options, random_start=start is not None, eps_for_division=1e-30)
    elif spec.name.startswith("apgd"):
        loss = spec.name.split("-")[1]
        return _auto_pgd(torchattacks.APGD(model, norm=norm, eps=eps, steps=steps, loss=loss), x, y)
    elif spec.name.startswith("square"):
        return _square(torchattacks.Square(model, norm=norm, eps=eps, n_queries=steps), x, y)
    else:
        raise ValueError(f"torchattacks has no {spec.name}")
    if spec.goal == "confident":
        runner.set_mode_targeted_by_label(quiet=True)
    if start is None:
        images: Tensor = runner(x, y)
        return images
    with _GivenStart(spec, start) as given:
        images = runner(x, y)
    if given.pending:
        raise RuntimeError("torchattacks did not draw its random start as version 3.5 does; use a supported version")
    if spec.threat.norm == "l2" and spec.threat.eps == 0:  # where a gradient is zero, too, it projects by 0 / 0
        images = images.where(~images.isnan(), x)
    return images


def _auto_pgd(runner: torchattacks.APGD, x: Tensor, y: Tensor) -> Tensor:
    """By its one run: calling it would return the original wherever the attacker's own draws withstand."""
    best, stands, _, broken = runner.attack_single_run(x, y)
    images: Tensor = torch.where(stands.view(-1, 1, 1, 1).bool(), best, broken)
    return images


def _square(runner: torchattacks.Square, x: Tensor, y: Tensor) -> Tensor:
    """As for APGD: what came closest, where the attacker's own draws withstand."""
    runner.init_hyperparam(x)
    _, images = runner.attack_single_run(x, y)
    best: Tensor = images
    return best


class _GivenStart(TorchFunctionMode):
    """Answers the in-place draws that make up torchattacks' random start with the given one.

    linf: `uniform_(-eps, eps)`. l2: `normal_()` for the direction, then `uniform_(0, 1)` for the radius.
    """

    def __init__(self, spec: AttackSpec, start: Tensor) -> None:
        super().__init__()
        if spec.threat.norm == "linf":
            self.pending: list[tuple[Any, Tensor]] = [(Tensor.uniform_, spec.threat.eps * start)]
        else:
            radius = start.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            self.pending = [(Tensor.normal_, start), (Tensor.uniform_, radius)]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.pending and func is self.pending[0][0]:
            _, value = self.pending.pop(0)
            return args[0].copy_(value)
        return func(*args, **(kwargs or {}))
