"""A recipe with other settings than its own, given as words on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from types import NoneType
from typing import Literal, get_args, get_origin, get_type_hints

from zoo.catalogue.recipes import Recipe


def with_settings(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """The recipe with settings such as `draws=2`, `flips=true` or `start_from=none` in place of its own.

    Raises ValueError for a setting that is not one of a recipe's numbers, words and switches.
    """
    values: dict[str, object] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        kinds = _SETTABLE.get(name)
        if kinds is None:
            raise ValueError(f"no setting {name!r}; there are: {', '.join(_SETTABLE)}")
        for kind in kinds:
            try:
                values[name] = _READ[kind](text)
                break
            except (KeyError, ValueError):
                continue
        else:
            raise ValueError(f"{name} is {' or '.join(_WORDS[kind] for kind in kinds)}, not {text!r}")
    return replace(recipe, **values)  # type: ignore[arg-type]


_READ: dict[type, Callable[[str], object]] = {
    bool: lambda text: {"true": True, "false": False}[text],
    NoneType: lambda text: {"none": None}[text],
    int: int,
    float: float,
    str: str,
}
_WORDS = {bool: "true or false", NoneType: "none", int: "a whole number", float: "a number", str: "a word"}
# None is tried first: a word would take its name for one of its own
_SETTABLE = {
    name: tuple(sorted(kinds, key=lambda kind: kind is not NoneType))
    for name, hint in get_type_hints(Recipe).items()
    if (kinds := {str} if get_origin(hint) is Literal else set(get_args(hint) or (hint,))) <= set(_READ)
}
