"""Copies of a network with other layers or tensors in place of some of its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor, nn

Part = TypeVar("Part", bound=nn.Module | Tensor)


def copy_with(module: nn.Module, replaced: Mapping[Part, Part]) -> nn.Module:
    """A deep copy with some layers or tensors replaced; those that are replaced by themselves are shared.

    BLiTZ keeps intermediate results in its layers: copied as constants.
    """
    results = [value for part in module.modules() for value in vars(part).values() if isinstance(value, Tensor)]
    # deepcopy takes what it finds in its memo
    memo: dict[int, object] = {id(value): value.detach().clone() for value in results if not value.is_leaf}
    made: nn.Module = copy.deepcopy(module, memo | {id(part): part_made for part, part_made in replaced.items()})
    return made
