"""Times measured side by side: machines are shared, so only what ran in the same minute can be compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Line = dict[str, object]  # of a table
TABLES = (  # of `python -m benchmark.bench` and its page
    "gradients",
    "resnet",
    "chunks",
    "libraries",
    "overhead",
    "growth",
    "options",
    "forecast",
    "audits",
    "records",
    "bounds",
)


def side_by_side(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every work in `repeats` rounds in which each takes its turn, after one round that does not count.

    Every round begins with another work, so that none always inherits what the same one left in caches and memory.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    for round_ in range(repeats + 1):
        for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
            began = time.perf_counter()
            works[name]()
            if round_:
                times[name].append(time.perf_counter() - began)
    return times


def compared(times: Mapping[str, list[float]], reference: str, column: str) -> list[Line]:
    """A line for each work: median and quartiles of its time, and of its ratio to the reference in the same round."""
    return [
        {
            "what": name,
            "median [ms]": f"{1000 * statistics.median(seconds):.4g}",
            "quartiles [ms]": spread([1000 * second for second in seconds], digits=4),
            column: "1" if name == reference else ratio(seconds, times[reference]),
        }
        for name, seconds in times.items()
    ]


def ratio(above: list[float], below: list[float]) -> str:
    """Median and quartiles of the ratios round by round."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return f"{statistics.median(ratios):.3g} ({spread(ratios)})"


def spread(values: list[float], digits: int = 3) -> str:
    """First and third quartile."""
    first, _, third = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return f"{first:.{digits}g} to {third:.{digits}g}"
