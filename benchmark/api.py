"""`evaluate`: attack networks that are in memory, in a function or in the zoo; the results as one object."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from benchmark.evaluation.loop import How, run
from benchmark.evaluation.machine import Machine
from benchmark.plan.cells import Selection
from benchmark.records.store import Store
from benchmark.registry import suites
from benchmark.results import Results
from zoo import ZooEntry, models
from zoo.catalogue.registry import find_entry, require_nothing_random, source_of
from zoo.datasets import DATASETS, Data, dataset_spec
from zoo.lookup import lookup
from zoo.seeding import isolated_random_state
from zoo.targets import Precision

if TYPE_CHECKING:
    from benchmark.attacks.craft import Adapter

Model = nn.Module | Callable[[], nn.Module] | ZooEntry | str


@contextlib.contextmanager
def same_threads_afterwards() -> Iterator[None]:
    """Whatever number of threads torch is given in the block, it is afterwards what it was."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


@same_threads_afterwards()
@isolated_random_state(0)  # what libraries draw, some of them when imported, must not move the user's random numbers
def evaluate(
    model: Model | Sequence[Model],
    data: str | Data | None = None,
    *,
    family: str | None = None,
    name: str | None = None,
    accuracy: float | None = None,
    normalize: tuple[Sequence[float], Sequence[float]] | None = None,
    dropout: bool | None = None,
    map: str | None = None,  # noqa: A002 - the field's word
    twin: str | None = None,
    suite: str = "whitebox",
    examples: int | None = None,
    eps: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    attacks: Sequence[str] | None = None,
    libraries: Sequence[str] | None = None,
    draws: int | None = None,
    targets: Sequence[str] | None = None,
    precision: Precision = "float32",
    seed: int = 0,
    store: str | Path | None = None,
    workers: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    data_root: str | Path | None = None,
    download: bool = False,
    adapters: Mapping[str, Adapter] | None = None,
    progress: bool = True,
) -> Results:
    """Attack networks with a suite; the results, ranked and judged.

    model: an `nn.Module` (copied: the user's own is neither frozen nor put into another mode), a function that builds
        one, the name of a zoo entry, `package.module:factory`, an entry, or a list of these.
    data: the name of a data set, or the user's own; it is known by its name from then on.
    family, name, accuracy, normalize, dropout, map, twin: of a network that is not registered; see
        `zoo.register_model`. family must be said where the network holds anything that may be meant to be random.
    suite: smoke, whitebox, adaptive, paper, masking, anchors. examples, eps (for both norms, or norm by norm), attacks,
        libraries, draws (the attacker's), targets, precision, seed: in place of the suite's own.
    store: a results file; what it holds already is not computed again, and a run that was stopped goes on. Without it
        nothing is written.
    workers: processes. adapters: library -> what runs its attacks. progress: whether a terminal or notebook shows it.

    The same call gives the same keys as `python -m benchmark.run`.
    Raises ValueError or KeyError, with the remedy, for what cannot be evaluated, before anything is attacked.
    """
    chosen = lookup(suites(), suite, "suite")
    settings = {"accuracy": accuracy, "normalize": normalize, "dropout": dropout, "map": map, "twin": twin}
    entries: list[ZooEntry] = []
    dataset = DATASETS.hold(data) if isinstance(data, Data) else data
    several: Sequence[Any] = model if isinstance(model, list | tuple) else [model]
    for one in several:
        entries.append(_entry(one, dataset, family, name, {entry.name for entry in entries}, settings))
    if isinstance(data, Data) and (other := [entry.name for entry in entries if entry.dataset != dataset]):
        raise ValueError(f"{other[0]} is for other images than {dataset}: give a network for these, or leave out data")
    selection = Selection(
        attacks=_tuple(attacks),
        eps={norm: tuple(radii) for norm, radii in eps.items()} if isinstance(eps, Mapping) else _tuple(eps),
        libraries=_tuple(libraries),
        examples=examples,
        draws=draws,
        seed=seed,
        targets=_tuple(targets),
        precision=precision,
    )
    machine = Machine(device, None if data_root is None else Path(data_root).resolve(), download, threads)
    how = How(machine, workers=workers, adapters=adapters or {}, **(_told() if progress else {}))
    with Store(None if store is None else Path(store)) as opened:
        return Results(run(chosen, selection, entries, opened, how).records)


def _tuple(values: Sequence[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)


def _told() -> dict[str, Any]:
    """The watcher of a run in a terminal or a notebook; a line for every cell in a file would be noise."""
    from benchmark.reports.console import console
    from benchmark.reports.progress import Progress

    return {"watch": Progress, "say": console.print} if console.is_terminal or console.is_jupyter else {}


class Copies:
    """A factory that hands out copies of a network: what is evaluated is frozen and moved, the user's own is not."""

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network)  # as it is now: the user may go on training

    def __call__(self) -> nn.Module:
        return copy.deepcopy(self.network)


def _entry(
    model: Model, dataset: str | None, family: str | None, name: str | None, taken: set[str], settings: dict[str, Any]
) -> ZooEntry:
    """The entry that a user names or hands over. taken: names of other entries; settings: further fields of it."""
    if isinstance(model, ZooEntry):
        return model
    if isinstance(model, str):
        return find_entry(model, dataset, family)
    if not callable(model):
        raise ValueError(f"{model!r} is no network, no function that builds one, no name and no entry")
    for entry in models.values():
        if entry.factory is model:
            return entry
    if dataset is None:
        raise ValueError("the data set of the network is not known: evaluate(model, 'mnist', ...)")
    dataset_spec(dataset)
    factory: Callable[[], nn.Module]
    if isinstance(model, nn.Module):
        factory, plain, source = Copies(model), type(model).__name__, Path("in memory").resolve()
    else:
        factory, plain, source = model, getattr(model, "__name__", "network"), source_of(model)
    full = _free(f"{dataset}/{(name or plain).removeprefix(f'{dataset}/')}", taken)
    entry = ZooEntry(full, dataset, family or "frequentist", factory, None, source, **settings)
    if family is None:
        require_nothing_random(entry)
    return entry


def _free(name: str, taken: set[str]) -> str:
    """The name, or that with a number where it is taken."""
    number, free = 2, name
    while free in taken or free in models:
        free, number = f"{name}-{number}", number + 1
    return free
