"""Square on every image of the boards' entry that HMC sampled, and of the maximum of its posterior.

An audit runs Square on what gradients left, which says whether gradients are masked, and not how robust a network is to
an attacker who has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmark.attacks.spec import ThreatModel
from benchmark.papers.posteriors.suite import by_known_draws, by_unknown_draws
from benchmark.plan.adaptive_attack import usual
from benchmark.plan.cells import Cell, Reading, Selection, Subject
from benchmark.plan.suite import Suite, by_shard
from benchmark.protocol import eps_grid
from benchmark.records.record import Record
from zoo.files import write_whole

SAMPLED, ITS_MAXIMUM = "mnist/hmc-mlp", "mnist/mlp-50"  # of the boards: HMC's samples, and their posterior's maximum
FILE = "square.csv"  # in the folder of studies
COLUMNS = ("model", "norm", "eps", "reading", "queries", "right", "survive")


class QuerySuite(Suite):
    """The boards' smaller eps in each norm, by an attacker of half the samples and by one of all that judge."""

    def cells(self, subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        cells = []
        for subject in subjects:
            for norm, grid in eps_grid(subject.dataset).items():
                threat = ThreatModel(norm, min(eps for eps in grid if eps > 0))
                attack = usual("square")(threat)
                kind = subject.kind
                for reading in dict.fromkeys((by_unknown_draws(kind, subject.is_sample), by_known_draws(kind))):
                    draws = subject.draws(None, reading)
                    cells += [
                        subject.cell(attack, shard, ("torchattacks",), draws, selection.seed, reading=reading)
                        for shard in self.shards_of(subject, selection)
                    ]
        return by_shard(cells)


QUERY_SUITE = QuerySuite("queries", "Square on every image", 100, (SAMPLED, ITS_MAXIMUM))


class Queried(NamedTuple):
    """What Square did to a network's images: how many there are, are right, and are right and then broken."""

    queries: int
    images: int
    right: int
    broken: int


Queries = Mapping[tuple[str, ThreatModel, Reading], Queried]


def write_queries(records: Iterable[Record], out: Path) -> Path:
    """A line for each network, threat model and reading, its outcomes image by image."""
    lines: dict[tuple[object, ...], list[str]] = {}
    for record in sorted(records, key=lambda one: one.cell.start):
        cell = record.cell
        of = (cell.model, cell.attack.threat.norm, cell.attack.threat.eps, str(cell.reading), cell.attack.steps)
        survivors = record.right - record.broken
        bits = ["".join("01"[image in which] for image in record.examples) for which in (record.right, survivors)]
        lines[of] = [before + more for before, more in zip(lines.get(of, ["", ""]), bits, strict=True)]
    frame = pd.DataFrame([(*of, *bits) for of, bits in lines.items()], columns=list(COLUMNS))
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / FILE, frame.sort_values(list(COLUMNS[:4])).to_csv(index=False).encode())
    return out / FILE


def read_queries(studies: Path) -> Queries:
    """Empty where nothing was measured. Raises ValueError for outcomes that are not of the same images."""
    path = studies / FILE
    if not path.is_file():
        return {}
    found = {}
    for line in pd.read_csv(path, dtype={"right": str, "survive": str}).itertuples():
        right, survive = str(line.right), str(line.survive)
        if len(right) != len(survive) or any(r < s for r, s in zip(right, survive, strict=True)):
            raise ValueError(f"{path}, {line.model}: what survives is not among what is right; restore it")
        threat = ThreatModel("l2" if line.norm == "l2" else "linf", float(str(line.eps)))
        count = right.count("1")
        found[str(line.model), threat, Reading(str(line.reading))] = Queried(
            int(str(line.queries)), len(right), count, count - survive.count("1")
        )
    return found
