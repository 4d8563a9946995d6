"""A share of images as the pages draw it: a dot, its interval, what white-box attacks left, what is certified."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.reports.shares import percent
from benchmark.results.share import Share


@dataclass(frozen=True)
class Bar:
    """All in %, with one digit as it is written. alt: the same in words, for readers who do not see it."""

    value: float
    low: float
    high: float
    whitebox: float | None
    alt: str
    certified: float | None = None

    @classmethod
    def of(cls, share: Share, whitebox: Share | None = None, certified: Share | None = None) -> Bar:
        """The bar of a share, a tick where the white-box attacks alone ended, and a line up to what is certified."""
        low, high = share.interval
        alt = f"{percent(share)} %, between {100 * low:.1f} and {100 * high:.1f}, of {share.count:,} images"
        if whitebox is not None:
            alt += f"; white-box attacks alone {percent(whitebox)} %"
        if certified is not None:
            alt += f"; certified {percent(certified)} % of {certified.count:,} images"
        tick, below = (None if one is None else _drawn(one.value) for one in (whitebox, certified))
        return cls(_drawn(share.value), _drawn(low), _drawn(high), tick, alt, below)

    @property
    def text(self) -> str:
        return f"{self.value:.1f}"

    @property
    def interval(self) -> str:
        return f"[{self.low:.1f}, {self.high:.1f}]"


def _drawn(share: float) -> float:
    return round(100 * share, 1)
