"""One entry over all its threat models: rows, audits, adaptive attacks and detection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import ThreatModel
from benchmark.plan.ladder import Ladder
from benchmark.records.record import Record
from benchmark.results.audits import Audit
from benchmark.results.checks import Status, Verdict, worst_verdicts
from benchmark.results.configuration import Configuration
from benchmark.results.detection import Detection, detections
from benchmark.results.rows import Row


@dataclass(frozen=True)
class Entry:
    """rows: one a threat model, on all images that were attacked; at least one."""

    rows: Sequence[Row]

    @property
    def configuration(self) -> Configuration:
        return self.rows[0].configuration

    @property
    def name(self) -> str:
        return self.configuration.model

    @property
    def dataset(self) -> str:
        return self.rows[0].dataset

    @cached_property
    def audits(self) -> Mapping[Norm, Audit]:
        """Norm -> its audit."""
        return {row.threat.norm: row.audit for row in self.rows}

    @property
    def statuses(self) -> Mapping[Norm, Status]:
        """Norm -> its worst verdict."""
        return {norm: audit.status for norm, audit in self.audits.items()}

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """Check -> its verdict in the norm where it is worst."""
        return worst_verdicts(verdict for audit in self.audits.values() for verdict in audit.verdicts)

    @property
    def ladders(self) -> Mapping[ThreatModel, Ladder]:
        """Threat model -> robust accuracy against the draws of each step, where any image was left to climb."""
        found = {row.threat: row.audit.evidence.audited.ladders.get(row.threat) for row in self.rows}
        return {threat: ladder for threat, ladder in found.items() if ladder is not None}

    @cached_property
    def adaptive(self) -> Mapping[str, list[Record]]:
        """Adaptive attack -> its records in both norms, on the images that met every attack."""
        by_name: dict[str, dict[str, Record]] = {}
        for audit in self.audits.values():
            for name, records in audit.evidence.audited.adaptive.items():
                by_name.setdefault(name, {}).update({record.key: record for record in records})
        return {name: list(records.values()) for name, records in by_name.items()}

    @property
    def white_box(self) -> list[Record]:
        """The records of its columns in both norms."""
        return [record for audit in self.audits.values() for record in audit.evidence.records]

    @cached_property
    def detections(self) -> list[Detection]:
        """Whether its uncertainty gives an attack away."""
        return detections(self.name, self.dataset, self.adaptive)
