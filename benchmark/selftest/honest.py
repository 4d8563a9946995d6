"""Honest networks of kinds that an audit may take for broken ones."""

from __future__ import annotations

from dataclasses import dataclass

from zoo import ZooEntry


@dataclass(frozen=True)
class Honest:
    """entry: what is attacked. what: what it is, and why it is honest, in a line."""

    entry: ZooEntry
    what: str


HONEST: dict[str, Honest] = {}
