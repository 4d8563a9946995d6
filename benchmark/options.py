"""What the options of a command line mean."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import typer

from benchmark.cells import Selection


def split(values: Sequence[str] | None) -> tuple[str, ...] | None:
    """Repeated options and comma-separated ones alike."""
    return tuple(part.strip() for value in values for part in value.split(",")) if values else None


def parsed_eps(values: Sequence[str]) -> tuple[float, ...] | dict[str, tuple[float, ...]] | None:
    """`0.1,8/255` for every norm; `linf=8/255` and `l2=0.5,1` norm by norm. Raises ValueError for anything else."""
    by_norm: dict[str, tuple[float, ...]] = {}
    for value in values:
        norm, _, radii = value.rpartition("=")
        by_norm[norm] = by_norm.get(norm, ()) + tuple(_number(text.strip()) for text in radii.split(","))
    if "" in by_norm and len(by_norm) > 1:
        raise ValueError(f"--eps {' --eps '.join(values)}: name the norm of each, as in --eps linf=8/255 --eps l2=0.5")
    return by_norm.get("", by_norm or None)


def _number(text: str) -> float:
    try:
        return float(Fraction(text)) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"--eps {text!r} is not a number such as 0.3 or 8/255") from None


def warn_of_large_eps(selection: Selection) -> None:
    """Say where a radius in linf is beyond the range of pixels: it was most likely meant in 255ths."""
    for eps in selection.radii("linf", ()):
        if eps > 1:
            typer.secho(
                f"warning: eps {eps:g} in linf is more than pixels range over, 0 to 1; was {eps:g}/255 meant?",
                fg="yellow",
                err=True,
            )
