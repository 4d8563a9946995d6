"""What a network keeps from one pass to the next, and what a pass does beside computing: said by name.

Nothing is decided here. What these see is what Python shows: a network that hides its memory in a file, in C or behind
another name is found by what it answers (`benchmark.evaluation.state`), not by where it keeps it.
"""

from __future__ import annotations

import hashlib
import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zoo.catalogue.state import noise_of
from zoo.seeding import isolated_random_state

Digests = dict[str, str]  # name -> digest of its value

_OF_TORCH = frozenset(vars(nn.Module()))  # parameters, buffers, hooks: what every module has
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_CODE = (type, ModuleType, FunctionType, MethodType, BuiltinFunctionType)
_DEEP, _MANY = 6, 10_000  # levels and items that are looked at
_OWN = ("zoo", "torch")  # packages whose modules keep nothing that an answer depends on but parameters and buffers


def weights_of(network: nn.Module) -> Digests:
    """Parameters and buffers, also those that are not saved, but for noise of the last pass."""
    noise = noise_of(network)
    values = (*network.named_parameters(), *network.named_buffers())
    return {name: _digest(value) for name, value in values if name not in noise}


def attributes_of(network: nn.Module) -> Digests:
    """What its modules hold beside parameters and buffers: attributes, those of their classes, and what the methods of
    the classes close over or name among the variables of their file, as far as it can be told apart.
    """
    found: Digests = {}
    for path, module in network.named_modules():
        of_module = f"{path}." if path else ""
        if not _is_own(type(module)):
            for name, value in vars(module).items():
                if name not in _OF_TORCH:
                    found[of_module + name] = _digest(value)
            for name, value in _shared(type(module)):
                found[name] = _digest(value)
            if (forward := vars(module).get("forward")) is not None:
                found.update({name: _digest(value) for name, value in _reached(forward, f"{of_module}forward")})
    return found


def differing(first: Digests, second: Digests) -> list[str]:
    """The names under which two networks, or one at two times, hold something else."""
    return [name for name in dict.fromkeys((*first, *second)) if first.get(name) != second.get(name)]


def _is_own(of: type) -> bool:
    return of.__module__.split(".")[0] in _OWN


def _shared(of: type) -> Iterator[tuple[str, Any]]:
    """What a class and those above it share between networks, by name."""
    for one in of.__mro__:
        if one is object or _is_own(one):
            continue
        for name, value in vars(one).items():
            function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            if isinstance(function, FunctionType):
                yield from _reached(function, f"{one.__name__}.{name}")
            elif not name.startswith("__") and not inspect.isroutine(value):
                yield f"{one.__name__}.{name}", value


def _reached(function: Any, called: str) -> Iterator[tuple[str, Any]]:
    """What a function closes over, and the variables of its file that it names and that can change."""
    function = inspect.unwrap(function.__func__ if isinstance(function, MethodType) else function)
    if not isinstance(function, FunctionType):
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name != "__class__":
            yield f"{name} of {called}", _contents(cell)
    for name in _names(function.__code__):
        value = function.__globals__.get(name)
        if isinstance(value, dict | list | set | bytearray | Tensor | np.ndarray | np.random.Generator | int | float):
            yield f"{name} of {function.__module__}", value


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing is in it yet
        return None


def _names(code: CodeType) -> set[str]:
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)


def _digest(value: Any) -> str:
    digest, left = hashlib.sha256(), [_MANY]
    _update(digest, value, _DEEP, left, set())
    return digest.hexdigest()


def _update(digest: Any, value: Any, depth: int, left: list[int], above: set[int]) -> None:
    """Take a value in; of what is too deep, too much or contains itself, the type alone."""
    digest.update(f"{type(value).__qualname__}:".encode())
    left[0] -= 1
    if isinstance(value, _PLAIN):
        digest.update(repr(value).encode())
        return
    if depth == 0 or left[0] < 0 or id(value) in above:
        return
    within = above | {id(value)}
    for part in _parts(value):
        if isinstance(part, bytes):
            digest.update(part)
        else:
            _update(digest, part, depth - 1, left, within)


def _parts(value: Any) -> Iterator[Any]:
    """What a value consists of; nothing for what cannot be told apart."""
    match value:
        case Tensor():
            content = value.detach().cpu().contiguous().reshape(-1)
            yield f"{tuple(value.shape)} {value.dtype}".encode()
            yield content.view(torch.uint8).numpy().tobytes()  # NumPy has no bfloat16
        case np.ndarray():
            yield f"{value.shape} {value.dtype}".encode()
            yield from value.tolist() if value.dtype.hasobject else (value.tobytes(),)
        case torch.Generator():
            yield value.get_state()
        case np.random.Generator():
            yield value.bit_generator.state
        case random.Random():
            yield value.getstate()
        case nn.Module():  # a module that is held as an attribute of something else
            yield from (*value.named_parameters(), *value.named_buffers())
        case Mapping():
            yield from (part for pair in value.items() for part in pair)
        case list() | tuple():
            yield from value
        case set() | frozenset():
            yield from sorted(_digest(one) for one in value)
        case _ if not isinstance(value, _CODE) and (inside := getattr(value, "__dict__", None)):
            yield dict(inside)


class Deeds:
    """What a pass does beside computing, by name.

    draws: the global generators that it takes numbers from. optimises: what it differentiates or steps.
    """

    def __init__(self) -> None:
        self.draws: list[str] = []
        self.optimises: list[str] = []


class _Watch(TorchFunctionMode):
    def __init__(self, deeds: Deeds) -> None:
        super().__init__()
        self.deeds = deeds

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if (name := getattr(func, "__name__", "")) in ("grad", "backward") and name not in self.deeds.optimises:
            self.deeds.optimises.append(name)
        return func(*args, **(kwargs or {}))


def deeds_of(passes: Callable[[], object]) -> Deeds:
    """What some passes of a network do: from which global generators they draw, and whether they optimise."""
    deeds = Deeds()
    generators: dict[str, Callable[[], Any]] = {
        "torch": lambda: torch.default_generator.get_state().numpy().tobytes(),
        "NumPy": lambda: _digest(np.random.get_state()),  # noqa: NPY002
        "Python": random.getstate,
    }
    with isolated_random_state(0), torch.no_grad():
        before = {name: state() for name, state in generators.items()}
        with _Watch(deeds):
            passes()
        deeds.draws = [name for name, state in generators.items() if state() != before[name]]
    return deeds
