"""Rows against each other, on the images that both have: which are certainly more robust, and the ranks that follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmark.results.rows import Row
from benchmark.statistics import corrected, images_to_separate, mcnemar


@dataclass(frozen=True)
class Paired:
    """Two rows on the images that both have.

    only_first, only_second: images that survive in one of them alone, of `count`.
    p: exact McNemar test. corrected: the same for all pairs of the board together.
    needed: images that would separate the two with 80 % power if they differ as they do here; None if they do not.
    """

    first: Row
    second: Row
    only_first: int
    only_second: int
    count: int
    p: float
    corrected: float
    needed: int | None

    @property
    def better(self) -> Row | None:
        """The row that is more robust, at 5 % of false calls; None where the data cannot say."""
        if self.corrected >= 0.05:
            return None
        return self.first if self.only_first > self.only_second else self.second


def paired_tests(rows: Sequence[Row]) -> list[Paired]:
    """All pairs of rows that have images in common, with p-values corrected for their number."""
    on, alive = _images_of(rows)
    common, only = on @ on.T, alive @ (on - alive).T
    counts = [
        (rows[i], rows[j], int(only[i, j]), int(only[j, i]), int(common[i, j]))
        for i, j in combinations(range(len(rows)), 2)
        if common[i, j]
    ]
    p_values = [mcnemar(only_first, only_second) for _, _, only_first, only_second, _ in counts]
    return [
        Paired(*pair, p, adjusted, images_to_separate(*pair[2:]))
        for pair, p, adjusted in zip(counts, p_values, corrected(p_values), strict=True)
    ]


def _images_of(rows: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(rows, images) 1 for an image that a row is on, and 1 for one that survives, of all images of the rows."""
    examples = [np.fromiter(row.survivors.keys(), np.int64) for row in rows]
    images = np.unique(np.concatenate([np.empty(0, np.int64), *examples]))
    on, alive = np.zeros((2, len(rows), len(images)))
    for place, (row, of_row) in enumerate(zip(rows, examples, strict=True)):
        columns = np.searchsorted(images, of_row)
        on[place, columns] = 1
        alive[place, columns] = np.fromiter(row.survivors.values(), bool)
    return on, alive


def ranked(rows: list[Row]) -> list[Row]:
    """Best first; rows whose verdict is FAIL or ERROR, or without an attack of the protocol, come last, without rank.

    A row's rank is one more than the number of rows that are certainly more robust.
    """
    rows = sorted(rows, key=lambda row: (-row.worst.value, row.configuration.model, row.configuration.attack_draws))
    eligible = [row for row in rows if row.is_rankable]
    beaten = Counter(id(pair.second if pair.better is pair.first else pair.first) for pair in separated(eligible))
    ranked = [replace(row, rank=1 + beaten[id(row)]) for row in eligible]
    return ranked + [row for row in rows if not row.is_rankable]


def separated(rows: Sequence[Row]) -> list[Paired]:
    """The pairs of rows that the data can tell apart."""
    return [pair for pair in paired_tests(rows) if pair.better is not None]
