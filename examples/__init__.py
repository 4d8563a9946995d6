"""The tutorial "Weight Uncertainty in Neural Networks" (seed 004) and seeds 002 and 003, with the zoo's own parts."""

from __future__ import annotations

from collections.abc import Callable

import typer

from zoo.registry import one_line


def command(run: Callable[..., None]) -> None:
    """Run an example from the command line; a mistake, such as missing data, is one line and exit status 2."""
    try:
        typer.run(run)
    except (ValueError, KeyError, OSError) as error:
        typer.secho(f"error: {one_line(error)}", fg="red", err=True)
        raise SystemExit(2) from None
