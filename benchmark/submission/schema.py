"""The schema check: everything about a submission that can be said without executing anything of it. No torch.

Its files are read, never followed, unpickled, imported or run; its modules are parsed. What is found here needs no
trust in anybody; what is not found here, running a part of the cells again finds (`benchmark.submission.again`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmark.attacks.identity import digest
from benchmark.attacks.methods import OUTSIDE, own_name
from benchmark.records.record import Record
from benchmark.submission import arrays, card, consistency, source, suite
from benchmark.submission.finding import Finding, RefusedError
from benchmark.submission.folder import IMAGES, SOURCE, SUBMISSION, Folder
from benchmark.submission.others import images_of, is_taken, others_of
from benchmark.submission.reading import misplaced, read
from benchmark.submission.registration import AboutImages, AboutNetwork, require_licence
from zoo.datasets import load_split


class Checked(NamedTuple):
    """folder, records: as far as they could be read. findings: what speaks against the submission; nothing if none."""

    folder: Folder | None
    records: list[Record]
    findings: list[Finding]


def check(path: Path, data_root: Path | None = None, download: bool = False, accepted: Path | None = None) -> Checked:
    """The schema check of a folder. data_root, download: of the test images, for labels and indices.

    accepted: the folder of earlier submissions, none of which may have its name.
    """
    folder: Folder | None = None
    records: list[Record] = []
    found: list[Finding] = []
    try:
        folder = Folder(path)
        found += [*folder.findings(), *_licence(folder), *_earlier(folder, accepted)]
        if any(one.check == "files" for one in found):  # no file is read any further that should not be there
            return Checked(folder, records, found)
        records += read(folder)
        found += misplaced(folder, records)
        of_kind = _network if isinstance(folder.about, AboutNetwork) else _images
        found += of_kind(folder, records, data_root, download)
    except RefusedError as refused:
        found.append(refused.finding)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # of numbers that no record has
        found.append(Finding("records", f"they cannot be checked: {type(error).__name__}: {error}"))
    return Checked(folder, records, found)


def _licence(folder: Folder) -> Iterator[Finding]:
    try:
        require_licence(folder.about.licence)
    except ValueError as error:
        yield Finding("licence", str(error))


def _earlier(folder: Folder, accepted: Path | None) -> Iterator[Finding]:
    """Another submission of the same name; one in a folder of the same name is the earlier version of this one."""
    for path in sorted(accepted.glob(f"*/{SUBMISSION}")) if accepted is not None else []:
        if path.parent.name != folder.path.name and Folder(path.parent).about.name == folder.about.name:
            yield Finding("registration", f"{folder.about.name} is submitted already, as {path.parent.name}")


def _network(folder: Folder, records: list[Record], root: Path | None, download: bool) -> Iterator[Finding]:
    about = folder.about
    assert isinstance(about, AboutNetwork)
    yield from arrays.weights_findings(folder)
    yield from source.findings(texts_of(folder), about.reference)
    if not about.name.startswith(f"{about.dataset}/"):
        yield Finding("registration", f"{about.name} is no network for {about.dataset}")
    if is_taken(about.name):
        yield Finding("registration", f"the zoo has a network {about.name!r}: choose another name, and run it under it")
    if about.expected_fingerprint != about.fingerprint:
        yield Finding("network", "its fingerprint is not that of what it is made of and how it behaves")
    images = images_of(about.dataset, root, download)
    if images.fingerprint != about.data:
        yield Finding("examples", f"it is of other test images of {about.dataset}, {about.data[:12]}…")
    for record in records:
        if (record.cell.model, record.cell.dataset) != (about.name, about.dataset):
            yield Finding("network", f"{record.cell.label}: is a record of another network than {about.name}")
        elif record.family != (about.family or record.family):
            yield Finding("network", f"{record.cell.label}: is of family {record.family}, not of {about.family}")
        else:
            yield from consistency.findings(record, images, about.fingerprint)
    yield from consistency.across(records)
    yield from card.findings(folder, about, records)
    subject = about.planned(images.size, images.classes, others_of(about.name, about.dataset))
    yield from suite.findings(subject, suite.selection_of(about.examples, about.audited), records)


def _images(folder: Folder, records: list[Record], root: Path | None, download: bool) -> Iterator[Finding]:
    about = folder.about
    assert isinstance(about, AboutImages)
    images = images_of(about.dataset, root, download)
    yield from arrays.images_findings(folder, about, load_split(about.dataset, "test", root, download))
    if len(records) != 1:
        yield Finding("records", f"{len(records)} records; images that were made elsewhere have one")
    for record in records:
        cell = record.cell
        is_of = cell.model, cell.dataset, cell.attack.name, cell.attack.threat, cell.libraries
        if is_of != (about.model, about.dataset, own_name(OUTSIDE, about.norm), about.threat, (about.name,)):
            yield Finding("records", f"{cell.label} by {', '.join(cell.libraries)} is not what submission.json says")
        if record.fingerprints.get("attack") != digest(about.files[IMAGES]):
            yield Finding("records", f"{cell.label}: is of other images than {IMAGES}")
        yield from consistency.findings(record, images, about.fingerprint)


def texts_of(folder: Folder) -> dict[str, str]:
    """The submission's modules, by their path below `source/`."""
    return {name: folder.text(f"{SOURCE}/{name}") for name in folder.sources}
