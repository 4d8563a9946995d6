"""The attacker's loss at each gradient: an attack whose loss still rises at its last step had too few steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.attacks.spec import AttackSpec, format_eps
from benchmark.protocol import label_of
from benchmark.records.images import CellImages
from benchmark.records.record import Record
from benchmark.results.entries import Entry
from benchmark.results.images import REMEDY
from benchmark.results.shown import Shown
from zoo.lookup import lookup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUANTILES = {"low": 0.1, "median": 0.5, "high": 0.9}


class Losses(Shown):
    """The attacker's cross-entropy at each gradient of one attack.

    frame: library, gradient (from 1; restarts follow each other), images, mean, and the quantiles low (10 %), median
    and high (90 %) over images, in nats.
    """

    def __init__(self, model: str, attack: AttackSpec, frame: pd.DataFrame) -> None:
        self.model, self.attack, self.frame = model, attack, frame

    @cached_property
    def figure(self) -> Figure:
        """Mean and quantiles against the gradients: a convergence plot, a line for every library."""
        from benchmark.reports.figures.results import loss_against_gradients

        return loss_against_gradients(f"{label_of(self.attack)}, eps {format_eps(self.attack.threat.eps)}", self.frame)


def losses_of(entry: Entry, attack: str, eps: float | None, packed: Mapping[str, bytes]) -> Losses:
    """The losses of one attack on an entry. packed: by key of a record, what its cell kept.

    Of several attacks of one name the protocol's, or else the first.
    Raises KeyError for an attack that was not run, ValueError where several eps could be meant or no losses were kept.
    """
    by_eps = lookup(_by_name(entry), attack, "attack among the results")
    if eps not in by_eps and (eps is not None or len(by_eps) > 1):
        there = ", ".join(map(format_eps, sorted(by_eps)))
        raise ValueError(f"name the eps of {attack} that is meant; there are: {there}")
    first, *more = next(iter(by_eps.values())) if eps is None else by_eps[eps]
    same = [first, *(record for record in more if _settings(record) == _settings(first))]
    kept = [CellImages.unpacked(packed[record.key]).losses for record in same if record.key in packed]
    if not kept:
        raise ValueError(f"no losses of {attack} on {entry.name}: {REMEDY}")
    return Losses(entry.name, first.cell.attack, _frame(first.cell.libraries, kept))


def _by_name(entry: Entry) -> dict[str, dict[float, list[Record]]]:
    """Attack -> eps -> its records, those of the protocol's attacks first."""
    found: dict[str, dict[float, list[Record]]] = {}
    for audit in entry.audits.values():
        for record in audit.evidence.records + audit.evidence.extra:
            if record.role.counts_in_worst_case:
                spec = record.cell.attack
                found.setdefault(label_of(spec), {}).setdefault(spec.threat.eps, []).append(record)
    return found


def _settings(record: Record) -> tuple[AttackSpec, int]:
    return record.cell.attack, record.cell.attack_draws


def _frame(libraries: Sequence[str], kept: Sequence[Mapping[str, NDArray[np.float32]]]) -> pd.DataFrame:
    """kept: shard by shard, library -> (G, N)."""
    lines = []
    for library in libraries:
        shards = [losses[library] for losses in kept if library in losses]
        for place in range(max(map(len, shards), default=0)):
            values = np.concatenate([losses[place] for losses in shards if place < len(losses)])
            quantiles = {name: float(np.quantile(values, at)) for name, at in QUANTILES.items()}
            of_gradient = {"library": library, "gradient": place + 1, "images": len(values)}
            lines.append({**of_gradient, "mean": float(values.mean()), **quantiles})
    return pd.DataFrame(lines)
