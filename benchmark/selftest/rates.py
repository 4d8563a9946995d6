"""How often a check raises a false alarm: of rows of honest networks, those that it flags or fails."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from benchmark.results.checks import ALL
from benchmark.results.entries import Entry

ALLOWED = 0.05  # share of honest rows that a check may flag: what is flagged more often is not read


class Rate(NamedTuple):
    """Of rows (an entry in a norm) that a check was open to: how many it flags, and how many it fails.

    fails: those with an error among them. rows: without those that it does not apply to or was not run on.
    """

    flags: int
    fails: int
    rows: int


def rates(entries: Iterable[Entry]) -> dict[str, Rate]:
    """Check -> its rate on entries that are all honest, in the order of the checks' numbers."""
    verdicts = [verdict for entry in entries for audit in entry.audits.values() for verdict in audit.verdicts]
    found = {}
    for name in ALL:
        statuses = [one.status for one in verdicts if one.check == name and one.applies]
        fails = sum(status in ("FAIL", "ERROR") for status in statuses)
        found[name] = Rate(statuses.count("FLAG"), fails, len(statuses))
    return found
