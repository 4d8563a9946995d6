"""What an attack is called."""

from __future__ import annotations

import functools
import inspect
import sys
from pathlib import Path
from typing import Any

from benchmark.attacks.identity import digest

_LONGEST = 40  # of a parameter in a name


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
