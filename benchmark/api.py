"""`evaluate`: attack networks that are in memory, in a function or in the zoo; the results as one object."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from benchmark.evaluation.loop import How, run
from benchmark.evaluation.machine import Machine
from benchmark.networks import Settings, entries_of
from benchmark.plan.cells import Selection, large_eps
from benchmark.plan.wanted import wanted
from benchmark.protocol import SHARD
from benchmark.records.store import Store
from benchmark.registry import suites
from benchmark.results import Results
from zoo.datasets import DATASETS, Data, dataset_spec
from zoo.kind import Said
from zoo.lookup import lookup
from zoo.numbers import numbers
from zoo.seeding import isolated_random_state
from zoo.targets import Precision

if TYPE_CHECKING:
    from benchmark.attacks.craft import Adapter


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
    model: Any,
    data: str | Data | None = None,
    *,
    template: nn.Module | None = None,
    randomness: str = "auto",
    outputs: str = "logits",
    family: str | None = None,
    name: str | None = None,
    accuracy: float | None = None,
    normalize: tuple[Sequence[float], Sequence[float]] | None = None,
    map: str | None = None,  # noqa: A002 - the field's word
    twin: str | None = None,
    suite: str = "whitebox",
    examples: int | None = None,
    audited: int = SHARD,
    eps: Sequence[float] | Mapping[str, Sequence[float]] | float | str | None = None,
    attacks: Sequence[object] | str | None = None,
    libraries: Sequence[str] | str | None = None,
    draws: int | None = None,
    targets: Sequence[str] | str | None = None,
    precision: Precision = "float32",
    seed: int = 0,
    store: str | Path | None = None,
    workers: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    data_root: str | Path | None = None,
    download: bool = False,
    adapters: Mapping[str, Adapter] | None = None,
    keep_images: bool = False,
    progress: bool = True,
) -> Results:
    """Attack networks with a suite; the results, ranked and judged.

    model: an `nn.Module`; a list of them, which is one ensemble, all of whose members are averaged; a posterior of
        `zoo.posteriors`, `zoo.SampledNetwork`, a Laplace object of laplace-torch; with template= samples of that
        network's weights: state dicts, a dict of stacked tensors, a guide of Pyro. All are copied: the user's own is
        neither frozen, nor changed, nor put into another mode.
        Or a function that builds one of these, the name of a zoo entry, `package.module:factory`, an entry. Or several
        networks: a dict from names to networks, or a list in which not all are `nn.Module`s.
    randomness: what is averaged over: `none`; `dropout`, MC dropout; `forward`, what a pass samples in evaluation mode;
        `draw`, by a method `draw(generator)` or mean-field layers; `members`; or `auto`: what is found, in a line.
    outputs: `logits` (or log-probabilities), or `probabilities`, of which the logarithm is taken.
    data: the name of a data set, or the user's own; it is known by its name from then on.
    family (for pages), name, accuracy, normalize, map, twin, randomness, outputs: of networks that are not registered;
        see `zoo.register_model`.
    suite: smoke, whitebox, adaptive, thorough, certify, paper, masking, anchors. examples, eps (for both norms, or norm
        by norm; one or several, numbers or "8/255"), libraries, draws (the attacker's), targets, precision, seed: in
        place of the suite's own.
    audited: of an adaptive suite, the images that meet every attack; all others meet what decided among these.
    attacks: those that are run, in place of all of the suite's: names, other settings such as `PGD(steps=100)`, and
        attacks of your own or of a library; see `benchmark.attacks.own`.
    store: a results file; what it holds already is not computed again, and a run that was stopped goes on. Without it
        nothing is written.
    workers: processes. adapters: library -> what runs its attacks. progress: whether what was found is said,
        and a terminal or notebook shows how far a run is.
    keep_images: whether `images` and `losses` of the results have anything to show.

    The same call gives the same keys as `python -m benchmark.run`.
    Raises ValueError or KeyError, with the remedy, for what cannot be evaluated, before anything is attacked.
    """
    chosen = lookup(suites(), suite, "suite")
    fields = {"accuracy": accuracy, "normalize": normalize, "map": map, "twin": twin}
    dataset = _dataset(data)
    entries = entries_of(model, Settings(dataset, name, template, Said(family, randomness, outputs), fields))
    spec = None if dataset is None else dataset_spec(dataset)
    if spec is not None and (other := [entry for entry in entries if entry.dataset != spec.name]):
        raise ValueError(
            f"{other[0].name} is for {other[0].dataset}, not for {spec.name}: give a network for these images, or "
            "leave out data"
        )
    asked = wanted(attacks)
    selection = Selection(
        attacks=asked.names,
        eps=_radii(eps),
        libraries=_tuple(libraries),
        examples=examples,
        draws=draws,
        seed=seed,
        targets=_tuple(targets),
        precision=precision,
        further=asked.further,
        audited=audited,
    )
    for line in large_eps(selection, {} if spec is None else spec.eps):
        warnings.warn(line, stacklevel=4)  # of the call, which two decorators surround
    root = None if data_root is None else Path(data_root).resolve()
    machine = Machine(device, root, download, threads, keep_images=keep_images, attacks=asked.own)
    how = How(machine, workers=workers, adapters=adapters or {}, **(_told() if progress else {}))
    with Store(None if store is None else Path(store)) as opened:
        records = run(chosen, selection, entries, opened, how).records
        images = opened.images(record.key for record in records) if keep_images else {}
    return Results(records, images=images)


def _dataset(data: object) -> str | None:
    """The name of a data set; a user's own is known by it from then on."""
    if isinstance(data, Data):
        return DATASETS.hold(data)
    if data is None or isinstance(data, str):
        return data
    raise ValueError(
        f"data is a {type(data).__name__}: name a data set, or give Data.from_arrays(x, y), Data.from_folder(path), "
        "Data.from_torch(dataset) or Data.from_hugging_face(split)"
    )


def _radii(eps: Any) -> tuple[float, ...] | dict[str, tuple[float, ...]] | None:
    if isinstance(eps, Mapping):
        return {norm: numbers(radii, "eps") for norm, radii in eps.items()}
    return None if eps is None else numbers(eps, "eps")


def _tuple(values: Sequence[str] | None) -> tuple[str, ...] | None:
    """One name may stand alone."""
    return (values,) if isinstance(values, str) else None if values is None else tuple(values)


def _told() -> dict[str, Any]:
    """What was found is said; a run is watched in a terminal or a notebook, as in a file it would fill pages."""
    from benchmark.reports.console import console
    from benchmark.reports.progress import Progress

    shown = console.is_terminal or console.is_jupyter
    plainly = partial(console.print, markup=False, highlight=False)
    return {"watch": Progress, "say": plainly} if shown else {"say": partial(print, file=sys.stderr)}
