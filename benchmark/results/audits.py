"""From records to audits: the evidence on every entry, norm by norm, and what the checks say of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from benchmark.attacks.spec import ThreatModel
from benchmark.records.record import Record
from benchmark.results.checks import Status, Verdict, verdicts, worst_status
from benchmark.results.configuration import Configuration, configuration
from benchmark.results.evidence import Evidence


@dataclass(frozen=True)
class Audit:
    """The evidence on one entry in one norm, and what the checks say of it.

    reference: whether the entry is the project's own, shown beside a user's. submitted: whether somebody submitted it.
    """

    configuration: Configuration
    evidence: Evidence
    reference: bool = False
    submitted: bool = False

    @property
    def dataset(self) -> str:
        return self.evidence.records[0].cell.dataset

    @property
    def family(self) -> str:
        return self.evidence.records[0].family

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """One of every check, in the order of their numbers."""
        return verdicts(self.evidence)

    @property
    def status(self) -> Status:
        """The worst verdict, which gates the rank."""
        return worst_status(self.verdicts)

    @property
    def threats(self) -> list[ThreatModel]:
        """The threat models that it has rows under."""
        return list(dict.fromkeys(record.cell.attack.threat for record in self.evidence.records))


def audits_of(records: Iterable[Record], reference: bool = False) -> list[Audit]:
    """One for every configuration and norm that has a white-box attack, or else what was run in its place.

    An attack with other draws than the protocol's is an adaptive attack where the network was also attacked with the
    protocol's draws; where it was not, the attack is a column itself.
    """
    configured = [(record, configuration(record)) for record in records]
    of_columns = [(record, config.group) for record, config in configured if record.role.is_column]
    groups = {group for record, group in of_columns if record.role.protocol_draws}
    with_columns = {(group, record.cell.attack.threat.norm) for record, group in of_columns}
    columns: dict[Configuration, list[Record]] = defaultdict(list)
    extra: dict[tuple[object, ...], list[Record]] = defaultdict(list)
    readings: dict[tuple[object, ...], list[Record]] = defaultdict(list)
    for record, config in configured:
        role = record.role
        alone = role.may_stand_alone and (config.group, record.cell.attack.threat.norm) not in with_columns
        if alone or (role.is_column and (role.protocol_draws or config.group not in groups)):
            columns[config].append(record)
        elif role.headline:
            extra[config.group].append(record)
        else:
            readings[config.network].append(record)
    return [
        Audit(config, _evidence(norm, attacks, extra[config.group], readings[config.network]), reference)
        for config, attacks in columns.items()
        for norm in dict.fromkeys(record.cell.attack.threat.norm for record in attacks)
    ]


def _evidence(norm: str, columns: list[Record], extra: list[Record], readings: list[Record]) -> Evidence:
    return Evidence(
        [record for record in columns if record.cell.attack.threat.norm == norm],
        [record for record in extra if record.cell.attack.threat.norm == norm or record.role.is_of_every_norm],
        [record for record in readings if record.cell.attack.threat.norm == norm],
    )
