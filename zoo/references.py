"""What a user names on a command line: `package.module:object`."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path


def dotted(module: str) -> str:
    """`package/module.py`, as a shell completes it, as `package.module`."""
    return ".".join(part for part in Path(module.removesuffix(".py")).parts if part not in (".", "/"))


def imported(reference: str) -> object:
    """What `package.module:object` names; the current folder is importable, as with `python -m`.

    Raises ValueError where it cannot be imported.
    """
    module, _, attribute = reference.partition(":")
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append("")  # last: what the user's folder holds must not hide this package or those it needs
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever the user's file raises
        raise ValueError(f"cannot import {reference!r}: {type(error).__name__}: {error}") from error
    return found


def is_same_function(first: object, second: object) -> bool:
    """Whether two functions are the same by module and name: a notebook's cell that is run again defines it anew."""
    names = [(getattr(one, "__module__", None), getattr(one, "__qualname__", None)) for one in (first, second)]
    return first is second or (names[0] == names[1] and None not in names[0])
