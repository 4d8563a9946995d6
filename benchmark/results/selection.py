"""Which records count: of one name one network, and in the project's own leaderboards only what belongs there."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from benchmark.protocol import BOUNDS_VERSION, PROTOCOL_VERSION, SHARD, surrogate_fingerprint
from benchmark.records.record import Record
from benchmark.results.configuration import without_subsumed
from zoo import models
from zoo.targets import SURROGATE


class Sifted(NamedTuple):
    """dropped: a line for every entry and reason."""

    records: list[Record]
    dropped: list[str]


def sifted(records: Iterable[Record]) -> Sifted:
    """The records of this protocol and, of every name, of one network.

    It is the zoo's network where the zoo has the name, and otherwise the one whose record was finished last. A transfer
    counts only if this holds for both its networks: the attacked one, and the source of its gradients.
    """
    records = list(records)
    networks = counted_networks(records)
    kept, dropped = [], Counter[str]()
    for record in records:
        if reason := _out_of_date(record, networks):
            dropped[f"{record.cell.model}: {reason}"] += 1
        else:
            kept.append(record)
    return Sifted(kept, [f"dropped {count} records of {of}" for of, count in dropped.items()])


def counted_networks(records: Iterable[Record]) -> dict[str, str]:
    """Name -> fingerprint of the network that counts, for every name in the records.

    The fingerprint of a network from outside the zoo holds what it answered where it ran and is not computed again.
    """
    last: dict[str, tuple[bool, str, str]] = {}
    for record in records:
        for role, name in _names(record).items():
            # a network that was attacked under the name counts before one that was only a transfer's source
            candidate = role == "model", str(record.provenance["finished"]), record.fingerprints[role]
            last[name] = max(last.get(name, candidate), candidate)
    return {
        name: models[name].fingerprint if is_of_the_zoo(name) else fingerprint
        for name, (_, _, fingerprint) in last.items()
    }


@functools.cache
def is_of_the_zoo(name: str) -> bool:
    """Whether a name is that of an entry which this repository itself registers."""
    return name in models and not models[name].is_external


def _out_of_date(record: Record, networks: Mapping[str, str]) -> str:
    """Why a record does not count; empty if it does."""
    if record.provenance["protocol"] != PROTOCOL_VERSION:
        return f"of protocol {record.provenance['protocol']}, this one is {PROTOCOL_VERSION}"
    for role, name in _names(record).items():
        if record.fingerprints[role] != networks[name]:
            where = "the zoo" if is_of_the_zoo(name) else "a later run"
            return f"{where} has another network under the name {name}"
    fingerprints = record.fingerprints
    if record.cell.attack.source == SURROGATE and fingerprints["source"] != surrogate_fingerprint(
        fingerprints["model"]
    ):
        return "surrogates are made otherwise now"
    if record.certificate is not None and fingerprints["bounds"] != BOUNDS_VERSION:
        return "bounds are computed otherwise now"
    return ""


def _names(record: Record) -> dict[str, str]:
    """`model`, and `source` of a transfer -> name of that network of a record; a surrogate has none."""
    source = record.cell.attack.source
    return {"model": record.cell.model} | ({} if source in (None, SURROGATE) else {"source": source})


class Split(NamedTuple):
    """project: records of the project's leaderboards. others: the rest, but for those that a larger run holds.

    reasons: entry -> why records of it are among the others.
    """

    project: list[Record]
    others: list[Record]
    reasons: dict[str, str]


def split(records: Iterable[Record], stored: Collection[str]) -> Split:
    """Which records belong into the project's own leaderboards: of its entries alone, on the whole first shard.

    stored: keys of the records in a user's store. A larger run there holds a smaller one; the project's records do not.
    """
    records = list(records)
    reasons = {record.key: reason for record in records if (reason := _why_apart(record))}
    theirs = without_subsumed(record for record in records if record.key in reasons or record.key in stored)
    others = [record for record in theirs if record.key in reasons]
    return Split(
        [record for record in records if record.key not in reasons],
        others,
        {record.cell.model: reasons[record.key] for record in others},
    )


def _why_apart(record: Record) -> str:
    """Why a record does not belong into the project's leaderboards; empty if it does."""
    for name in _names(record).values():
        if not is_of_the_zoo(name):
            return "no entry of this repository" if name == record.cell.model else f"attacked through {name}"
    cell = record.cell
    if cell.attack.is_own:
        return f"attacked by {cell.attack.name}"
    adaptive = record.role.adaptive
    whole = SHARD if adaptive is None or adaptive.images is None else adaptive.images
    return "" if cell.start > 0 or cell.stop >= whole else f"{cell.stop} images, fewer than {whole}"
