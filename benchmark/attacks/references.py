"""What an attack is called, and what a reference to one means."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any

from benchmark.attacks.identity import digest

_LONGEST = 40  # of a parameter in a name


def imported(reference: str) -> object:
    """What `package.module:name` or `folder/file.py:name` names; the current folder is importable.

    Raises ValueError where there is nothing of that name, with what importing it raised.
    """
    module, _, attribute = reference.rpartition(":")
    if not module or not attribute:
        raise ValueError(f"{reference!r} is not of the form package.module:function or file.py:function")
    path = Path(module).resolve() if module.endswith(".py") else None
    if path is not None and not path.is_file():
        raise ValueError(f"cannot import {reference!r}: there is no file {path}")
    folder = os.getcwd() if path is None else str(path.parent)
    if folder not in sys.path:
        sys.path.append(folder)  # last: what is there must not hide this package or those it needs
    try:
        loaded = importlib.import_module(module if path is None else path.stem)
        if path is not None and Path(loaded.__file__ or "").resolve() != path:
            raise ImportError(f"another module is called {path.stem}, {loaded.__file__}: rename the file")
        found: object = attrgetter(attribute)(loaded)
    except Exception as error:  # whatever the user's file raises
        raise ValueError(f"cannot import {reference!r}: {type(error).__name__}: {error}") from error
    return found


def unbound(thing: Any) -> Any:
    """What a partial is of; anything else is itself."""
    return unbound(thing.func) if isinstance(thing, functools.partial) else thing


def name_of(thing: Any, library: str) -> str:
    """`module:qualname(parameter=value)`; of a library's own attack `library:qualname`."""
    of = unbound(thing)
    named = of if isinstance(of, type) or inspect.isroutine(of) else type(of)
    name = plain_name(named)
    if name.partition(".")[0] == library:
        name = f"{library}:{named.__qualname__}"
    bound = _bound(thing) if of is named else _settings(of, library)
    return f"{name}({', '.join(bound)})" if bound else name


def _bound(thing: Any) -> list[str]:
    """What partials bind."""
    if not isinstance(thing, functools.partial):
        return []
    keywords = [f"{name}={_shown(value)}" for name, value in thing.keywords.items()]
    return [*_bound(thing.func), *map(_shown, thing.args), *keywords]


def _settings(instance: Any, library: str) -> list[str]:
    """What an instance holds; of a library's what it has otherwise than one that is made without arguments."""
    try:
        usual = {} if library == "own" else vars(type(instance)())
    except TypeError:  # it cannot be made so
        usual = {}
    held = {name: _shown(value) for name, value in vars(instance).items() if name != "norms"}
    changed = {name: text for name, text in held.items() if name not in usual or _shown(usual[name]) != text}
    return [f"{name.strip('_')}={text}" for name, text in changed.items()]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST and " at 0x" not in text else f"{type(value).__name__} {digest(value)[:8]}"


def plain_name(thing: Any) -> str:
    """`module:qualname`, with the script's name for a module that is `__main__`, here or in another process."""
    module = thing.__module__ or "__main__"
    file = Path(getattr(sys.modules.get(module), "__file__", None) or "")
    is_script = module in ("__main__", "__mp_main__") and file.is_file()
    return f"{file.stem if is_script else module}:{thing.__qualname__}"
