"""One cell: attack in every library, verify, compare, record."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor

from benchmark.attacks.craft import Adapter, craft
from benchmark.attacks.memo import MAX_BYTES
from benchmark.attacks.metered import GradientStore
from benchmark.attacks.methods import BOUND, Goal
from benchmark.evaluation.certified import certificate_of
from benchmark.evaluation.closed_form import Gap, closed_form_gaps
from benchmark.evaluation.health import examine
from benchmark.evaluation.identities import Identities
from benchmark.evaluation.judged import JudgedImages, judge_crafted, outcome_of
from benchmark.evaluation.kept import Kept
from benchmark.evaluation.keys import GradientsKey, JudgedKey, Shard
from benchmark.evaluation.machine import Machine
from benchmark.evaluation.planted import Planted, craft_planted, plant_for
from benchmark.evaluation.predictors import Predictors
from benchmark.evaluation.ray import judged_along_the_ray
from benchmark.evaluation.state import UNSEEN, state_of
from benchmark.evaluation.subjects import subject_of
from benchmark.evaluation.surrogate import Surrogate, Surrogates
from benchmark.plan.cells import Cell, Reading, Subject
from benchmark.plan.nearest import is_of_every_eps
from benchmark.plan.purposes import draws_seed, purposes_of
from benchmark.protocol import LIBRARIES, example_order
from benchmark.records.agreement import compare_libraries
from benchmark.records.outcome import Outcome
from benchmark.records.parts import Certificate, Health
from benchmark.records.record import Record, cell_key, provenance
from benchmark.records.state import State
from benchmark.timing import Timing
from zoo import ZooEntry, models
from zoo.commands import require_device
from zoo.datasets import Split, load_split
from zoo.kind import Kind
from zoo.prediction.expected import ExpectedPrediction
from zoo.targets import SURROGATE, Gradient


class Evaluator:
    """Evaluates cells and keeps what cells of one entry share: predictors, gradients, judged images."""

    def __init__(
        self,
        machine: Machine = Machine(),  # noqa: B008 - frozen
        adapters: Mapping[str, Adapter] = MappingProxyType({}),
        entries: Mapping[str, ZooEntry] = MappingProxyType({}),
    ) -> None:
        """adapters: by library, what runs its attacks in place of its own adapter.

        entries: by name, networks beside those that are registered, or in place of them.
        Raises ValueError if nothing can be computed on the machine's device.
        """
        require_device(machine.device)
        if machine.threads is not None:
            torch.set_num_threads(machine.threads)
        self.machine, self.adapters, self.entries = machine, adapters, entries
        self.timing = Timing()
        self._shard: Shard | None = None
        self._gradients: dict[GradientsKey, GradientStore] = {}
        self._predictors = Predictors(machine)
        self._judged_images: dict[JudgedKey, JudgedImages] = {}
        self._surrogates = Surrogates()
        self._identities = Identities(machine, self.entry, self.split)

    def entry(self, name: str) -> ZooEntry:
        """The entry of that name. Raises KeyError, with suggestions, for one that does not exist."""
        return self.entries[name] if name in self.entries else models[name]

    def split(self, dataset: str) -> Split:
        """The test split, verified. Raises ValueError where it is missing or damaged."""
        return load_split(dataset, "test", self.machine.data_root, self.machine.download)

    def subject(self, entry: ZooEntry) -> Subject:
        """What suites need to know of the entry; see `benchmark.evaluation.subjects`."""
        return subject_of(entry, self.split(entry.dataset), self.machine.device, self.entries.values())

    def fingerprints(self, cell: Cell) -> dict[str, str]:
        """What identifies a cell's network and images, the network that a transfer comes from, and an own attack."""
        return self._identities.fingerprints(cell)

    def identity(self, cell: Cell) -> dict[str, str]:
        """What identifies a cell's network and images alone."""
        return self._identities.identity(cell)

    def key(self, cell: Cell) -> str:
        """The key under which the cell's record is stored."""
        return cell_key(cell, self.fingerprints(cell))

    def evaluate(self, cell: Cell, kept: Kept | None = None) -> Record:
        """Run the cell. A library that raises is recorded with its error, never with a score.

        kept: takes in the images of each library that does not raise.
        """
        entry, began, purposes = self.entry(cell.model), time.monotonic(), purposes_of(cell)
        self._forget_other_shards(cell)
        with self.timing.measuring("loading"):
            examples = list(example_order(len(self.split(cell.dataset)))[cell.start : cell.stop])
            only = frozenset(examples if cell.only is None else cell.only)
            examples = [example for example in examples if example in only]
            x, y = self._images(cell.dataset, examples)
            attacked = self._attacked(cell)
            attacker = self._predictors.of(entry, purposes["attack"], cell)
            judge = self._predictors.of(entry, purposes["judge"], cell)
            self._forget_predictors(attacked, attacker, judge)
        judged = self._judged(cell, attacker, judge, y)
        labels = likeliest_wrong(attacker, x, y) if cell.attack.goal is Goal.CONFIDENT else y
        images: dict[str, Tensor] = {}
        outcomes: dict[str, Outcome] = {}
        planted: Planted | None = None
        surrogate: Surrogate | None = None
        try:
            if cell.reading is Reading.PLANTED:  # another network in all but its body, with classes of its own
                planted, labels = plant_for(entry, cell, x, examples, self.machine), torch.zeros_like(y)
                judged = JudgedImages(planted.prediction, planted.prediction, labels, self.timing)
            clean = outcome_of(*judged(x))
        except Exception as error:  # a network that fails on these very images
            clean = Outcome(error=f"on clean images: {type(error).__name__}: {error}")
            outcomes = dict.fromkeys(cell.libraries, clean)
        bound = cell.attack.method is BOUND
        certificate = self._certificate(cell, x, y, outcomes) if bound and clean.error is None else None
        for library in cell.libraries if clean.error is None and not bound else ():
            try:
                where = self._shared(cell), self.machine.own_adapter(cell) or self.adapters.get(library)
                if cell.attack.source == SURROGATE:
                    surrogate = surrogate or self._surrogates.of(cell, entry, attacker, self.split(cell.dataset))
                    attacked = surrogate.prediction
                how = x, labels, cell.attack, examples, cell.seed, *where
                crafted = craft_planted(library, planted, *how) if planted else craft(library, attacked, *how)
                self.timing.add(crafted.timing)
                if is_of_every_eps(cell.attack) and cell.kind is Kind.CONTINUOUS:
                    with self.timing.measuring("judge"):
                        crafted = replace(crafted, images=judged_along_the_ray(judge, x, crafted.images, y))
                images[library], outcomes[library] = judge_crafted(cell, crafted, judged, x, examples)
                if kept is not None:
                    kept.take(library, x, images[library], crafted.losses)
            except Exception as error:  # whatever a library raises, the other libraries' results still count
                outcomes[library] = Outcome(error=f"{type(error).__name__}: {error}")
        return Record(
            key=self.key(cell),
            cell=cell,
            family=entry.label,
            fingerprints=self.fingerprints(cell),
            examples=examples,
            labels=y.tolist(),
            clean=clean,
            outcomes=outcomes,
            agreement=compare_libraries(images, {library: outcomes[library].correct for library in images}, examples),
            provenance=provenance(
                self.machine.device,
                threads=torch.get_num_threads(),
                stacked=attacked.stacked,
                seeds={of: draws_seed(entry.name, purpose, cell.seed) for of, purpose in purposes.items()},
                seconds=round(time.monotonic() - began, 3),
                libraries=cell.libraries,
            )
            | ({} if surrogate is None else {"surrogate": surrogate.told}),
            health=self._health(cell, attacker, x, y) if clean.error is None else None,
            state=self._state(cell, attacker, judge, (x, *images.values(), y)) if images else None,
            planting=None if planted is None else planted.recorded(examples),
            certificate=certificate,
        )

    def _certificate(self, cell: Cell, x: Tensor, y: Tensor, outcomes: dict[str, Outcome]) -> Certificate | None:
        """Bounds in place of an attack; None, and an outcome that says so, where they raise."""
        try:
            with self.timing.measuring("bounds"):
                return certificate_of(self.entry(cell.model), cell, x, y, self.machine)
        except Exception as error:
            outcomes.update(dict.fromkeys(cell.libraries, Outcome(error=f"{type(error).__name__}: {error}")))
            return None

    def _health(self, cell: Cell, attacker: ExpectedPrediction, x: Tensor, y: Tensor) -> Health | None:
        """The network's health, measured once for a shard: in the cell of FGSM at eps = 0, which takes one gradient."""
        if (cell.attack.name, cell.attack.threat.eps) != ("fgsm", 0):
            return None
        entry = self.entry(cell.model)
        drawn = cell.kind is Kind.CONTINUOUS  # of a finite posterior all members are attacked: none are independent
        independent = self._predictors.of(entry, "independent", cell) if drawn else None
        return examine(attacker, independent, x, y, self._gaps)

    def _state(
        self, cell: Cell, attacker: ExpectedPrediction, judge: ExpectedPrediction, images: tuple[Tensor, ...]
    ) -> State | None:
        """What networks that are built anew make of the images, which were attacked in one library; see `state_of`.

        What unseen images show is the same for every shard, so that it is measured for the first.
        """
        if cell.reading is not Reading.REBUILT:
            return None
        (x, x_adv, y), entry, purposes = images, self.entry(cell.model), purposes_of(cell)
        same = cell.kind is not Kind.CONTINUOUS and cell.attack_draws == cell.judge_draws
        return state_of(
            lambda: self._predictors.new(entry, purposes["judge"], cell),
            lambda: self._predictors.new(entry, purposes["attack"], cell),
            lambda: self._predictors.new(entry, purposes["attack"], cell, most=2),
            judge,
            attacker if same else None,
            (x, x_adv, y),
            self._unseen(cell.dataset) if cell.start == 0 else None,
            cell.attack.threat,
        )

    def _unseen(self, dataset: str) -> tuple[Tensor, Tensor]:
        """Images that no attack has shown: the last of the split, half of them mirrored, lest all of it is attacked."""
        x, y = self._images(dataset, list(example_order(len(self.split(dataset)))[-UNSEEN:]))
        half = len(x) // 2
        return torch.cat([x[:half], x[half:].flip(-1)]), y

    @functools.cached_property
    def _gaps(self) -> list[Gap]:
        """How close the libraries come to a linear model's optimum; it says nothing of a network."""
        return closed_form_gaps(LIBRARIES, self.adapters)

    def _images(self, dataset: str, examples: list[int]) -> tuple[Tensor, Tensor]:
        split = self.split(dataset)
        x = split.pixels(examples).to(self.machine.device)
        return x, torch.from_numpy(split.labels[examples]).to(self.machine.device)

    def _attacked(self, cell: Cell) -> ExpectedPrediction:
        """The prediction whose gradient the attack follows: the network's, or that of a transfer's source.

        A surrogate is made of the network's own where the attack begins: what it raises then is an outcome.
        """
        gradient = cell.attack.gradient
        if gradient.source == SURROGATE:
            gradient = Gradient()
        entry = self.entry(cell.model if gradient.source is None else gradient.source)
        return self._predictors.of(entry, purposes_of(cell)["attack"], cell, gradient)

    def _forget_predictors(self, *used: ExpectedPrediction) -> None:
        """Give up predictors that take too much memory, but for the cell's own, and what was judged by them."""
        for gone in self._predictors.forget({id(one) for one in used}):
            self._judged_images = {key: one for key, one in self._judged_images.items() if not one.is_by(gone)}

    def _shared(self, cell: Cell) -> GradientStore | None:
        """Where the libraries share gradients: one for all cells with the same draws, target and images."""
        spec = cell.attack
        if not self.machine.share or len(cell.libraries) == 1:  # nothing to share
            return None
        key = GradientsKey(cell.attack_draws, cell.seed, spec.gradient, spec.goal, cell.reading)
        if key not in self._gradients:
            self._forget_gradients()
        return self._gradients.setdefault(key, GradientStore())

    def _forget_gradients(self) -> None:
        """Give up the oldest stores until the rest takes no more than one may."""
        while sum(store.bytes for store in self._gradients.values()) > MAX_BYTES:
            del self._gradients[next(iter(self._gradients))]

    def _judged(self, cell: Cell, attacker: ExpectedPrediction, judge: ExpectedPrediction, y: Tensor) -> JudgedImages:
        """Outcomes of images under these draws, shared by all cells with the same examples."""
        key = JudgedKey(cell.attack_draws, cell.judge_draws, cell.seed, cell.reading)
        return self._judged_images.setdefault(key, JudgedImages(attacker, judge, y, self.timing))

    def _forget_other_shards(self, cell: Cell) -> None:
        """Keep draws of one network, and gradients and judged images of one shard of examples: memory stays flat."""
        shard = Shard(cell.model, cell.start, cell.stop, cell.only)
        if self._shard is None or cell.model != self._shard.model:
            self._predictors.clear()
            self._surrogates.clear()
        if shard != self._shard:
            self._gradients.clear()
            self._judged_images.clear()
        self._shard = shard


@torch.no_grad()
def likeliest_wrong(prediction: ExpectedPrediction, x: Tensor, y: Tensor) -> Tensor:
    """(B,) the wrong label to which the prediction gives most probability."""
    others: Tensor = prediction(x).scatter(1, y[:, None], -torch.inf)
    return others.argmax(1)
