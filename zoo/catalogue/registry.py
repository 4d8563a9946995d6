"""Register networks, list them, look them up.

    @register_model("mnist/my-net", dataset="mnist", weights="my_net.safetensors")
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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from zoo.catalogue.entry import ZooEntry
from zoo.kind import Said
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

    def forget(self, name: str) -> None:
        """Take a network out, as if nobody had registered it; nothing where there is none of that name."""
        self._load()
        self._entries.pop(name, None)

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
    family: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    accuracy: float | None = None,
    normalize: tuple[Sequence[float], Sequence[float]] | None = None,
    randomness: str = "auto",
    outputs: str = "logits",
    map: str | None = None,  # noqa: A002 - the field's word
    twin: str | None = None,
    registry: ModelRegistry = models,
) -> Callable[[Factory], Factory]:
    """Register the decorated factory, which returns the network with random or its own weights.

    name: `<data set>/<network>`.      dataset: a name in `zoo.datasets.DATASETS`.
    family: what pages call it: `frequentist` for one network, in which nothing may be found that is random; any other
        word for one in which something must be. By default what is found.
    weights: a safetensors file, relative to the file that registers; beside it may lie a model card
        (`<name>.json`) whose sha256 is then enforced.
    accuracy: on clean test images, between 0 and 1, if it is known: a run refuses a network that misses it by more than
        chance, as one does whose pixels are normalised otherwise than in its training.
    normalize: (mean, std) per channel, of pixels in [0, 1], where the network expects normalised ones.
    randomness: what is averaged over: `none`, `dropout` (MC dropout), `forward`, `draw`, `members`, or `auto`, what is
        found; dropout layers that evaluation mode turns off are then off. outputs: `logits`, or `probabilities`, whose
        logarithm is taken.
    map, twin: names of entries whose attacks are tried on this one: its mode of the posterior, and its twin trained
        without a posterior. Without either, the twin of `mnist/bayesian-lenet` is found by its name: `mnist/lenet`.
    A cell of a notebook that registers can be run again: the same function's later registration counts.
    Raises ValueError for a name that is taken or malformed, an unknown data set, family, randomness or outputs; the
    network is checked when it is loaded.
    """

    def register(factory: Factory) -> Factory:
        _require_factory(factory, f"what is registered as {name}")
        source = source_of(factory)
        path = None if weights is None else source.parent / weights
        said = Said(family, randomness, outputs)
        own = {"accuracy": accuracy, "normalize": normalize, "map": map, "twin": twin}
        registry.add(entry_of(name, dataset, factory, source, said, path, **own))
        return factory

    return register


def for_the_same_images(networks: Iterable[ZooEntry], name: str, dataset: str) -> tuple[tuple[str, bool], ...]:
    """Name, and whether it is deterministic, of every network for a data set but the one of that name."""
    return tuple((one.name, one.is_deterministic) for one in networks if one.dataset == dataset and one.name != name)


def find_entry(name: str, dataset: str | None = None, said: Said = Said()) -> ZooEntry:
    """The zoo entry of that name; one named `package.module:factory` is the user's own, on that data set."""
    is_reference = ":" in name or name.endswith(".py")
    return external_model(name, dataset, *said) if is_reference else models[name]


def external_model(
    reference: str,
    dataset: str | None = None,
    family: str | None = None,
    randomness: str = "auto",
    outputs: str = "logits",
) -> ZooEntry:
    """The entry named by `package.module:factory`; the current folder is importable, as with `python -m`.

    The factory may be decorated with `register_model`, which settles all else. A bare one needs `dataset`.
    Raises ValueError where the reference cannot be resolved, or something else is said than the registration says.
    """
    factory, said = _imported(reference), Said(family, randomness, outputs)
    for entry in models.values():
        if entry.factory is factory:
            require_registration(entry, said)
            return entry
    if dataset is None:
        raise ValueError(f"{reference!r} is not registered, so its data set is not known: add --dataset")
    entry = entry_of(f"{dataset}/{reference}", dataset, factory, source_of(factory), said)
    models.add(entry)
    return entry


def entry_of(
    name: str,
    dataset: str,
    factory: Callable[[], Any],
    source: Path,
    said: Said,
    weights: Path | None = None,
    **fields: Any,
) -> ZooEntry:
    """An entry, in no registry yet. fields: further ones of it. Raises ValueError as `ZooEntry` does."""
    own: dict[str, Any] = {**said._asdict(), **fields}
    return ZooEntry(name, dataset, factory=factory, weights=weights, source=source, **own)


def require_registration(entry: ZooEntry, said: Said) -> None:
    """Raises ValueError where something else is said of an entry than it is registered with."""
    registered = Said(entry.family, entry.randomness, entry.outputs)
    for field, value, default, own in zip(Said._fields, said, Said(), registered, strict=True):
        if value not in (default, own):
            raise ValueError(f"{entry.name} is registered with {field} {str(own)!r}: leave out {field} {value!r}")


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


def source_of(factory: Callable[[], nn.Module]) -> Path:
    """The file that defines a factory, which may be any callable: a function, a partial, an instance."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(factory))
    except (OSError, TypeError):  # of a class that is defined in a notebook, or of an instance
        file = getattr(sys.modules.get(getattr(factory, "__module__", "")), "__file__", None)
    return Path(file or ".").resolve()
