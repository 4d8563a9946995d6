"""A submission's network is built from its folder, identified, and a random part of its cells is run again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from benchmark.attacks.spec import ThreatModel
from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.machine import Machine
from benchmark.plan.cells import Subject
from benchmark.plan.nearest import broken_under, says_of
from benchmark.records.record import Record
from benchmark.submission.compare import Again, compared, judged
from benchmark.submission.finding import Finding, RefusedError
from benchmark.submission.folder import Folder
from benchmark.submission.network import network_of
from benchmark.submission.registration import AboutNetwork, AboutSubject
from benchmark.submission.sample import TENTH, escape_probability, sampled
from zoo import ZooEntry


class Rerun(NamedTuple):
    """seed: of the sample. cells: of the submission. again: those that were run again. findings: what refuses it.

    lifting: the fewest cells that have to be forged to save one image of a row that is broken; None where none is.
    """

    seed: int
    cells: int
    again: list[Again]
    findings: list[Finding]
    lifting: int | None

    def escapes(self, forged: int) -> float:
        """How likely so many forged cells are all missed."""
        return escape_probability(self.cells, min(forged, self.cells), len(self.again))


def rerun(
    folder: Folder,
    records: Sequence[Record],
    seed: int,
    machine: Machine = Machine(),  # noqa: B008 - frozen
    share: float = TENTH,
    say: Callable[[str], object] = lambda line: None,
) -> Rerun:
    """Run a random share of the cells again. say: is told of each.

    Everything is built from the folder. Whatever the network raises is a finding.
    """
    about = folder.about
    assert isinstance(about, AboutNetwork)
    again: list[Again] = []
    found: list[Finding] = []
    try:
        with network_of(folder.path, about) as entry:
            machine = replace(machine, behaviours=((about.name, about.behaviour),))
            evaluator = Evaluator(machine, entries={entry.name: entry})
            found += identified(entry, about, evaluator, records)
            if not found:
                alive = surviving(records)
                for number, record in enumerate(chosen := _in_order(sampled(records, seed, share)), 1):
                    say(f"{number} of {len(chosen)}: {record.cell.label}")
                    again.append(compared(record, evaluator.evaluate(record.cell), alive))
                found += judged(again)
    except RefusedError as refused:
        found.append(refused.finding)
    except (ValueError, KeyError) as error:  # of a network that is refused when it is loaded
        found.append(Finding("network", str(error.args[0] if error.args else error)))
    return Rerun(seed, len(records), again, found, lifting(records))


def identified(
    entry: ZooEntry, about: AboutNetwork, evaluator: Evaluator, records: Sequence[Record]
) -> Iterator[Finding]:
    """Whether the network is the one that the records and the registration are of. Raises ValueError as `load` does."""
    if (found := entry.fingerprint) != about.made_of:
        yield Finding("network", f"weights and modules give the fingerprint {found[:12]}…, not {about.made_of[:12]}…")
        return
    subject = evaluator.subject(entry)
    if (asked := about_subject(subject)) != about.subject:
        yield Finding("network", f"it is {asked}; the submission says {about.subject}")
    for record in records:
        if evaluator.fingerprints(record.cell) != record.fingerprints:
            yield Finding("network", f"{record.cell.label}: of other networks or images than those here: run it again")


def about_subject(subject: Subject) -> AboutSubject:
    """What the suite asks of a network, as a submission says it."""
    return AboutSubject(
        deterministic=subject.deterministic,
        members=subject.members,
        is_sample=subject.is_sample,
        undefined=subject.undefined,
        sources=subject.sources,  # type: ignore[arg-type]
    )


def surviving(records: Sequence[Record]) -> dict[ThreatModel, set[int]]:
    """Threat model -> the images that survive in its row: right as they are, and broken by no attack that counts."""
    counting = [record for record in records if record.role.counts_in_worst_case]
    whole = [record for record in counting if record.role.is_column]
    alive: dict[ThreatModel, set[int]] = {record.cell.attack.threat: set() for record in whole}
    for record in whole:
        alive[record.cell.attack.threat] |= record.right
    for threat, images in alive.items():
        for record in counting:
            if says_of(record.cell, threat):
                images.difference_update(broken_under(record, threat))
    return alive


def lifting(records: Sequence[Record]) -> int | None:
    """The fewest cells that break an image together: so many have to be forged to save one image of a row."""
    breaking: dict[object, set[str]] = defaultdict(set)
    for record in records:
        if record.role.counts_in_worst_case and not record.role.every_eps:
            for image in record.broken & record.right:
                breaking[record.cell.attack.threat, image].add(record.key)
    return min(map(len, breaking.values()), default=None)


def _in_order(records: list[Record]) -> list[Record]:
    """Cells of the same images after each other, which share what was computed."""
    return sorted(records, key=lambda one: (one.cell.start, one.cell.stop, one.cell.only or (), one.key))
