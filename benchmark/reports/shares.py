"""How a share of images is written, in %."""

from __future__ import annotations

from benchmark.results.rows import Row
from benchmark.results.share import Share


def percent(share: Share, interval: bool = False, digits: int = 1) -> str:
    """`93.0` or `93.0 [86.3, 96.6]`."""
    text = f"{100 * share.value:.{digits}f}"
    if interval:
        low, high = share.interval
        text += f" [{100 * low:.{digits}f}, {100 * high:.{digits}f}]"
    return text


def of_audit(share: Share | None, row: Row) -> str:
    """`75.0`, or `75.0 of 100` where only so many of a row's images were asked; empty for none."""
    if share is None:
        return ""
    return percent(share) + ("" if share.count == row.worst.count else f" of {share.count}")
