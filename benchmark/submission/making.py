"""A submission's folder is made from a user's network and store, and then checked as a stranger's is."""

from __future__ import annotations

import contextlib
import hashlib
import json
import lzma
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import save_model
from torch import nn

from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.loop import behaviours
from benchmark.evaluation.machine import Machine
from benchmark.plan.cells import Subject
from benchmark.records.archive import record_files
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.submission import source, suite
from benchmark.submission.again import about_subject, identified
from benchmark.submission.card import card_of
from benchmark.submission.folder import CARD, RECORDS, SOURCE, SUBMISSION, WEIGHTS
from benchmark.submission.network import network_of
from benchmark.submission.others import is_taken
from benchmark.submission.registration import FORMAT, AboutNetwork, require_licence
from benchmark.submission.schema import check
from zoo import ZooEntry
from zoo.files import write_whole
from zoo.kind import Outputs


class Wanted(NamedTuple):
    """What is submitted. reference: `package.module:factory`, as it was typed. again: the command that runs the suite.

    examples, audited: of the suite.
    """

    entry: ZooEntry
    reference: str
    licence: str
    examples: int
    audited: int
    again: str


def make(wanted: Wanted, store: Store, machine: Machine, out: Path) -> list[Record]:
    """Write the folder; its records. Nothing is left there if it is refused.

    Raises ValueError, in a line with the remedy, for a network that cannot be submitted as it is, and for a suite that
    is not complete, before anything is written.
    """
    entry = wanted.entry
    require_free(out)
    require_licence(wanted.licence)
    _require_own(entry)
    modules = _modules(entry, wanted.reference)
    evaluator = Evaluator(machine, entries={entry.name: entry})
    subject = evaluator.subject(entry)
    suite.require_enough(wanted.examples, subject.size)
    known = behaviours([entry], [subject], store)
    evaluator = Evaluator(replace(machine, behaviours=known), entries={entry.name: entry})
    records = _records(subject, wanted, evaluator, store)
    about = {
        "format": FORMAT,
        "kind": "network",
        "name": entry.name,
        "dataset": entry.dataset,
        "licence": wanted.licence,
        "reference": wanted.reference,
        "family": entry.family,
        "randomness": str(entry.randomness),
        "outputs": str(entry.outputs),
        "data": evaluator.split(entry.dataset).fingerprint,
        "fingerprint": records[0].fingerprints["model"],
        "made_of": entry.fingerprint,
        "behaviour": list(dict(known)[entry.name]),
        "examples": wanted.examples,
        "audited": wanted.audited,
        "subject": about_subject(subject).model_dump(mode="json"),
    }
    with written_whole(out) as place:
        _write_network(place, entry, modules, records)
        write_registration(place, about)
        require_sound(place, records, machine)
    return records


def require_free(out: Path) -> None:
    """Raises ValueError for a place where something lies."""
    if out.exists():
        raise ValueError(f"--out {out}: there is something already; name a new folder, or delete it")


@contextlib.contextmanager
def written_whole(out: Path) -> Iterator[Path]:
    """A folder to be written in the block, which lies at `out` afterwards, or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as partial:
        place = Path(partial) / out.name
        yield place
        place.rename(out)


def write_registration(place: Path, about: Mapping[str, Any]) -> None:
    """`submission.json`, with the checksums of all that lies there."""
    files = {path.relative_to(place).as_posix(): path for path in sorted(place.rglob("*")) if path.is_file()}
    sums = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    write_whole(place / SUBMISSION, (json.dumps({**about, "files": sums}, indent=1, allow_nan=False) + "\n").encode())


def write_records(place: Path, records: Iterable[Record]) -> None:
    """The records in the files in which leaderboards keep theirs."""
    for path, text in record_files(records, place / RECORDS).texts.items():
        write_whole(path, lzma.compress(text.encode()))


def _write_network(place: Path, entry: ZooEntry, modules: Mapping[str, Path], records: list[Record]) -> None:
    for name, path in modules.items():
        write_whole(place / SOURCE / name, path.read_bytes())
    network, parameters = _with_own_weights(entry)
    if entry.weights is not None:
        write_whole(place / WEIGHTS, entry.weights.read_bytes())
    else:
        save_model(network, str(place / WEIGHTS))
    sha256 = hashlib.sha256((place / WEIGHTS).read_bytes()).hexdigest()
    card = card_of(entry.card, entry.name, sha256, parameters, records)
    write_whole(place / CARD, (json.dumps(card, indent=2) + "\n").encode())
    write_records(place, records)


def _with_own_weights(entry: ZooEntry) -> tuple[nn.Module, int]:
    """The network as its factory gives it, whose weights are those that are loaded; and how many parameters it has."""
    network = replace(entry, normalize=None, outputs=Outputs.LOGITS).build()
    return network, sum(parameter.numel() for parameter in network.parameters())


def _require_own(entry: ZooEntry) -> None:
    """Raises ValueError for a network of the zoo, and for one whose transfers need another that the zoo has not."""
    if is_taken(entry.name):
        raise ValueError(f"{entry.name} is the zoo's own: there is nothing to submit")
    for role, name in entry.sources:
        if not is_taken(name):
            raise ValueError(f"{entry.name}: {role}={name!r} is no network of the zoo: leave it out, and run it again")


def _modules(entry: ZooEntry, reference: str) -> dict[str, Path]:
    """The modules that build the network, by their path below `source/`. Raises ValueError for what cannot be taken."""
    module = reference.partition(":")[0]
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        raise ValueError(f"{reference}: {module} has no file that could be submitted")
    path = Path(file).resolve()
    depth = module.count(".") + (path.name == "__init__.py")
    found = source.modules_of(module, path.parents[depth])
    if entry.source not in [one.resolve() for one in found.values()]:
        raise ValueError(f"{reference} is defined in {entry.source}, which {module} does not import by its name")
    texts = {name: one.read_text() for name, one in found.items()}
    if refused := next(source.findings(texts, reference), None):
        raise ValueError(refused.says)
    return found


def _records(subject: Subject, wanted: Wanted, evaluator: Evaluator, store: Store) -> list[Record]:
    """The suite's records in the store. Raises ValueError, with the command to run, where one is missing."""
    selection = suite.selection_of(wanted.examples, wanted.audited)
    known: dict[str, Record] = {}
    while True:
        cells = {evaluator.key(cell): cell for cell in suite.cells_of(subject, selection, known.values())}
        new = {key for key in cells if key not in known}
        found = {record.key: record for record in store.records({key for key in new if key in store})}
        if missing := new - set(found):
            raise ValueError(
                f"the adaptive suite of {wanted.entry.name} is not complete in the store: {len(missing)} of at least "
                f"{len(cells)} cells are missing; run: {wanted.again}"
            )
        if not new:
            return [known[key] for key in cells]
        known |= found


def require_sound(place: Path, records: list[Record], machine: Machine) -> None:
    """Raises ValueError unless the folder alone passes the schema check, and builds the very network."""
    checked = check(place, machine.data_root, machine.download)
    if checked.findings or checked.folder is None:
        raise ValueError("; ".join(map(str, checked.findings[:3])))
    about = checked.folder.about
    if isinstance(about, AboutNetwork):
        with network_of(place, about) as entry:
            known = replace(machine, behaviours=((about.name, about.behaviour),))
            evaluator = Evaluator(known, entries={entry.name: entry})
            if refused := next(identified(entry, about, evaluator, records), None):
                raise ValueError(f"the folder alone does not build it: {refused.says}")
