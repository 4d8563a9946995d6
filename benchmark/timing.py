"""Where a run's time went, by kind of work."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Timing(dict[str, float]):
    """Seconds by kind of work: loading, gradients, libraries, bounds, judge, store; and counts of gradients.

    asked, computed: batches whose gradient the libraries asked for, and those that were not shared. What several
    processes measured adds up.
    """

    def __missing__(self, kind: str) -> float:
        return 0.0

    def add(self, other: dict[str, float]) -> None:
        """Add what another process or part measured."""
        for kind, amount in other.items():
            self[kind] += amount

    @contextlib.contextmanager
    def measuring(self, kind: str) -> Iterator[None]:
        """Add the time that the block takes."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self[kind] += time.perf_counter() - began


def duration(seconds: float) -> str:
    """`42 s`, `5 min 3 s`, `2 h 14 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
