"""Adversarial images that somebody made of a network of the leaderboards: submitted, and judged by its own judge."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.attacks.spec import ThreatModel
from benchmark.evaluation.machine import Machine
from benchmark.evaluation.outside import judge_file
from benchmark.records.image_files import ImageFile, read_images, write_images
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.results.outside import Effect, effect_of
from benchmark.submission.compare import compared, judged
from benchmark.submission.finding import Finding, few
from benchmark.submission.folder import IMAGES, SUBMISSION, Folder
from benchmark.submission.making import require_free, require_sound, write_records, write_registration, written_whole
from benchmark.submission.network import network_of
from benchmark.submission.others import is_taken
from benchmark.submission.registration import FORMAT, AboutImages, AboutNetwork, require_licence
from zoo import ZooEntry, models
from zoo.catalogue.behaviour import Behaviour
from zoo.lookup import lookup


class Attacked(NamedTuple):
    """behaviour: as it was first stored, of a network from outside the zoo."""

    entry: ZooEntry
    behaviour: Behaviour | None


class Judged(NamedTuple):
    """record: what the judge makes of the images here. effect: on the row; None where there is none."""

    record: Record | None
    effect: Effect | None
    findings: list[Finding]


def make_images(
    file: ImageFile, attacked: Attacked, threat: ThreatModel, name: str, licence: str, machine: Machine, out: Path
) -> Record:
    """Write the folder; the record of the images in it. name: who made them, for tables.

    Raises ValueError for images that do not fit, and for any outside the ball or the box.
    """
    require_free(out)
    require_licence(licence)
    about = {"model": attacked.entry.name, "dataset": attacked.entry.dataset}
    with written_whole(out) as place:
        arrays = {"images": file.images, "indices": np.array(file.indices)}
        write_images(place / IMAGES, arrays, about)
        record = _record_of(place / IMAGES, attacked, threat, machine, name)
        write_records(place, [record])
        registration = {
            "format": FORMAT,
            "kind": "images",
            "name": name,
            **about,
            "norm": threat.norm,
            "eps": threat.eps,
            "licence": licence,
            "data": record.fingerprints["data"],
            "fingerprint": record.fingerprints["model"],
        }
        write_registration(place, registration)
        require_sound(place, [record], machine)
    return record


def rejudge(
    folder: Folder, records: Sequence[Record], attacked: Attacked, others: Iterable[Record], machine: Machine
) -> Judged:
    """Judge a submission's images by their network's own judge. others: what is known of that network."""
    about = folder.about
    assert isinstance(about, AboutImages)
    try:
        here = _record_of(folder.path / IMAGES, attacked, about.threat, machine, about.name)
    except ValueError as error:
        return Judged(None, None, [Finding("images", str(error))])
    found = []
    if here.fingerprints != records[0].fingerprints:
        found.append(Finding("network", f"{about.model} is another network here, or its images are: make it again"))
    found += judged([compared(records[0], here, {})])
    effect = effect_of(here, others)
    if effect is None:
        found.append(Finding("images", f"the leaderboards have no row of {about.model} that they could lower"))
    elif not effect.broken:
        found.append(Finding("images", "they lower no row: every image that they break is broken already"))
    return Judged(here, effect, found)


@contextlib.contextmanager
def attacked_network(name: str, submissions: Path) -> Iterator[Attacked]:
    """The network of that name, of the zoo or of an accepted submission.

    submissions: the folder of those that were accepted, whose code a maintainer has read.
    Raises KeyError, with suggestions, for neither.
    """
    if is_taken(name):
        yield Attacked(models[name], None)
        return
    accepted = {about.name: path for path, about in _accepted(submissions)}
    path = lookup(accepted | dict.fromkeys(one for one in models if is_taken(one)), name, "network of the leaderboards")
    assert path is not None
    about = Folder(path).about
    assert isinstance(about, AboutNetwork)
    with network_of(path, about) as entry:
        yield Attacked(entry, about.behaviour)


def _accepted(submissions: Path) -> Iterator[tuple[Path, AboutNetwork]]:
    for path in sorted(submissions.glob(f"*/{SUBMISSION}")):
        if isinstance(about := Folder(path.parent).about, AboutNetwork):
            yield path.parent, about


def _record_of(path: Path, attacked: Attacked, threat: ThreatModel, machine: Machine, name: str) -> Record:
    """What the network's own judge says. Raises ValueError where an image is outside the ball or the box."""
    entry = attacked.entry
    with Store(None) as store:
        if attacked.behaviour is not None:
            store.recognised(entry.name, entry.fingerprint, attacked.behaviour)
        record, _, outside = judge_file(read_images(path), entry, threat, store, machine, name)
    if record is None or outside:
        raise ValueError(
            f"images outside the ball or the box: {few([str(index) for index in outside])}; leave them out"
        )
    return record
