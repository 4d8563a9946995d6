"""adv-lib, where it is installed: an attack is a function (model, inputs, labels, ...), the radius its ε or eps."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch

from benchmark.attacks.metered import MeteredModel
from benchmark.attacks.methods import Norm
from benchmark.attacks.own import Call, parameters_of, require_free
from benchmark.attacks.references import unbound

_ORDERS: dict[Norm, float] = {"linf": math.inf, "l2": 2}


def wrapped(attack: Any) -> tuple[Call, tuple[Norm, ...]]:
    """A function of adv-lib, or a partial of one, as an own attack, and the norms that its name or signature says.

    One that looks for the nearest adversarial image takes no radius; its images count where they are near enough.
    """
    require_free(attack, "ε", "eps", "norm")
    if "norm" in parameters_of(attack):
        norms = tuple(_ORDERS)
    else:
        norms = tuple(norm for norm in _ORDERS if unbound(attack).__name__.endswith(f"_{norm}"))
    return functools.partial(_run, attack), norms


def _run(
    attack: Any,
    model: MeteredModel,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    norm: Norm,
    eps: float,
    generator: torch.Generator,
) -> torch.Tensor:
    said = {"ε": eps, "eps": eps, "norm": _ORDERS[norm]}
    images: torch.Tensor = attack(model, x, y, **{k: v for k, v in said.items() if k in parameters_of(attack)})
    return images
