"""Adversarial images that were made elsewhere: judged as an attack's are, and recorded as such."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, get_args

import torch
from torch import Tensor

from benchmark.attacks.methods import OUTSIDE, Norm, own_name
from benchmark.attacks.own import OwnAttack
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.judge import violations
from benchmark.evaluation.kept import Kept
from benchmark.evaluation.loop import behaviours
from benchmark.evaluation.machine import Machine
from benchmark.plan.cells import Cell, Subject
from benchmark.protocol import example_order
from benchmark.records.image_files import ImageFile
from benchmark.records.record import Record
from benchmark.records.store import Store
from zoo import ZooEntry
from zoo.datasets import Split, dataset_spec
from zoo.kind import Kind


class Judged(NamedTuple):
    """record: of the images inside ball and box, which are packed beside it; None where there is none of them.

    outside: indices of the other images, which do not count.
    """

    record: Record | None
    images: bytes | None
    outside: list[int]


def judge_file(
    file: ImageFile, entry: ZooEntry, threat: ThreatModel, store: Store, machine: Machine, name: str = "outside"
) -> Judged:
    """What the entry's own judge makes of a file's images.

    store: which knows a network from outside the zoo by what it answered first; nothing is stored here.
    name: who made them, in place of a library's.
    Raises ValueError for a file that does not fit the entry, and for a network that fails on its images.
    """
    evaluator = Evaluator(machine, entries={entry.name: entry})
    split = evaluator.split(entry.dataset)
    require_fitting(file, entry, split)
    images, clean = torch.from_numpy(file.images), split.pixels(file.indices)
    bad = violations(clean, images, threat).tolist()
    outside = sorted(itertools.compress(file.indices, bad))
    inside = {index: image for index, image, is_bad in zip(file.indices, images, bad, strict=True) if not is_bad}
    if not inside:
        return Judged(None, None, outside)
    subject = evaluator.subject(entry)
    known = replace(machine, behaviours=behaviours([entry], [subject], store))
    return Judged(*_recorded(subject, threat, inside, file.sha256, known, entry, name), outside)


def _recorded(
    subject: Subject,
    threat: ThreatModel,
    images: Mapping[int, Tensor],
    sha256: str,
    machine: Machine,
    entry: ZooEntry,
    name: str,
) -> tuple[Record, bytes | None]:
    """A record like any other: of an attack that hands these images out. sha256: of the file that they are from."""
    examples = tuple(example for example in example_order(subject.size) if example in images)
    cell = Cell(
        subject.model,
        subject.dataset,
        AttackSpec(own_name(OUTSIDE, threat.norm), threat, 1.0, 1),
        0,
        subject.size,
        (name,),
        *subject.draws(),
        only=examples,
        finite=subject.kind is Kind.FINITE,
    )
    handed_out, kept = torch.stack([images[example] for example in examples]), Kept()
    attack = OwnAttack(OUTSIDE, get_args(Norm), name, None, sha256, lambda *_, **__: handed_out)
    record = Evaluator(replace(machine, attacks=(attack,)), entries={entry.name: entry}).evaluate(cell, kept)
    if (error := record.outcomes[name].error) is not None:
        raise ValueError(f"{entry.name} cannot be evaluated on these images: {error}")
    return record, kept.packed(record)


def require_fitting(file: ImageFile, entry: ZooEntry, split: Split) -> None:
    """Raises ValueError for images of another entry or data set, of another shape, or that the split does not have."""
    says = (("model", entry.name), ("dataset", entry.dataset), ("data", split.fingerprint))
    for what, expected in says:
        if (found := file.about.get(what, expected)) != expected:
            raise ValueError(
                f"{file.path} says that its images are of the {what} {found}, not of {expected}: name the entry that "
                "they are of, or save them without metadata"
            )
    shape, found_shape = dataset_spec(entry.dataset).shape, file.images.shape[1:]
    if found_shape != shape:
        raise ValueError(f"{file.path}: images of shape {found_shape}; {entry.dataset} has {shape}, channels first")
    beyond = [index for index in file.indices if not 0 <= index < len(split)]
    if beyond:
        raise ValueError(f"{file.path}: index {beyond[0]}; {entry.dataset} has test images 0 to {len(split) - 1}")
