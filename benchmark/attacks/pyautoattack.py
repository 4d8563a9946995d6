"""pyautoattack, where it is installed: AutoAttack's official code as a package, a referee of our APGD and Square.

It runs beside torchattacks' in suite `thorough`, on what that and everything else left: `pip install
'robustness-zoo[referee]'`.
"""

from __future__ import annotations

import torch
from pyautoattack.autoattack import AutoAttack
from torch import Tensor

from benchmark.attacks.metered import MeteredModel
from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import AttackSpec

_NAMES: dict[Norm, str] = {"linf": "Linf", "l2": "L2"}


def _apgd_ce(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    attack = _standard(model, x, spec).apgd
    attack.loss, attack.n_iter = "ce", spec.steps
    images: Tensor = attack.perturb(x, y)
    return images


def _square(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    attack = _standard(model, x, spec).square
    attack.n_queries = spec.steps
    images: Tensor = attack.perturb(x, y)
    return images


def _standard(model: MeteredModel, x: Tensor, spec: AttackSpec) -> AutoAttack:
    """The standard version, with the settings that it gives its parts. Its seed is drawn, as it seeds torch by it."""
    seed = int(torch.randint(2**31, ()))
    return AutoAttack(model, norm=_NAMES[spec.threat.norm], eps=spec.threat.eps, seed=seed, device=x.device)


RUNNERS = {"apgd-ce": _apgd_ce, "square": _square}
