"""torchattacks: the loss is a mean over the batch, the start comes from torch's global generator."""

from __future__ import annotations

import contextlib
import re
from functools import partial
from typing import Any

import torch
import torchattacks
from torch import Tensor
from torch.overrides import TorchFunctionMode

from benchmark.attacks.metered import MeteredModel
from benchmark.attacks.methods import Goal, Norm
from benchmark.attacks.own import Call, parameters_of, require_class, require_free
from benchmark.attacks.seen import NearestSeen
from benchmark.attacks.spec import AttackSpec


def _fgsm(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    images: Tensor = torchattacks.FGSM(model, eps=spec.threat.eps)(x, y)
    return images


def _bim(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    images: Tensor = torchattacks.BIM(model, eps=spec.threat.eps, alpha=spec.step_size, steps=spec.steps)(x, y)
    return images


def _pgd(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    options: dict[str, Any] = {"eps": spec.threat.eps, "alpha": spec.step_size, "steps": spec.steps}
    options["random_start"] = start is not None
    if spec.threat.norm == "l2":
        # The default 1e-10 stops the steps of a confident network, whose gradient is smaller than that.
        runner = torchattacks.PGDL2(model, **options, eps_for_division=1e-30)
    else:
        runner = torchattacks.PGD(model, **options)
    if spec.goal is Goal.CONFIDENT:
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


def _mifgsm(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    if spec.threat.norm != "linf":
        raise ValueError(f"torchattacks has no {spec.name}; foolbox and art have")
    options: dict[str, Any] = {"eps": spec.threat.eps, "alpha": spec.step_size, "steps": spec.steps}
    with _UnitMean():
        images: Tensor = torchattacks.MIFGSM(model, **options, decay=spec.decay)(x, y)
    return images


def _apgd(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None, loss: str) -> Tensor:
    """A single run: a call of the attack would return the original where an image survives the attacker's draws."""
    best, survives, _, broken = torchattacks.APGD(model, **_of_apgd(spec), loss=loss).attack_single_run(x, y)
    images: Tensor = torch.where(survives.view(-1, 1, 1, 1).bool(), best, broken)
    return images


def _apgd_t(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    """A run towards each of the likeliest wrong labels, of images that no former one broke.

    The loop is APGD's: in torchattacks' APGDT all images take the step size of the first one, in l2.
    """
    targets = _wrong_labels(model, x, y)
    images, left = x.clone(), torch.arange(len(x), device=x.device)
    closest = x.new_full((len(x),), -torch.inf)
    for target in targets:
        run = _TargetedAPGD(model, target[left], spec)
        best, survives, loss, broken = run.attack_single_run(x[left], y[left])
        survives = survives.bool()
        images[left[~survives]] = broken[~survives]
        closer = survives & (loss > closest[left])
        images[left[closer]], closest[left[closer]] = best[closer], loss[closer]
        left = left[survives]
        if not len(left):
            break
    return images


def _pma(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    """APGD on the margin of probabilities: the largest other one less the label's."""
    best, survives, _, broken = _ProbabilityMarginAPGD(model, **_of_apgd(spec), loss="dlr").attack_single_run(x, y)
    images: Tensor = torch.where(survives.view(-1, 1, 1, 1).bool(), best, broken)
    return images


def _fab_t(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    """A run towards each of the likeliest wrong labels, of images of which no former one came within eps.

    Where an image survives, what came closest, brought into the ball.
    """
    images, ranks = x.clone(), range(2, len(_wrong_labels(model, x, y)) + 2)
    with torch.no_grad():
        left = torch.nonzero(model(x).argmax(1) == y)[:, 0]
    nearest = x.new_full((len(x),), torch.inf, dtype=torch.float64)
    for rank in ranks:  # 2 is the likeliest one after the label
        seen = NearestSeen(model, x[left], y[left], spec.threat.norm)
        run = torchattacks.FAB(
            seen, norm=_NORMS[spec.threat.norm], eps=spec.threat.eps, steps=spec.steps, multi_targeted=True
        )
        run.target_class = rank
        run.attack_single_run_targeted(x[left], y[left])
        nearer = seen.distance < nearest[left]
        images[left[nearer]] = seen.inside(spec.threat.eps)[nearer]
        nearest[left[nearer]] = seen.distance[nearer]
        left = left[nearest[left] > spec.threat.eps]
        if not len(left):
            break
    return images


@torch.no_grad()
def _wrong_labels(model: MeteredModel, x: Tensor, y: Tensor) -> Tensor:
    """(T, B): at most nine wrong labels of each image, the likeliest first, as in AutoAttack."""
    output = model(x)
    others: Tensor = output.scatter(1, y[:, None], -torch.inf).argsort(1, descending=True)
    return others[:, : min(_TARGETS, output.shape[1] - 1)].T


def _of_apgd(spec: AttackSpec) -> dict[str, Any]:
    return {"norm": _NORMS[spec.threat.norm], "eps": spec.threat.eps, "steps": spec.steps}


class _TargetedAPGD(torchattacks.APGD):
    """APGD on the targeted difference of logits ratio. targets: (B,), a wrong label of each image."""

    def __init__(self, model: MeteredModel, targets: Tensor, spec: AttackSpec) -> None:
        super().__init__(model, **_of_apgd(spec), loss="dlr")
        self._of_targets = targets[:, None]

    def dlr_loss(self, x: Tensor, y: Tensor) -> Tensor:
        ordered = x.sort(1).values
        margin = (x.gather(1, self._of_targets) - x.gather(1, y[:, None]))[:, 0]
        ratio: Tensor = margin / (ordered[:, -1] - 0.5 * ordered[:, -3] - 0.5 * ordered[:, -4] + 1e-12)
        return ratio


class _ProbabilityMarginAPGD(torchattacks.APGD):
    """APGD on the margin of probabilities (PMA, arXiv 2411.15210). The outputs are logarithms of probabilities."""

    def dlr_loss(self, x: Tensor, y: Tensor) -> Tensor:
        # The label's probability is one less all others: where the network is certain, a difference from one would keep
        # nothing of the gradient. A constant that is left out moves nothing.
        others = x.scatter(1, y[:, None], -torch.inf).exp()
        return others.amax(1) + others.sum(1)


def _square(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    """A single run, as for APGD: where an image survives, the version that came closest."""
    runner = torchattacks.Square(model, norm=_NORMS[spec.threat.norm], eps=spec.threat.eps, n_queries=spec.steps)
    runner.init_hyperparam(x)
    with contextlib.nullcontext() if _is_tiled(*x.shape[-2:]) else _CutTiles():
        _, images = runner.attack_single_run(x, y)
    best: Tensor = images
    return best


def _is_tiled(height: int, width: int) -> bool:
    """Whether the tiles that Square-l2 starts from lie inside the image: of 28 pixels yes, of 14 or 24 no."""
    side = height // 5
    first = (height - 5 * side) // 2
    return all(first + length // side * side <= length for length in (height, width))


def wrapped(attack: Any) -> tuple[Call, tuple[Norm, ...]]:
    """A class of torchattacks, or a partial of one, as an own attack, and the norms that it says it attacks in.

    Raises ValueError for an instance, which has its model already, and for an attack in another norm alone.
    """
    kind = require_class(attack)
    require_free(attack, "eps", "norm")
    if "norm" in parameters_of(attack):
        return partial(_own, attack), tuple(_NORMS)
    said = re.findall(r"Distance Measure : (.*)", kind.__doc__ or "")
    return partial(_own, attack), tuple(norm for norm, name in _NORMS.items() if said and name in said[0])


def _own(
    attack: Any, model: MeteredModel, x: Tensor, y: Tensor, *, norm: Norm, eps: float, generator: torch.Generator
) -> Tensor:
    with torch.no_grad():
        classes = model.prediction(x[:1]).shape[1]
    said = {"eps": eps, "norm": _NORMS[norm], "n_classes": classes}
    images: Tensor = attack(model, **{k: v for k, v in said.items() if k in parameters_of(attack)})(x, y)
    return images


_NORMS: dict[Norm, str] = {"linf": "Linf", "l2": "L2"}
_TARGETS = 9  # of AutoAttack
RUNNERS = {
    "fgsm": _fgsm,
    "bim": _bim,
    "mifgsm": _mifgsm,
    "pgd": _pgd,
    "apgd-ce": partial(_apgd, loss="ce"),
    "apgd-dlr": partial(_apgd, loss="dlr"),
    "apgd-t": _apgd_t,
    "pma": _pma,
    "fab-t": _fab_t,
    "square": _square,
}


class _CutTiles(TorchFunctionMode):
    """Cuts off what of a tile lies beyond the edge of the image, where torchattacks adds it to what lies inside."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.add_ and args[0].ndim == 4:
            inside, tile = args
            args = (inside, tile[..., : inside.shape[-2], : inside.shape[-1]])
        return func(*args, **(kwargs or {}))


class _UnitMean(TorchFunctionMode):
    """Answers the mean |component| that torchattacks divides gradients by: it is 1, and for a gradient of zero, too."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        return torch.ones_like(found) if func is torch.mean else found


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
