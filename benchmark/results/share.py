"""A share of images with its interval."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.statistics import wilson


@dataclass(frozen=True)
class Share:
    """hits of count images, with the Wilson 95 % interval."""

    hits: int
    count: int

    @property
    def value(self) -> float:
        return self.hits / self.count

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.hits, self.count)
