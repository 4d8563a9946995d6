"""The tables of a problem that are committed, and how a later run's join those of an earlier one."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pandas as pd

from benchmark.papers.posteriors import queries
from benchmark.papers.posteriors.outcomes import COLUMNS, read_outcomes, write_outcomes
from zoo.files import write_whole

MEASURES, SAMPLING = "measures.csv", "sampling.json"  # beside the outcomes


@dataclass(frozen=True)
class Tables:
    """outcomes: a line for each network and attack; see `outcomes`.    measures: a line for each network.

    sampling: posterior -> training -> how its sampler went.    queries: see `queries`.
    """

    outcomes: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(COLUMNS)))
    measures: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["posterior", "training", "made"]))
    sampling: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    queries: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(queries.COLUMNS)))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Of the folder that they were written to. Raises ValueError for damaged tables."""
        sampling = json.loads((folder / SAMPLING).read_text())
        return cls(read_outcomes(folder), pd.read_csv(folder / MEASURES), sampling, queries.read_queries(folder))

    def made_as(self, tags: Mapping[str, str]) -> Self:
        """What is of posteriors that were made as is said here of each."""
        measures = self.measures[self.measures["made"] == self.measures["posterior"].map(tags)]
        return self._only({*measures["posterior"]})

    def joined(self, later: Self) -> Self:
        """With a later run's tables, whose posteriors come in the place of what was there of them."""
        kept = self._only({*self.measures["posterior"]} - {*later.measures["posterior"]})
        frames = ((kept.outcomes, later.outcomes), (kept.measures, later.measures), (kept.queries, later.queries))
        outcomes, measures, asked = (
            pd.concat([one for one in pair if len(one)] or pair[:1], ignore_index=True) for pair in frames
        )
        return type(self)(outcomes, measures, kept.sampling | later.sampling, asked)

    def write(self, folder: Path, order: Mapping[str, int]) -> None:
        """Each whole or not at all. order: of the posteriors."""
        folder.mkdir(parents=True, exist_ok=True)
        write_outcomes(self.outcomes, folder)
        queries.write_queries(self.queries, folder)
        measures = self.measures.sort_values(["posterior", "training"], key=lambda column: column.replace(order))
        write_whole(folder / MEASURES, measures.to_csv(index=False).encode())
        write_whole(folder / SAMPLING, (json.dumps(self.sampling, indent=1) + "\n").encode())

    def _only(self, posteriors: Collection[str]) -> Self:
        frames = (self.outcomes, self.measures, self.queries)
        outcomes, measures, asked = (frame[frame["posterior"].isin([*posteriors])] for frame in frames)
        sampling = {name: of for name, of in self.sampling.items() if name in posteriors}
        return type(self)(outcomes, measures, sampling, asked)
