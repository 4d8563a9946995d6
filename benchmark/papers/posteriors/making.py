"""The study's networks made: every kind of posterior as samples of the weights of one architecture, in a file each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from benchmark.papers.posteriors.grid import EXACT, MAP, NUMBERS, Posterior, Problem
from zoo import ZooEntry
from zoo.datasets import Split, SplitName
from zoo.files import write_whole
from zoo.layers import make_bayesian
from zoo.networks import build_network
from zoo.posteriors import SampledNetwork, posterior_of
from zoo.seeding import derive_seed, forked_random_state, private_generator
from zoo.training.full_batch import training_of
from zoo.training.log_posterior import LogPosterior
from zoo.training.samplers.hmc import Settings
from zoo.training.samplers.hmc import sample as hmc
from zoo.training.sampling import sample, thinned
from zoo.training.subset import Divided, divided

States = dict[str, Tensor]  # by the architecture's names, (M, ...) of M members

PUBLISHED = Settings(trajectory=0.05, burn_in=50, draws=9, step_size=0.005)


class Made(NamedTuple):
    """The members of one training, and whether they are samples of a posterior; alone they are one network."""

    states: States
    is_sample: bool


class Making:
    """Makes a problem's networks, or finds them where they were made before.

    folder: of weights, figures and checkpoints. load: loads a split of the problem's data set, `train` or `test`, once
        something is made.
    """

    def __init__(self, problem: Problem, load: Callable[[SplitName], Split], folder: Path) -> None:
        self.problem, self.folder, self._load = problem, folder / problem.name, load

    def load(self) -> None:
        """Load the images now, before work is begun. Raises DataNotFoundError where they are not here."""
        for images in ("data", "test"):
            getattr(self, images)

    @cached_property
    def data(self) -> Divided:
        """What is trained on."""
        return divided(self._load("train"), self.problem.images)

    @cached_property
    def test(self) -> Split:
        """What is measured on, and attacked."""
        return self._load("test")

    def path(self, posterior: str, training: int) -> Path:
        """Where a network's weights lie: another file for another way to make them."""
        return self.folder / f"{posterior}-{training}-{self.tag(posterior)}.safetensors"

    def entry(self, posterior: str, training: int, *, attacked: bool = True) -> ZooEntry:
        """The network of one training, from 1; it is made where it is not there yet.

        attacked: whether it has sources of transfers: for all others the maximum of the same training, and for that the
            exact posterior, once it is there.
        """
        path, problem = self.path(posterior, training), self.problem
        if not path.is_file():
            self._make(posterior)
        source = EXACT if posterior == MAP else MAP
        there = attacked and source in problem.posteriors and (source == MAP or self.path(source, training).is_file())
        return ZooEntry(
            self.name(posterior, training),
            problem.dataset,
            "frequentist" if posterior == MAP else "bayesian",
            lambda: _network(problem.posteriors[posterior].recipe.architecture, problem.dataset, path),
            None,
            path,
            map=self.name(source, training) if there and source == MAP else None,
            twin=self.name(source, training) if there and source == EXACT else None,
        )

    def name(self, posterior: str, training: int) -> str:
        """Of the entry of one training; what was made in another way has another name, and other records."""
        return f"{self.problem.dataset}/{self.problem.name}-{self.path(posterior, training).stem}"

    def _make(self, posterior: str) -> None:
        """All trainings of a kind."""
        kind = self.problem.posteriors[posterior]
        if kind.recipe.sampler is not None:
            return self._sample(posterior, kind)
        make: Callable[[Posterior, int, Path], Made] = (
            self._published if kind.as_published else self._draw if kind.mean_field else self._train
        )
        for training in NUMBERS:
            if not self.path(posterior, training).is_file():
                self._keep(posterior, training, make(kind, training, self._checkpoint(posterior, training)), {})
        return None

    def _train(self, kind: Posterior, training: int, checkpoint: Path) -> Made:
        return Made(_stacked([self._trained(kind, training, checkpoint, self._initialised(training))]), False)

    def _draw(self, kind: Posterior, training: int, checkpoint: Path) -> Made:
        """Draws of a mean-field Gaussian."""
        start, size = self._initialised(training, kind.recipe.architecture), self.problem.size
        if not kind.recipe.is_bayesian:
            start = make_bayesian(start, prior=self.problem.prior, rho=kind.rho)
        drawn = posterior_of(self._trained(kind, training, checkpoint, start)).draws(size, derive_seed(training))
        return Made(_stacked(drawn), True)

    def _published(self, kind: Posterior, training: int, checkpoint: Path) -> Made:
        target = self._target(training)
        start = target.prior * torch.randn(1, target.size, generator=private_generator("published", training))
        samples = hmc(target, start, replace(PUBLISHED, seed=training), checkpoint)
        generator = private_generator("with replacement", training)
        chosen = torch.randint(PUBLISHED.draws, (self.problem.size,), generator=generator)
        return Made(target.named(samples.positions[0, chosen]), True)

    def _sample(self, posterior: str, kind: Posterior) -> None:
        for training in NUMBERS[:1] if kind.has_chains else NUMBERS:
            if self.path(posterior, training).is_file():
                continue
            made = sample(
                lambda: build_network(self.problem.architecture, self.problem.dataset),
                self.data,
                replace(kind.recipe, seed=training),
                self._checkpoint(posterior, training),
                self._map(training) if kind.starts_at_map else None,
                f"{self.problem.name}-{posterior}",
            )
            figures = made.figures(self.test)
            if not kind.has_chains:
                self._keep(posterior, training, Made(made.states, made.network.is_sample), figures)
                continue
            for chain, positions in enumerate(made.draws.positions, 1):
                each = Made(made.target.named(thinned(positions[None], min(self.problem.size, len(positions)))), True)
                self._keep(posterior, chain, each, figures)

    def _map(self, training: int) -> nn.Module:
        self.entry(MAP, training)
        return _network(self.problem.architecture, self.problem.dataset, self.path(MAP, training))

    def _initialised(self, training: int, architecture: str | None = None) -> nn.Module:
        with forked_random_state(derive_seed("initialise", self.problem.name, training)):
            return build_network(architecture or self.problem.architecture, self.problem.dataset)

    def _target(self, training: int) -> LogPosterior:
        data = self.data
        return LogPosterior(
            self._initialised(training).eval(), data.images.float() / 255, data.labels, self.problem.prior
        )

    def _trained(self, kind: Posterior, training: int, checkpoint: Path, start: nn.Module) -> nn.Module:
        recipe = replace(kind.recipe, seed=training)
        name = f"{self.problem.name}-{training}"
        trained, _ = training_of(recipe)(name, recipe, self.data, checkpoint, network=start).run()
        return trained

    def _checkpoint(self, posterior: str, training: int) -> Path:
        return self.folder / "checkpoints" / self.path(posterior, training).name

    def tag(self, posterior: str) -> str:
        """Of all that says how a kind is made."""
        problem = self.problem
        names = [posterior, *([MAP] if problem.posteriors[posterior].starts_at_map else [])]
        kinds = [replace(problem.posteriors[name], words="") for name in names]
        of = (problem.dataset, problem.architecture, problem.images, problem.prior, problem.size, kinds)
        return hashlib.sha256(repr(of).encode()).hexdigest()[:8]

    def _keep(self, posterior: str, training: int, made: Made, figures: dict[str, Any]) -> None:
        path = self.path(posterior, training)
        said = {"is_sample": str(made.is_sample)}
        # weights of pixels that are always black decay to denormal numbers, which processors multiply ten times slower
        states = {
            name: torch.where(value.abs() < torch.finfo(value.dtype).tiny, 0.0, value).contiguous()
            for name, value in made.states.items()
        }
        write_whole(path.with_suffix(".json"), (json.dumps(figures, indent=2, default=str) + "\n").encode())
        write_whole(path, save(states, said))


def _stacked(networks: list[nn.Module]) -> States:
    states = [network.state_dict() for network in networks]
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def _network(architecture: str, dataset: str, path: Path) -> nn.Module:
    """What a file's weights are of, or of draws of an architecture whose layers are mean-field.

    Raises ValueError for a damaged file.
    """
    try:
        with safe_open(path, "pt") as file:
            is_sample = file.metadata()["is_sample"] == "True"
            states = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise ValueError(f"{path} is damaged ({error}); delete it to make it again") from error
    template: nn.Module = build_network(architecture, dataset).eval()
    if architecture.startswith("bayesian-"):
        template = posterior_of(template).draws(1, 0)[0].eval()
    if len(next(iter(states.values()))) == 1:
        template.load_state_dict({name: value[0] for name, value in states.items()})
        return template
    return SampledNetwork.of(template, states, is_sample=is_sample)
