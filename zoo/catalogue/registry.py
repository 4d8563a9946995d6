"""Register networks, list them, look them up.

    @register_model("mnist/my-net", dataset="mnist", family="bayesian", weights="my_net.safetensors")
    def my_net() -> nn.Module: ...

Without an edit of this repository: `--model package.module:factory` on the command line (see `external_model`),
or an entry point of the group `robustness_zoo.models` whose object is a module or function that registers.
This module imports no torch, so that listing and `--help` stay fast.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from zoo.catalogue.entry import ZooEntry
from zoo.lookup import lookup
from zoo.references import dotted, imported, is_same_function

if TYPE_CHECKING:
    from torch import nn

Factory = TypeVar("Factory", bound="Callable[[], nn.Module]")

ENTRY_POINT_GROUP = "robustness_zoo.models"


class ModelRegistry(Mapping[str, ZooEntry]):
    """Name -> `ZooEntry`. The built-in entries and installed entry points are loaded at the first look-up."""

    def __init__(self) -> None:
        self._entries: dict[str, ZooEntry] = {}
        self._loaded = False

    def add(self, entry: ZooEntry) -> None:
        """Raises ValueError if the name is taken, but by an earlier run of the same registration, as of a cell."""
        before = self._entries.get(entry.name)
        if before is not None and not is_same_function(before.factory, entry.factory):
            raise ValueError(f"{entry.name!r} is registered already; choose another name")
        self._entries[entry.name] = entry

    @contextlib.contextmanager
    def with_entries(self, *entries: ZooEntry) -> Iterator[None]:
        """The registry holds further entries inside the block. Raises ValueError if a name is taken."""
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
        importlib.import_module("zoo.catalogue.entries")
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
    accuracy: float | None = None,
    normalize: tuple[Sequence[float], Sequence[float]] | None = None,
    dropout: bool | None = None,
    map: str | None = None,  # noqa: A002 - the field's word
    twin: str | None = None,
    registry: ModelRegistry = models,
) -> Callable[[Factory], Factory]:
    """Register the decorated factory, which returns the network with random or its own weights.

    name: `<data set>/<network>`.      dataset: a name in `zoo.datasets.DATASETS`.
    family: `frequentist` for a deterministic network; any other word means that predictions are averaged over
        posterior draws, and a network whose draws do not differ is refused.
    weights: a safetensors file, relative to the file that registers; beside it may lie a model card
        (`<name>.json`) whose sha256 is then enforced.
    accuracy: on clean test images, between 0 and 1, if it is known: a run refuses a network that misses it by more than
        chance, as one does whose pixels are normalised otherwise than in its training.
    normalize: (mean, std) per channel, of pixels in [0, 1], where the network expects normalised ones.
    dropout: whether dropout layers are a part of the posterior; by default only where nothing else samples.
    map, twin: names of entries whose attacks are tried on this one: its mode of the posterior, and its twin trained
        without a posterior. Without either, the twin of `mnist/bayesian-lenet` is found by its name: `mnist/lenet`.
    A cell of a notebook that registers can be run again: the same function's later registration counts.
    Raises ValueError for a name that is taken or malformed, an unknown data set, a family that is nearly a known one;
    the network is checked when it is loaded.
    """

    def register(factory: Factory) -> Factory:
        _require_factory(factory, f"what is registered as {name}")
        source = source_of(factory)
        path = None if weights is None else source.parent / weights
        registry.add(ZooEntry(name, dataset, family, factory, path, source, accuracy, normalize, dropout, map, twin))
        return factory

    return register


def find_entry(name: str, dataset: str | None = None, family: str | None = None) -> ZooEntry:
    """The zoo entry of that name; one named `package.module:factory` is the user's own, on that data set."""
    is_reference = ":" in name or name.endswith(".py")
    return external_model(name, dataset, family) if is_reference else models[name]


def external_model(reference: str, dataset: str | None = None, family: str | None = None) -> ZooEntry:
    """The entry named by `package.module:factory`; the current folder is importable, as with `python -m`.

    The factory may be decorated with `register_model`, which settles data set, family and weights. A bare one needs
    `dataset`, and `family` where its network holds layers that may be meant to be random.
    Raises ValueError where the reference cannot be resolved, or says something else than the registration.
    """
    factory = _imported(reference)
    for entry in models.values():
        if entry.factory is factory:
            if family not in (None, entry.family):
                raise ValueError(f"{reference!r} is registered as {entry.family!r}: leave out --family {family}")
            return entry
    if dataset is None:
        raise ValueError(f"{reference!r} is not registered, so its data set is not known: add --dataset")
    entry = ZooEntry(f"{dataset}/{reference}", dataset, family or "frequentist", factory, None, source_of(factory))
    if family is None:
        require_nothing_random(entry)
    models.add(entry)
    return entry


def _imported(reference: str) -> Callable[[], nn.Module]:
    """What `package.module:factory` names."""
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute or "/" in module_name or module_name.endswith(".py"):
        hint = f"; write {dotted(module_name)}:{attribute or 'factory'}" if dotted(module_name) else ""
        raise ValueError(f"{reference!r} is not of the form package.module:factory{hint}")
    found = imported(reference)
    _require_factory(found, repr(reference))
    return cast("Callable[[], nn.Module]", found)


def _require_factory(found: object, name: str) -> None:
    """Raises ValueError for what is no function that returns a network."""
    if hasattr(found, "state_dict") and not isinstance(found, type):
        raise ValueError(
            f"{name} is a network, a {type(found).__name__}; every process builds its own, so name a function that "
            "returns it: def make(): return network"
        )
    if not callable(found):
        raise ValueError(f"{name} is a {type(found).__name__}, not a function that returns a network")


def require_nothing_random(entry: ZooEntry) -> None:
    """Raises ValueError where a bare factory's network might be meant to be random, and nobody says."""
    from zoo.posteriors import held_posterior
    from zoo.structure import counted, dropout_layers

    network = entry.build()
    held, remedy = held_posterior(network), "add --family bayesian"
    if not held and (layers := dropout_layers(network)):
        held, remedy = counted(layers), "add --family bayesian for MC dropout, or --family frequentist for none"
    if held:
        raise ValueError(f"{entry.name} is not registered and has {held}, so say what is random in it: {remedy}")


def source_of(factory: Callable[[], nn.Module]) -> Path:
    """The file that defines a factory, which may be any callable: a function, a partial, an instance."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(factory))
    except (OSError, TypeError):  # of a class that is defined in a notebook, or of an instance
        file = getattr(sys.modules.get(getattr(factory, "__module__", "")), "__file__", None)
    return Path(file or ".").resolve()
