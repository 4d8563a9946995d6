"""Whether networks differ in nothing but the values of their weights, told without running them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

_REGISTERED = ("_parameters", "_buffers", "_modules")  # compared by name, shape and kind
_COMPARABLE = (bool, int, float, complex, str, bytes, set, frozenset, torch.dtype, torch.device)


def is_one_architecture(networks: Sequence[nn.Module]) -> bool:
    """Whether the networks are certain to differ in nothing but the values of their parameters and buffers.

    Attributes that cannot be compared, such as objects of a class of one's own, are taken to differ unless they are the
    same object: a network that holds its own is looped.
    """
    first, *others = networks
    return all(_same_weights(first, other) and _same_layers(first, other) for other in others)


def values_of(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name; what has several names by the first."""
    return {name: value.detach() for name, value in (*network.named_parameters(), *network.named_buffers())}


def differs(every: Sequence[Mapping[str, Tensor]], name: str) -> bool:
    """Whether the value of that name is not the same in all."""
    first, *others = (values[name] for values in every)
    return any(other.data_ptr() != first.data_ptr() and not torch.equal(other, first) for other in others)


def _same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Names, which of them are of the same tensor, shapes and kinds."""
    return _described(one) == _described(other)


def _described(network: nn.Module) -> list[tuple[object, ...]]:
    first: dict[int, int] = {}
    named = (*network.named_parameters(remove_duplicate=False), *network.named_buffers(remove_duplicate=False))
    return [(name, first.setdefault(id(v), len(first)), type(v), v.shape, v.dtype, v.device) for name, v in named]


def _same_layers(one: nn.Module, other: nn.Module) -> bool:
    """Names, classes and attributes, and which names are of the same layer."""
    mine, yours = list(one.named_modules(remove_duplicate=False)), list(other.named_modules(remove_duplicate=False))
    if [name for name, _ in mine] != [name for name, _ in yours]:
        return False
    pairs = {(id(a), id(b)) for (_, a), (_, b) in zip(mine, yours, strict=True)}
    if not len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}):
        return False
    return all(type(a) is type(b) and _alike(_own(a), _own(b)) for (_, a), (_, b) in zip(mine, yours, strict=True))


def _own(layer: nn.Module) -> dict[str, object]:
    return {name: value for name, value in vars(layer).items() if name not in _REGISTERED}


def _alike(one: object, other: object) -> bool:
    if one is other:
        return True
    match one, other:
        case Tensor(), Tensor():
            return one.dtype == other.dtype and one.device == other.device and torch.equal(one, other)
        case dict(), dict():
            return list(one) == list(other) and all(_alike(value, other[key]) for key, value in one.items())
        case list() | tuple(), list() | tuple():
            return type(one) is type(other) and len(one) == len(other) and all(map(_alike, one, other))
        case functools.partial(), functools.partial():
            return _alike((one.func, one.args, one.keywords), (other.func, other.args, other.keywords))
    return type(one) is type(other) and isinstance(one, _COMPARABLE) and one == other
