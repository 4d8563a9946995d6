"""What speaks against a submission."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """check: a word for what was checked, as `docs/submitting.md` has it. says: what was found, value and remedy."""

    check: str
    says: str

    def __str__(self) -> str:
        return f"{self.check}: {self.says}"


class RefusedError(ValueError):
    """A submission that cannot be read any further."""

    def __init__(self, check: str, says: str) -> None:
        super().__init__(f"{check}: {says}")
        self.finding = Finding(check, says)


def few(names: list[str], shown: int = 3) -> str:
    """`a, b, c, ...`."""
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")
