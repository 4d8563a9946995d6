"""What identifies a user's own attack: its code, its parameters, the versions of libraries that it is of. No torch.

Code is known by the file that defines it, or where there is none, as in a notebook, by its instructions and the globals
that they name; what that file imports is not seen, but for installed packages, which are known by their version.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def digest(thing: object) -> str:
    """sha256 of the code and the parameters of a function, class, partial or instance."""
    return hashlib.sha256("\n".join(_parts(thing, {})).encode()).hexdigest()


def _parts(thing: Any, seen: dict[int, object]) -> Iterator[str]:
    """Words that differ where two attacks may differ. seen: what holds itself is described once."""
    if isinstance(thing, _PLAIN):
        yield repr(thing)
        return
    if id(thing) in seen:
        return
    seen[id(thing)] = thing  # kept, so that no other object has its number
    if isinstance(thing, ModuleType):
        yield thing.__name__
    elif isinstance(thing, functools.partial):
        yield from _of_all([thing.func, *thing.args, dict(thing.keywords)], seen)
    elif isinstance(thing, MethodType):
        yield from _of_all([thing.__func__, thing.__self__], seen)
    elif isinstance(thing, type | FunctionType | BuiltinFunctionType):
        yield thing.__qualname__
        yield from _code(thing, seen)
    elif isinstance(thing, Mapping):
        yield from _of_all([item for pair in thing.items() for item in pair], seen)
    elif isinstance(thing, list | tuple):
        yield from _of_all(thing, seen)
    elif isinstance(thing, set | frozenset):
        yield from sorted("\n".join(_parts(item, dict(seen))) for item in thing)
    elif hasattr(thing, "dtype") and hasattr(thing, "shape"):
        yield from _of_array(thing)
    elif not hasattr(thing, "__dict__"):
        yield f"{type(thing).__qualname__} {repr(thing).partition(' at 0x')[0]}"
    else:
        yield from _of_all([type(thing), getattr(thing, "__dict__", {})], seen)


def _of_all(things: Any, seen: dict[int, object]) -> Iterator[str]:
    yield f"{len(things)}:"
    for thing in things:
        yield from _parts(thing, seen)


def _of_array(thing: Any) -> Iterator[str]:
    """A tensor or array by its numbers."""
    yield f"{thing.dtype} {tuple(thing.shape)}"
    numbers = thing.detach().cpu().double().numpy() if hasattr(thing, "detach") else thing
    yield hashlib.sha256(numbers.tobytes()).hexdigest()


def _code(thing: Any, seen: dict[int, object]) -> Iterator[str]:
    file = _file(thing)
    if file is not None and {"site-packages", "dist-packages"} & set(file.parts):
        yield f"{thing.__module__} {_version(thing.__module__.partition('.')[0])}"
    elif file is not None and thing.__name__ != "<lambda>":  # of which a file may hold several
        yield hashlib.sha256(file.read_bytes()).hexdigest()
    elif isinstance(thing, type):
        yield from _of_all([value for value in vars(thing).values() if isinstance(value, FunctionType)], seen)
    elif isinstance(thing, FunctionType):
        yield from _instructions(thing.__code__, seen)
        used = {name: thing.__globals__[name] for name in thing.__code__.co_names if name in thing.__globals__}
        yield from _parts(used, seen)
    if isinstance(thing, FunctionType):  # what it was made with, if another function made it
        cells = [cell.cell_contents for cell in thing.__closure__ or ()]
        yield from _of_all([cells, thing.__defaults__, thing.__kwdefaults__], seen)


def _file(thing: Any) -> Path | None:
    """The file that defines it; None for what was typed in, or is a part of Python."""
    if isinstance(thing, FunctionType):
        path = Path(thing.__code__.co_filename)
    else:
        path = Path(getattr(sys.modules.get(thing.__module__), "__file__", None) or "")
    return path if path.is_file() else None


def _instructions(code: CodeType, seen: dict[int, object]) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames}"
    for constant in code.co_consts:
        yield from _instructions(constant, seen) if isinstance(constant, CodeType) else _parts(constant, seen)


@functools.cache
def _version(package: str) -> str:
    names = importlib.metadata.packages_distributions().get(package, [package])
    try:
        return importlib.metadata.version(names[0])
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
