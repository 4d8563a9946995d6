"""Register networks, list them, look them up.

    @register_model("mnist/my-net", dataset="mnist", family="bayesian", weights="my_net.safetensors")
    def my_net() -> nn.Module: ...

Without an edit of this repository: `--model package.module:factory` on the command line (see `external_model`),
or an entry point of the group `robustness_zoo.models` whose object is a module or function that registers.
This module imports no torch, so that listing and `--help` stay fast.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from zoo.entry import ZooEntry

if TYPE_CHECKING:
    from torch import nn

Value = TypeVar("Value")
Factory = TypeVar("Factory", bound="Callable[[], nn.Module]")

ENTRY_POINT_GROUP = "robustness_zoo.models"


def lookup(table: Mapping[str, Value], name: str, kind: str) -> Value:
    """`table[name]`, or a KeyError that names the nearest entries."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(sorted(table)) or 'none'}"
    raise KeyError(f"no {kind} named {name!r}; {hint}")


class ModelRegistry(Mapping[str, ZooEntry]):
    """Name -> `ZooEntry`. The built-in entries and installed entry points are loaded at the first look-up."""

    def __init__(self) -> None:
        self._entries: dict[str, ZooEntry] = {}
        self._loaded = False

    def add(self, entry: ZooEntry) -> None:
        """Raises ValueError if the name is taken."""
        if entry.name in self._entries:
            raise ValueError(f"{entry.name!r} is registered already; choose another name")
        self._entries[entry.name] = entry

    @contextlib.contextmanager
    def with_entries(self, *entries: ZooEntry) -> Iterator[None]:
        """With further entries for a while, and then as it was. Raises ValueError if a name is taken."""
        self._load()
        before = dict(self._entries)
        try:
            for entry in entries:
                self.add(entry)
            yield
        finally:
            self._entries = before

    def __getitem__(self, name: str) -> ZooEntry:
        self._load()
        return lookup(self._entries, name, "zoo entry")

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(self._entries)

    def __len__(self) -> int:
        self._load()
        return len(self._entries)

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        importlib.import_module("zoo.entries")
        for point in entry_points(group=ENTRY_POINT_GROUP):
            try:
                registered = point.load()
                if inspect.isfunction(registered):
                    registered()
            except Exception as error:  # somebody else's package must not stop the zoo, nor vanish silently
                warnings.warn(f"entry point {point.name} of {ENTRY_POINT_GROUP} failed: {error}", stacklevel=2)


models = ModelRegistry()


def register_model(
    name: str,
    *,
    dataset: str,
    family: str,
    weights: str | os.PathLike[str] | None = None,
    registry: ModelRegistry = models,
) -> Callable[[Factory], Factory]:
    """Register the decorated factory, which returns the network with random or its own weights.

    name: `<data set>/<network>`.      dataset: one of `zoo.datasets.DATASETS`.
    family: `frequentist` for a deterministic network; any other word means that predictions are averaged over
        posterior draws, and a network whose draws do not differ is refused.
    weights: a safetensors file, relative to the file that registers; beside it may lie a model card
        (`<name>.json`) whose sha256 is then enforced.
    Raises ValueError for a name that is taken or malformed or an unknown data set; weights are checked when loaded.
    """

    def register(factory: Factory) -> Factory:
        source = _source_file(factory)
        path = None if weights is None else source.parent / weights
        registry.add(ZooEntry(name, dataset, family, factory, path, source))
        return factory

    return register


def find_entry(name: str, dataset: str | None = None) -> ZooEntry:
    """The zoo entry of that name; one named `package.module:factory` is the user's own, on that data set."""
    return external_model(name, dataset) if ":" in name else models[name]


def external_model(reference: str, dataset: str | None = None) -> ZooEntry:
    """The entry named by `package.module:factory`; the current folder is importable, as with `python -m`.

    The factory may be decorated with `register_model`, which settles data set, family and weights. A bare one
    needs `dataset` and counts as frequentist; a stochastic network must be registered under its family.
    Raises ValueError where the reference cannot be resolved.
    """
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise ValueError(f"{reference!r} is not of the form package.module:factory")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except Exception as error:  # whatever the user's file raises
        raise ValueError(f"cannot import {reference!r}: {type(error).__name__}: {error}") from error
    if not callable(factory):
        raise ValueError(f"{reference!r} is a {type(factory).__name__}, not a function that returns a network")
    for entry in models.values():
        if entry.factory is factory:
            return entry
    if dataset is None:
        raise ValueError(f"{reference!r} is not registered, so its data set is not known: add --dataset")
    source = _source_file(factory)
    entry = ZooEntry(f"{dataset}/{reference}", dataset, "frequentist", factory, None, source)
    models.add(entry)
    return entry


def _source_file(factory: Callable[[], nn.Module]) -> Path:
    """The file that defines a factory, which may be any callable: a function, a partial, an instance."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(factory))
    except TypeError:
        file = getattr(sys.modules.get(getattr(factory, "__module__", "")), "__file__", None)
    return Path(file or ".").resolve()
