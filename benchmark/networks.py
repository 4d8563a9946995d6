"""What a user evaluates, as entries: networks in memory, functions that build one, names, or several of these."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from zoo import ZooEntry, models
from zoo.catalogue.registry import entry_of, find_entry, require_registration, source_of
from zoo.datasets import dataset_spec
from zoo.kind import Said
from zoo.posteriors.adapters import is_network, sampled


class Settings(NamedTuple):
    """What is said of networks that are not registered.

    dataset: whose images they are for. name: of the entry, by default of the network's class. template: the network
    whose weights are samples. fields: further ones of a `ZooEntry`.
    """

    dataset: str | None = None
    name: str | None = None
    template: nn.Module | None = None
    said: Said = Said()
    fields: Mapping[str, Any] = {}


def entries_of(model: Any, settings: Settings) -> list[ZooEntry]:
    """The entries of what `evaluate` is given.

    A dict gives several networks their names. A list is several networks, too, unless all in it are `nn.Module`s, which
    are one ensemble, or, with a template, state dicts.
    Raises ValueError or KeyError, with the remedy, for what is no network.
    """
    if settings.template is not None:
        return [_entry(Copies(model, settings.template), type(settings.template).__name__, settings, set())]
    if isinstance(model, Mapping):
        named = [(settings._replace(name=str(name)), one) for name, one in model.items()]
    elif isinstance(model, list | tuple) and not all(isinstance(one, nn.Module) for one in model):
        named = [(settings, one) for one in model]
    else:
        return [_entry_of(model, settings, set(), alone=True)]
    entries: list[ZooEntry] = []
    for own, one in named:
        entries.append(_entry_of(one, own, {entry.name for entry in entries}))
    return entries


class Copies:
    """A factory that hands out copies of what is in memory: that is frozen, moved and changed, the user's own is not.

    template: where `given` is samples of its weights.
    """

    def __init__(self, given: Any, template: nn.Module | None = None) -> None:
        self.given, self.template = copied((given, template))  # as they are now: the user may go on training

    def __call__(self) -> Any:
        given, template = copied((self.given, self.template))
        return given if template is None else sampled(template, given)


def _uncompiled(given: Any) -> Any:
    """The network that `torch.compile` was given, in what it made of it: hooks and draws go through its layers."""
    if type(given) in (list, tuple):
        return [_uncompiled(one) for one in given]
    return getattr(given, "_orig_mod", given)


def copied(given: Any) -> Any:
    """A deep copy. What networks keep from their last pass is no parameter, and is copied as a constant."""
    values = [value for part in _parts(given) for value in vars(part).values()]
    values += [inner for value in values if isinstance(value, dict) for inner in value.values()]
    kept = [value for value in values if isinstance(value, Tensor) and not value.is_leaf]
    memo: dict[int, object] = {id(value): value.detach().clone() for value in kept}
    return copy.deepcopy(given, memo)  # which takes what it finds in its memo


def _parts(given: Any) -> list[Any]:
    """The networks in what is given, and the object that holds them."""
    if isinstance(given, nn.Module):
        return list(given.modules())
    if isinstance(given, list | tuple):
        return [part for one in given for part in _parts(one)]
    inside = vars(given).values() if hasattr(given, "__dict__") else ()
    return [given, *(part for one in inside if isinstance(one, nn.Module) for part in _parts(one))] if inside else []


def _entry_of(model: Any, settings: Settings, taken: set[str], alone: bool = False) -> ZooEntry:
    """The entry of one network. taken: names of others. alone: whether all that is said is said of it."""
    model = _uncompiled(model)
    registered = model if isinstance(model, ZooEntry) else None
    if isinstance(model, str):
        registered = find_entry(model, settings.dataset, settings.said)
    registered = registered or next((entry for entry in models.values() if entry.factory is model), None)
    if registered is not None:
        if alone:
            require_registration(registered, settings.said)
            further = {"name": settings.name, **settings.fields}
            if given := [f"{field}={value!r}" for field, value in further.items() if value is not None]:
                raise ValueError(
                    f"{registered.name} is registered, with all that it says: leave out {', '.join(given)}"
                )
        return registered
    if is_network(model):
        return _entry(Copies(model), _kind(model), settings, taken)
    if not callable(model):
        hint = "; of state dicts name the network: template=" if isinstance(model, Mapping) else ""
        said = repr(model) if len(repr(model)) < 40 else f"{type(model).__name__} ..."
        raise ValueError(f"{said} is no network, no function that builds one, no name and no entry{hint}")
    _require_no_arguments(model)
    return _entry(model, getattr(model, "__name__", "network"), settings, taken)


def _kind(model: Any) -> str:
    """What a network is called that nobody names. Raises ValueError for an empty list."""
    if not isinstance(model, list | tuple):
        return type(getattr(model, "module", model)).__name__  # of a posterior, that of its network
    if not model:
        raise ValueError("an ensemble has at least one network: the list is empty")
    return type(model[0]).__name__ + ("-ensemble" if len(model) > 1 else "")


def _entry(factory: Callable[[], Any], kind: str, settings: Settings, taken: set[str]) -> ZooEntry:
    """An entry of what a factory gives. kind: its name where the user gives none."""
    if settings.dataset is None:
        raise ValueError("the data set of the network is not known: evaluate(model, 'mnist', ...)")
    dataset = dataset_spec(settings.dataset).name
    source = Path("in memory").resolve() if isinstance(factory, Copies) else source_of(factory)
    name = _free(f"{dataset}/{(settings.name or kind).removeprefix(f'{dataset}/')}", taken)
    return entry_of(name, dataset, factory, source, settings.said, **settings.fields)


def _require_no_arguments(function: Callable[..., Any]) -> None:
    """Raises ValueError for a function that asks for something, most likely images."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # of a built-in
        return
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if asked := [one.name for one in parameters if one.default is one.empty and one.kind not in variable]:
        raise ValueError(
            f"{getattr(function, '__name__', function)!r} asks for {', '.join(asked)}; a network is an nn.Module, or a "
            "function without arguments that builds one: class Net(nn.Module): def forward(self, x): ..."
        )


def _free(name: str, taken: set[str]) -> str:
    """The name, or that with a number where it is taken."""
    number, free = 2, name
    while free in taken or free in models:
        free, number = f"{name}-{number}", number + 1
    return free
