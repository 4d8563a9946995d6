"""One problem of the study run: its networks made, measured and attacked, what is there already left as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.evaluation.loop import How, run
from benchmark.evaluation.machine import Machine
from benchmark.papers.posteriors.grid import EXACT, MAP, NUMBERS, Problem
from benchmark.papers.posteriors.making import Making
from benchmark.papers.posteriors.measures import measures_of
from benchmark.papers.posteriors.outcomes import FOLDER, Trained, outcomes_of
from benchmark.papers.posteriors.queries import queries_of
from benchmark.papers.posteriors.suite import POSTERIOR_SUITE
from benchmark.papers.posteriors.tables import MEASURES, Tables
from benchmark.plan.cells import Selection
from benchmark.records.store import Store
from zoo import ZooEntry, models
from zoo.datasets import load_split
from zoo.files import write_whole


class Study:
    """folder: where networks and records are kept from one run to the next. examples: test images of each network."""

    def __init__(self, problem: Problem, folder: Path, data_root: Path | None, examples: int) -> None:
        self.problem, self.examples, self.data_root = problem, examples, data_root
        self.making = Making(problem, lambda split: load_split(problem.dataset, split, data_root), folder)
        self.store = folder / problem.name / "records.sqlite"

    def run(self, kinds: Iterable[str]) -> Iterator[str]:
        """A line for each network once it is measured; the maximum comes last, when what transfers to it is there."""
        for kind in sorted(kinds, key=lambda name: name == MAP):
            for training in NUMBERS:
                entry = self.making.entry(kind, training)
                self._measure(entry, kind, training)
                entries = [entry, *self._sources(entry, kind, training)]
                with Store(self.store) as store, models.with_entries(*entries):
                    machine = Machine(data_root=self.data_root)
                    done = run(POSTERIOR_SUITE, Selection(examples=self.examples), entries, store, How(machine))
                own = sum(record.cell.model == entry.name for record in done.records)
                yield f"{entry.name}: {own} cells, {done.seconds:.0f} s"

    def left(self, kinds: Iterable[str]) -> dict[str, str]:
        """By kind, how many of its networks are there, and how many of these were measured."""
        found = {}
        for kind in kinds:
            paths = [self.making.path(kind, training) for training in NUMBERS]
            made, measured = (sum(path.with_suffix(end).is_file() for path in paths) for end in (_WEIGHTS, _MEASURES))
            found[kind] = f"{made} made, {measured} measured"
        return found

    def write(self, out: Path) -> Path:
        """Write all outcomes and measures of this problem; the folder that they are in.

        What is written there of other kinds, made as their recipes say now, stays: the study need not be run at once.
        """
        folder = out / FOLDER / self.problem.name
        measured = {
            Trained(self.problem.name, kind, training): path
            for kind in self.problem.posteriors
            for training in NUMBERS
            if (path := self.making.path(kind, training).with_suffix(_MEASURES)).is_file()
        }
        # a maximum that was made as a source of transfers alone is attacked, too, and is another on another machine
        names = {self.making.name(of.posterior, of.training): of for of in measured}
        with Store(self.store) as store:
            attacked = (record for record in store.records() if record.cell.model in names)
            # a network that was deleted and made again was attacked again: the last records are of the one there is
            latest = {
                record.cell: record for record in sorted(attacked, key=lambda one: str(one.provenance["finished"]))
            }
        measures = pd.DataFrame(
            {"posterior": of.posterior, "training": of.training, "made": self.making.tag(of.posterior), **_read(path)}
            for of, path in measured.items()
        )
        attacks = latest.values()
        tables = (outcomes_of(attacks, names), measures, self._sampling(), queries_of(attacks, names))
        own = Tables(*tables) if len(measures) else Tables()
        order = {kind: place for place, kind in enumerate(self.problem.posteriors)}
        tags = {kind: self.making.tag(kind) for kind in order}
        before = Tables.read(folder) if (folder / MEASURES).is_file() else Tables()
        before.made_as(tags).joined(own).write(folder, order)
        return folder

    def _sampling(self) -> dict[str, Any]:
        """Posterior -> training -> how its sampler went; chains of one sampling are told together, under the first."""
        found: dict[str, Any] = {}
        for kind, of in self.problem.posteriors.items():
            for training in NUMBERS[:1] if of.has_chains else NUMBERS:
                path = self.making.path(kind, training).with_suffix(".json")
                if of.recipe.sampler is not None and path.is_file():
                    found.setdefault(kind, {})[str(training)] = _read(path)
        return found

    def _sources(self, entry: ZooEntry, kind: str, training: int) -> list[ZooEntry]:
        """The networks that an entry names as sources of transfers."""
        return [self.making.entry(EXACT if kind == MAP else MAP, training, attacked=False) for _ in entry.sources]

    def _measure(self, entry: ZooEntry, kind: str, training: int) -> None:
        path = self.making.path(kind, training).with_suffix(_MEASURES)
        if not path.is_file():
            write_whole(path, json.dumps(measures_of(entry, self.making.test).fields).encode())


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text())
    return read


_WEIGHTS, _MEASURES = ".safetensors", ".measures.json"
