"""Which records can be compared; of one configuration, which records count and how the libraries agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmark.attacks.spec import AttackSpec
from benchmark.plan.cells import Cell, Reading
from benchmark.records.agreement import Comparison, merged
from benchmark.records.record import Record


@dataclass(frozen=True)
class Configuration:
    """What makes two results of a zoo entry comparable: a row of a leaderboard is one of these under a threat model.

    data, protocol: fingerprint of the images and version of the protocol; results across them never mix. Library
    versions are not part of it: of one cell run under several, the record finished last counts.
    """

    model: str
    fingerprint: str
    data: str
    protocol: str
    attack_draws: int
    judge_draws: int
    seed: int
    reading: Reading = Reading.HEADLINE

    @property
    def group(self) -> tuple[object, ...]:
        """Network, data, judge and seed: the same for configurations that differ in the attacker's draws alone."""
        return *self.network, self.judge_draws, self.reading

    @property
    def network(self) -> tuple[object, ...]:
        """Network, data and seed: the same for every reading."""
        return self.model, self.fingerprint, self.data, self.protocol, self.seed


def configuration(record: Record) -> Configuration:
    """The configuration that a record is of."""
    cell = record.cell
    return Configuration(
        cell.model,
        record.fingerprints["model"],
        record.fingerprints["data"],
        str(record.provenance["protocol"]),
        cell.attack_draws,
        cell.judge_draws,
        cell.seed,
        cell.reading,
    )


def last_finished(records: Iterable[Record]) -> str:
    """When the last of some records was finished."""
    return max(str(record.provenance["finished"]) for record in records)


def without_subsumed(records: Iterable[Record]) -> list[Record]:
    """Drop records whose examples and libraries are part of another record of the same attack; the order stays.

    Of two records of the very same cell (made with other library versions, say) a complete one is preferred, then
    the one finished last. Of images that other attacks had left, one that broke what the larger one did not stays:
    whatever breaks an image counts.
    """
    records = list(records)
    by_attack: dict[tuple[Configuration, AttackSpec, str | None], list[Record]] = defaultdict(list)
    for record in records:
        by_attack[configuration(record), record.cell.attack, record.fingerprints.get("attack")].append(record)
    counted = {
        id(record) for same in by_attack.values() for part in _overlapping(same) for record in _not_covered(part)
    }
    return [record for record in records if id(record) in counted]


def _overlapping(records: list[Record]) -> Iterator[list[Record]]:
    """Parts without a position in common: a record and one that covers it are in the same."""
    part, end = list[Record](), 0
    for record in sorted(records, key=lambda record: record.cell.start):
        if part and record.cell.start >= end:
            yield part
            part = []
        part.append(record)
        end = max(end, record.cell.stop)
    yield part


def _not_covered(records: list[Record]) -> list[Record]:
    kept = list[Record]()
    for record in sorted(records, key=lambda record: (record.complete, str(record.provenance["finished"]))):
        kept = [other for other in kept if not _subsumes(record, other)]
        if not any(_subsumes(other, record) for other in kept):
            kept.append(record)
    return kept


def _subsumes(record: Record, other: Record) -> bool:
    if not _covers(record.cell, other.cell):
        return False
    return other.cell.only is None or other.cell.only == record.cell.only or other.broken <= record.broken


def _covers(cell: Cell, other: Cell) -> bool:
    within = cell.start <= other.start and other.stop <= cell.stop
    images = cell.only is None or (other.only is not None and set(other.only) <= set(cell.only))
    return within and images and set(other.libraries) <= set(cell.libraries)


def merged_agreement(records: Iterable[Record]) -> dict[tuple[Configuration, AttackSpec], list[Comparison]]:
    """Per configuration and attack one comparison for every pair of libraries, over all shards."""
    found: dict[tuple[Configuration, AttackSpec], dict[tuple[str, str], list[Comparison]]] = defaultdict(dict)
    for record in records:
        of_attack = found[configuration(record), record.cell.attack]
        for pair in record.agreement:
            of_attack.setdefault((pair.first, pair.second), []).append(pair)
    return {of: [merged(pairs) for pairs in of_attack.values()] for of, of_attack in found.items()}
