"""The data sets by name: those that have a row, and a user's own.

    @register_dataset("shapes", eps={"linf": [0.1], "l2": [1.0]})
    def shapes() -> Data: ...

The function is called where its images are first needed, in every process that needs them. An installed package
registers through an entry point of the group `robustness_zoo.datasets`, a module or function, as it does networks.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from zoo.datasets.data import Data, require_name
from zoo.datasets.spec import DatasetSpec, Eps, checked_eps
from zoo.datasets.table import ROWS
from zoo.lookup import lookup
from zoo.references import dotted, imported, is_same_function
from zoo.seeding import derive_seed, isolated_random_state

Make = TypeVar("Make", bound=Callable[[], Data])

ENTRY_POINT_GROUP = "robustness_zoo.datasets"


@dataclass(frozen=True)
class InMemory:
    """What gives a data set that is there already."""

    data: Data

    def __call__(self) -> Data:
        return self.data


@dataclass(frozen=True)
class Folder:
    """What gives the data set in a folder; see `Data.from_folder`."""

    path: Path
    size: int | None

    def __call__(self) -> Data:
        return Data.from_folder(self.path, self.size)


@dataclass(frozen=True)
class OwnDataset:
    """A user's data set. make: gives it, here and in other processes. eps: in place of what it says itself."""

    name: str
    make: Callable[[], Data]
    eps: Eps | None = None

    def spec(self) -> DatasetSpec:
        """Raises ValueError where it cannot be made."""
        with isolated_random_state(derive_seed("data", self.name)):  # what is drawn for it is the same in every process
            try:
                data = self.make()
            except Exception as error:  # whatever a user's function raises
                what = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
                raise ValueError(f"data set {self.name} cannot be made: {what}") from error
        if not isinstance(data, Data):
            raise ValueError(f"data set {self.name}: its function returned {type(data).__name__}; return Data.from_...")
        eps = data.spec.eps if self.eps is None else {**data.spec.eps, **self.eps}
        return replace(data.spec, name=self.name, eps=eps)

    @property
    def is_in_memory(self) -> bool:
        """Whether it is in this process alone."""
        return isinstance(self.make, InMemory)

    def may_replace(self, other: OwnDataset) -> bool:
        """Whether it is the other one anew: of a cell that was run again, or a further one in memory or a folder."""
        functions = inspect.isfunction(self.make) or inspect.isfunction(other.make)
        return is_same_function(self.make, other.make) if functions else True


class Datasets(Mapping[str, DatasetSpec]):
    """Name -> `DatasetSpec`. Installed entry points are loaded when a name is asked for that has no row."""

    def __init__(self, rows: Iterable[DatasetSpec]) -> None:
        self._rows = {spec.name: spec for spec in rows}
        self._own: dict[str, OwnDataset] = {}
        self._specs: dict[str, DatasetSpec] = {}  # of own ones that were made
        self._loaded = False

    def add(self, own: OwnDataset) -> None:
        """Raises ValueError if the name is taken, but by an earlier run of the same registration."""
        require_name(own.name)
        before = self._own.get(own.name)
        if own.name in self._rows or (before is not None and not own.may_replace(before)):
            raise ValueError(f"{own.name!r} is a data set already; choose another name")
        if own != before:
            self._own[own.name] = own
            self._specs.pop(own.name, None)

    def hold(self, data: Data) -> str:
        """The name under which a data set in memory is now known, until another one has it."""
        self.add(OwnDataset(data.name, InMemory(data)))
        return data.name

    def own(self, names: Collection[str]) -> list[OwnDataset]:
        """Those of a user among the names."""
        return [own for own in self._own.values() if own.name in names]

    def named_by(self, reference: str, size: int | None = None) -> str:
        """The name of the data set in a folder, or that `package.module:function` or `file.py:function` gives.

        size: of the images in a folder. Raises ValueError where there is none.
        """
        if ":" not in reference:
            folder = Path(reference).resolve()
            own = OwnDataset(folder.name, Folder(folder, size))
        elif size is not None:
            raise ValueError(f"--size {size} is for a folder; {reference} says itself how large its images are")
        else:
            own = self._of_function(reference)
        self.add(own)
        return own.name

    def _of_function(self, reference: str) -> OwnDataset:
        module, _, attribute = reference.partition(":")
        if Path(module).is_absolute() or ".." in Path(module).parts:
            raise ValueError(f"{reference!r} is outside the current folder, which alone is searched; go to that folder")
        make = imported(f"{dotted(module) if '/' in module or module.endswith('.py') else module}:{attribute}")
        if not callable(make):
            raise ValueError(f"{reference!r} is a {type(make).__name__}, not a function that returns Data")
        for own in self._own.values():
            if own.make is make:
                return own
        return OwnDataset(attribute, make)

    def __getitem__(self, name: str) -> DatasetSpec:
        if name in self._rows:
            return self._rows[name]
        self._load()
        if name not in self._specs:
            self._specs[name] = self._own[name].spec()
        return self._specs[name]

    def __contains__(self, name: object) -> bool:
        if name not in self._rows:
            self._load()
        return name in self._rows or name in self._own

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter((*self._rows, *self._own))

    def __len__(self) -> int:
        self._load()
        return len(self._rows) + len(self._own)

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
            try:
                registered = point.load()
                if inspect.isfunction(registered) and not any(own.make is registered for own in self._own.values()):
                    registered()
            except Exception as error:  # somebody else's package must not stop the benchmark, nor vanish silently
                warnings.warn(f"entry point {point.name} of {ENTRY_POINT_GROUP} failed: {error}", stacklevel=2)


DATASETS = Datasets(ROWS)


def register_dataset(
    name: str, *, eps: Mapping[str, Sequence[float]] | None = None, registry: Datasets = DATASETS
) -> Callable[[Make], Make]:
    """Register the decorated function, which returns `Data`, under a name for `dataset=` and `--dataset`.

    eps: norm -> radii, in place of what its `Data` says. Random numbers that the function draws are seeded.
    Raises ValueError for a name that is taken, but by an earlier run of the same function's registration.
    """
    radii = None if eps is None else checked_eps(eps, name)

    def register(make: Make) -> Make:
        registry.add(OwnDataset(name, make, radii))
        return make

    return register


def dataset_spec(name: str) -> DatasetSpec:
    """Raises KeyError, with suggestions, for a data set that does not exist."""
    return lookup(DATASETS, name, "data set")
