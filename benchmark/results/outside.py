"""What images that were made elsewhere change about a row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from benchmark.records.record import Record
from benchmark.results.audits import audits_of
from benchmark.results.configuration import configuration
from benchmark.results.rows import Row, row_of


class Effect(NamedTuple):
    """The row of a network under a threat model, without what was made elsewhere and with it."""

    before: Row
    after: Row

    @property
    def broken(self) -> set[int]:
        """The examples that survive everything else."""
        return {example for example, alive in self.before.survivors.items() if alive != self.after.survivors[example]}


def effect_of(outside: Record, others: Iterable[Record]) -> Effect | None:
    """The effect of a record on the row of its network; None where nothing else was run under its threat model."""
    known = [one for one in others if one.cell.model == outside.cell.model and one.key != outside.key]
    before, after = _row(outside, known), _row(outside, [*known, outside])
    return None if before is None or after is None else Effect(before, after)


def _row(of: Record, records: Iterable[Record]) -> Row | None:
    """The row that a record counts in: of its network, data, judge and threat model."""
    threat, group = of.cell.attack.threat, configuration(of).group
    audits = (audit for audit in audits_of(records) if audit.configuration.group == group and threat in audit.threats)
    return next((row_of(audit, threat) for audit in audits), None)
