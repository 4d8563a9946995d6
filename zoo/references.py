"""What a user names on a command line: `package.module:object`, or `file.py:object`."""

from __future__ import annotations

import importlib
import os
import sys
from operator import attrgetter
from pathlib import Path


def dotted(module: str) -> str:
    """`package/module.py`, as a shell completes it, as `package.module`."""
    return ".".join(part for part in Path(module.removesuffix(".py")).parts if part not in (".", "/"))


def imported(reference: str) -> object:
    """What `package.module:name` or `folder/file.py:name` names; the current folder is importable, as with `python -m`.

    Raises ValueError where there is nothing of that name, with what importing it raised.
    """
    module, _, attribute = reference.rpartition(":")
    if not module or not attribute:
        raise ValueError(f"{reference!r} is not of the form package.module:function or file.py:function")
    path = Path(module).resolve() if module.endswith(".py") else None
    if path is not None and not path.is_file():
        raise ValueError(f"cannot import {reference!r}: there is no file {path}")
    folders = {"", os.getcwd()} if path is None else {str(path.parent)}
    if not folders & set(sys.path):
        sys.path.append(min(folders))  # last: what is there must not hide this package or those it needs
    try:
        loaded = importlib.import_module(module if path is None else path.stem)
        if path is not None and Path(loaded.__file__ or "").resolve() != path:
            raise ImportError(f"another module is called {path.stem}, {loaded.__file__}: rename the file")
        found: object = attrgetter(attribute)(loaded)
    except Exception as error:  # whatever the user's file raises
        raise ValueError(f"cannot import {reference!r}: {type(error).__name__}: {error}") from error
    return found


def is_same_function(first: object, second: object) -> bool:
    """Whether two functions are the same by module and name: a notebook's cell that is run again defines it anew."""
    names = [(getattr(one, "__module__", None), getattr(one, "__qualname__", None)) for one in (first, second)]
    return first is second or (names[0] == names[1] and None not in names[0])
