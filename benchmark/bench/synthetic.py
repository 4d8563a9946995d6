"""Records of as many images as are asked for, made from those of one shard: everything takes them for real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from benchmark.protocol import SHARD
from benchmark.records.agreement import Comparison
from benchmark.records.outcome import COLUMNS, Outcome
from benchmark.records.parts import Planting
from benchmark.records.record import Record

_APART = 10_000  # between the indices of an image and of its copy: no test split is larger


def attacked_by(records: Iterable[Record], attacks: int) -> list[Record]:
    """Of every entry's records on the first shard, `attacks` that leaderboards take.

    The columns of its rows come first, then what is measured at eps = 0, then adaptive attacks, as many kinds as there
    is room for.
    """
    by_entry: dict[str, list[Record]] = {}
    for record in records:
        if record.cell.start == 0 and record.cell.stop == SHARD and record.role.on_leaderboards:
            by_entry.setdefault(record.cell.model, []).append(record)
    return [record for of_entry in by_entry.values() for record in _chosen(of_entry)[:attacks]]


def _chosen(records: list[Record]) -> list[Record]:
    seen = dict[str, int]()

    def place(record: Record) -> tuple[int, int]:
        role = record.role
        if role.is_column or not role.budget:
            return 0 if role.is_column else 1, 0
        seen[role.called] = seen.get(role.called, 0) + 1
        return 2, seen[role.called]

    return sorted(records, key=place)


def copied(records: Iterable[Record], shards: int) -> Iterator[Record]:
    """Records of the first shard, and copies of them for shards - 1 others.

    A copy has other images and another key. Its images are in another order, the same one in all records of a shard,
    so that every count is that of the first shard.
    """
    records = list(records)
    order = {one.cell.model: one.examples for one in sorted(records, key=lambda one: len(one.examples))}
    yield from records
    for shard in range(1, shards):
        places = np.random.default_rng(shard).permutation(SHARD)
        moved = {
            model: {example: int(place) for example, place in zip(examples, places, strict=False)}
            for model, examples in order.items()
        }
        for record in records:
            yield _copy(record, shard, moved[record.cell.model])


def _copy(record: Record, shard: int, places: Mapping[int, int]) -> Record:
    """places: example -> its place in the copied shard."""
    order = sorted(range(len(record.examples)), key=lambda at: places[record.examples[at]])

    def moved(examples: Iterable[int]) -> list[int]:
        return [shard * _APART + example for example in sorted(examples, key=places.__getitem__)]

    def of_outcome(outcome: Outcome) -> Outcome:
        columns: dict[str, Any] = {
            name: [values[at] for at in order] for name in COLUMNS if (values := getattr(outcome, name))
        }
        return replace(outcome, violations=moved(outcome.violations), **columns)

    def of_pair(pair: Comparison) -> Comparison:
        return replace(pair, only_first=tuple(moved(pair.only_first)), only_second=tuple(moved(pair.only_second)))

    cell, planting = record.cell, record.planting
    return replace(
        record,
        key=hashlib.sha256(f"{record.key} {shard}".encode()).hexdigest(),
        cell=replace(
            cell,
            start=cell.start + shard * SHARD,
            stop=cell.stop + shard * SHARD,
            only=None if cell.only is None else tuple(moved(cell.only)),
        ),
        examples=moved(record.examples),
        labels=[record.labels[at] for at in order],
        clean=of_outcome(record.clean),
        outcomes={library: of_outcome(outcome) for library, outcome in record.outcomes.items()},
        agreement=[of_pair(pair) for pair in record.agreement],
        planting=None
        if planting is None
        else Planting(moved(planting.planted), moved(planting.by_chance), planting.of_logits),
    )
