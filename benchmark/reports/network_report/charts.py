"""Lines as SVG: the coordinates, which the template writes down; colours are the stylesheet's, and follow its theme."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmark.results.share import Share

WIDTH, HEIGHT = 400, 250
LEFT, RIGHT, TOP, BOTTOM = 36, 388, 12, 212  # of the area that is drawn in
APART = 32  # between the numbers below an axis, so that none covers another
STYLES = 8  # colours with a marker and dashes each; see `report.css`


@dataclass(frozen=True)
class Series:
    """A line of a chart.

    shares: place on the axis -> accuracy there, in order. style: of the line and its markers, from 0 on.
    band: whether its intervals are drawn.
    """

    name: str
    shares: dict[float, Share]
    style: int
    band: bool = False


@dataclass(frozen=True)
class Line:
    """A series in coordinates: of its corners, of its markers, and of its band, empty where there is none."""

    name: str
    style: int
    corners: str
    markers: list[tuple[float, float]]
    band: str


@dataclass(frozen=True)
class Chart:
    """Accuracy in % upwards. alt: what a reader hears who does not see it. ticks: coordinate and number."""

    title: str
    alt: str
    axis: str
    lines: list[Line]
    across: list[tuple[float, str]]
    upwards: list[tuple[float, str]]


def chart(
    title: str,
    axis: str,
    series: Sequence[Series],
    number: Callable[[float], str],
    marked: Iterable[float] = (),
    doubling: bool = False,
) -> Chart:
    """A chart of at least one series.

    axis: what is shown across. number: how a place on the axis is written. marked: places to be written first.
    doubling: whether the axis counts doublings.
    """
    places = sorted({place for one in series for place in one.shares})
    scale = math.log2 if doubling else float
    first, last = scale(places[0]), scale(places[-1])

    def x(place: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (scale(place) - first) / ((last - first) or 1), 1)

    ticks = _apart([places[0], places[-1], *marked, *places], x)
    return Chart(
        title,
        f"{title}. " + "; ".join(_in_words(one, number) for one in series) + ".",
        axis,
        [_line(one, x) for one in series],
        [(x(place), number(place)) for place in ticks],
        [(_y(share), f"{100 * share:.0f}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)],
    )


def _apart(places: Iterable[float], x: Callable[[float], float]) -> list[float]:
    """Of places, the first of those that would be too near to one another."""
    kept: list[float] = []
    for place in places:
        if all(abs(x(place) - x(other)) >= APART for other in kept):
            kept.append(place)
    return sorted(kept)


def _y(share: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * share, 1)


def _line(series: Series, x: Callable[[float], float]) -> Line:
    markers = [(x(place), _y(share.value)) for place, share in series.shares.items()]
    low, high = ([(x(p), _y(s.interval[end])) for p, s in series.shares.items()] for end in (0, 1))
    return Line(series.name, series.style, _corners(markers), markers, _corners([*low, *high[::-1]], series.band))


def _corners(points: Sequence[tuple[float, float]], drawn: bool = True) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points) if drawn else ""


def _in_words(series: Series, number: Callable[[float], str]) -> str:
    ends = (min(series.shares), max(series.shares))
    return f"{series.name}: " + ", ".join(f"{100 * series.shares[end].value:.1f} % at {number(end)}" for end in ends)
