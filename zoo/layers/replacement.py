"""Copies of a network with other layers in place of some of its own."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping

from torch import Tensor, nn


def copy_with(module: nn.Module, replaced: Mapping[nn.Module, nn.Module], shared: Collection[Tensor] = ()) -> nn.Module:
    """A deep copy with some layers replaced, and with the tensors `shared` as they are.

    BLiTZ keeps intermediate results in its layers: copied as constants.
    """
    results = [value for part in module.modules() for value in vars(part).values() if isinstance(value, Tensor)]
    # deepcopy takes what it finds in its memo
    memo: dict[int, object] = {id(value): value.detach().clone() for value in results if not value.is_leaf}
    memo |= {id(layer): layer_made for layer, layer_made in replaced.items()} | {id(value): value for value in shared}
    made: nn.Module = copy.deepcopy(module, memo)
    return made
