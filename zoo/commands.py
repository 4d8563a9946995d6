"""What the commands of the project have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import typer


@contextlib.contextmanager
def mistakes_in_one_line() -> Iterator[None]:
    """A mistake in a command, missing data or a damaged file: one line on stderr and exit status 2, no traceback."""
    try:
        yield
    except (ValueError, KeyError, OSError) as error:
        # str of a KeyError would put its message in quotes
        message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        typer.secho(f"error: {message}", fg="red", err=True)
        raise typer.Exit(2) from None


def require_device(device: str) -> None:
    """Raises ValueError if nothing can be computed on `device` here."""
    import torch

    try:
        torch.zeros(1, device=device).sum().item()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {device} is not available here: {str(error).splitlines()[0]}") from error
