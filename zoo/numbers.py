"""Numbers as people write them: 0.3, "8/255", one alone or several."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any


def number(given: Any, what: str) -> float:
    """A number, or a text such as 0.3 or 8/255. what: its name, for what is refused. Raises ValueError for another."""
    try:
        return float(Fraction(given)) if isinstance(given, str) and "/" in given else float(given)
    except (TypeError, ValueError, ZeroDivisionError):
        raise ValueError(f"{what} {given!r} is not a number such as 0.3 or 8/255") from None


def numbers(given: Any, what: str) -> tuple[float, ...]:
    """Several of them, or one alone. Raises ValueError as `number` does."""
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    return tuple(number(one, what) for one in several)
