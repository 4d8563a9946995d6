"""What is kept of a cell: per-example outcomes for every library, agreement, cost, provenance. Versioned."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import os
import platform
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import benchmark
from benchmark.plan.cells import Cell, Reading
from benchmark.plan.nearest import rounded_up
from benchmark.plan.roles import Role, role_of
from benchmark.protocol import LIBRARIES, PROTOCOL_VERSION, REFEREE
from benchmark.records.agreement import Comparison
from benchmark.records.outcome import Outcome
from benchmark.records.parts import PARTS, Certificate, Health, Planting
from benchmark.records.state import State

SCHEMA_VERSION = 3

_PACKAGES = {
    "torchattacks": "torchattacks",
    "foolbox": "foolbox",
    "art": "adversarial-robustness-toolbox",
    REFEREE: REFEREE,
}


@dataclass(frozen=True)
class Record:
    """The outcome of a cell. examples, labels: indices into the test split and their labels.

    health: of the network, in the record of one attack at eps = 0; see `benchmark.evaluation.health`.
    state: of networks that were built anew, where these judge; see `benchmark.evaluation.state`.
    planting: where adversarial examples were planted, and outcomes are of the planted classes: right is not found.
    certificate: where bounds were computed; then there are no outcomes but of what raised.
    """

    key: str
    cell: Cell
    family: str
    fingerprints: dict[str, str]
    examples: list[int]
    labels: list[int]
    clean: Outcome
    outcomes: dict[str, Outcome]
    agreement: list[Comparison]
    provenance: dict[str, Any]
    health: Health | None = None
    state: State | None = None
    planting: Planting | None = None
    certificate: Certificate | None = None

    @functools.cached_property
    def complete(self) -> bool:
        """Whether every library was evaluated."""
        return all(outcome.error is None for outcome in self.outcomes.values())

    @functools.cached_property
    def role(self) -> Role:
        """What its cell is to the results."""
        return role_of(self.cell)

    @functools.cached_property
    def right(self) -> frozenset[int]:
        """The examples that are right as they are."""
        return frozenset(itertools.compress(self.examples, self.clean.array("correct").tolist()))

    @functools.cached_property
    def broken(self) -> frozenset[int]:
        """The examples that are misclassified after an attack of some library that ran."""
        ran = [~outcome.array("correct") for outcome in self.outcomes.values() if outcome.error is None]
        return frozenset(itertools.compress(self.examples, np.any(ran, axis=0).tolist())) if ran else frozenset()

    @functools.cached_property
    def certified(self) -> tuple[int, ...]:
        """The examples that no attack breaks under its threat model."""
        leads = [] if self.certificate is None else self.certificate.leads
        return tuple(example for example, lead in zip(self.examples, leads, strict=False) if lead > 0)

    @functools.cached_property
    def distances(self) -> Mapping[int, float]:
        """Example -> how far at most the nearest image is that is judged wrong.

        0 for one that is misclassified as it is, infinite where no image was found.
        """
        nearest = {example: math.inf if example in self.right else 0.0 for example in self.examples}
        for outcome in self.outcomes.values():
            if outcome.error is None:
                for example, right, distance in zip(self.examples, outcome.correct, outcome.distance, strict=True):
                    if not right:
                        nearest[example] = min(nearest[example], rounded_up(distance))
        return nearest

    @property
    def outcome(self) -> dict[str, Any]:
        """The record without when, where and how fast it was made."""
        fields = self.to_json()
        del fields["provenance"]
        for outcome in (fields["clean"], *fields["outcomes"].values()):
            del outcome["seconds"]
        return fields

    def to_json(self, of_outcome: Callable[[Outcome], dict[str, Any]] = Outcome.to_json) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fields["cell"] = self.cell.to_json()
        fields["clean"] = of_outcome(self.clean)
        fields["outcomes"] = {library: of_outcome(outcome) for library, outcome in self.outcomes.items()}
        fields["agreement"] = [asdict(comparison) for comparison in self.agreement]
        for name in PARTS:  # those that came later, or that few cells have
            part = fields.pop(name)
            if part is not None:
                fields[name] = part.to_json() if hasattr(part, "to_json") else asdict(part)
        return {"schema": SCHEMA_VERSION, **fields}

    @classmethod
    def from_json(
        cls, fields: dict[str, Any], outcome_of: Callable[[dict[str, Any]], Outcome] = Outcome.from_json
    ) -> Record:
        """Raises ValueError for a record of another schema."""
        fields = dict(fields)
        if (schema := fields.pop("schema", None)) != SCHEMA_VERSION:
            raise ValueError(f"record of schema {schema}; this version reads schema {SCHEMA_VERSION}: run it again")
        pairs = [
            {**pair, "only_first": tuple(pair["only_first"]), "only_second": tuple(pair["only_second"])}
            for pair in fields["agreement"]
        ]
        return cls(
            **{
                **fields,
                "cell": Cell.from_json(fields["cell"]),
                "clean": outcome_of(fields["clean"]),
                "outcomes": {library: outcome_of(outcome) for library, outcome in fields["outcomes"].items()},
                "agreement": [Comparison(**pair) for pair in pairs],
                **{name: read(fields[name]) for name, read in PARTS.items() if name in fields},
            }
        )


def cell_key(cell: Cell, fingerprints: dict[str, str], packages: Mapping[str, str] | None = None) -> str:
    """sha256 of all that determines a cell's outcome: itself, network, data, library and protocol versions.

    packages: name -> version of those that it is, or was, computed with; None for the installed ones.
    What does not determine it (device, worker, suite, time) is left out, so the same work has the same key anywhere.
    """
    # an own attack, or a library's that this project has no adapter of, is known by its digest among the fingerprints
    used = ("torch", *(_PACKAGES[library] for library in cell.libraries if library in _PACKAGES))
    content = {
        "cell": cell.to_json(),
        "fingerprints": fingerprints,
        "versions": {name: packages[name] if packages else _version(name) for name in used},
        "protocol": PROTOCOL_VERSION,
        "schema": SCHEMA_VERSION,
    }
    gradient = cell.attack.gradient
    if cell.reading is Reading.SAMPLE and gradient.target == "mean-weights" and gradient.source is None:
        # older records are of the mean of all samples, which gave away those that judge
        content["mean"] = "of the attacker's half"
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def provenance(
    device: str, threads: int, stacked: bool, seeds: dict[str, int], seconds: float, libraries: Collection[str] = ()
) -> dict[str, Any]:
    """Where, when and with what a record was made: commit, dirty flag, package versions, seeds, hardware.

    threads, stacked: of torch, and whether draws were evaluated many at once. Both change roundings.
    seconds: wall time of the cell. libraries: those of the cell, whose versions are told beside the protocol's.
    """
    packages = ("torch", "numpy", "scipy", *(_PACKAGES[one] for one in _PACKAGES if one in {*LIBRARIES, *libraries}))
    return {
        **commit(),
        "protocol": PROTOCOL_VERSION,
        "packages": {name: _version(name) for name in packages},
        "python": platform.python_version(),
        "seeds": seeds,
        "device": device_name(device),
        "stacked": stacked,
        "cores": os.cpu_count(),
        "threads": threads,
        "seconds": seconds,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@functools.cache
def _version(package: str) -> str:
    return version(package)


@functools.cache
def device_name(device: str) -> str:
    """What the hardware calls itself."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@functools.cache
def commit() -> dict[str, Any]:
    """Commit of the code that runs; None for an installed package without a repository."""
    folder = Path(benchmark.__file__).resolve().parent
    unknown: dict[str, Any] = {"commit": None, "dirty": None}
    if not (folder.parent / ".git").exists():  # installed: a repository further up is somebody else's
        return unknown
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()
        status = subprocess.run(
            ["git", "status", "--porcelain", "--", "benchmark", "zoo"],
            cwd=folder.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return unknown
    return {"commit": commit, "dirty": bool(status.strip())}
