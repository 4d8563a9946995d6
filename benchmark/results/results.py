"""`Results`: what a set of records says, sifted once; what `evaluate` returns, and everything is shown from.

    r = evaluate(net, "mnist")
    r                            # a table
    r.boards, r.df               # ranked rows with intervals; one line per image, attack and library
    r.audit(), r.curve("bim")    # verdicts and a sentence to quote; robust accuracy against eps
    r.images("linf", 0.1), r.losses("bim"), r.by_class()   # the first two where images are kept
    r.report("report.html")      # all of it, as one page for the browser or for print
    compare(r, evaluate("mnist/lenet"))   # paired test on the same images

Everything is computed from the records when it is asked for, once, and needs no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import AttackSpec, ThreatModel, format_eps
from benchmark.records.agreement import Comparison
from benchmark.records.record import Record
from benchmark.results.audits import Audit, audits_of
from benchmark.results.boards import Board, boards_of
from benchmark.results.bounds import Bounded, bounded_networks
from benchmark.results.classes import by_class
from benchmark.results.configuration import Configuration, merged_agreement, without_subsumed
from benchmark.results.draws import ByDraws, by_draws
from benchmark.results.entries import Entry
from benchmark.results.frames import accuracy_by_eps, tidy
from benchmark.results.gradient_targets import TargetComparison, by_gradient_target
from benchmark.results.images import AttackedImages, images_of, kept_whole
from benchmark.results.losses import Losses, losses_of
from benchmark.results.ranking import Paired, paired_tests
from benchmark.results.rows import Row
from benchmark.results.shown import Shown
from zoo.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Results:
    """What records say of any number of networks and attacks; a record that is part of another does not count."""

    def __init__(
        self,
        records: Iterable[Record],
        reference: Iterable[Record] = (),
        *,
        protocol: bool = False,
        images: Mapping[str, bytes] = MappingProxyType({}),
        submitted: Collection[str] = (),
    ) -> None:
        """reference: records of networks that are shown beside the others, on boards alone and on the same images.

        protocol: whether boards are those of leaderboards: with the protocol's eps, draws and seed, and only rows with
        all its attacks in a norm. Other attacks within those threat models count there, too.
        images: key of a record -> what its cell kept, packed; see `benchmark.records.images`.
        submitted: names of networks that were submitted, which boards say.
        """
        self.records = tuple(without_subsumed(records))
        self.protocol = protocol
        self._reference = tuple(without_subsumed(reference))
        self._images = images
        self._submitted = frozenset(submitted)

    @cached_property
    def audits(self) -> list[Audit]:
        """Evidence and verdicts of every entry, norm by norm."""
        own = audits_of(self._on_boards(self.records))
        own = [replace(one, submitted=one.configuration.model in self._submitted) for one in own]
        return [*own, *audits_of(self._on_boards(self._reference), reference=True)]

    @cached_property
    def boards(self) -> list[Board]:
        """By data set, norm and eps, the networks ranked, on the same images."""
        return boards_of(self.audits, self.protocol)

    @cached_property
    def entries(self) -> list[Entry]:
        """The networks on the boards, each with its rows on all its images; no reference is among them."""
        rows: dict[Configuration, list[Row]] = {}
        for board in self.boards:
            for row in board.rows:
                if row.is_whole and not row.reference:
                    rows.setdefault(row.configuration, []).append(row)
        return [Entry(of_entry) for of_entry in rows.values()]

    @cached_property
    def df(self) -> pd.DataFrame:
        """A line per network, attack, eps, library and image; see `benchmark.results.frames.tidy`."""
        return tidy(self.records)

    @cached_property
    def gradient_targets(self) -> list[TargetComparison]:
        """By how much each gradient target overestimates robustness."""
        return by_gradient_target(self.records)

    @cached_property
    def draws(self) -> list[ByDraws]:
        """Robust accuracy against the attacker's draws, way by way of using them."""
        return by_draws(self.records)

    @cached_property
    def bounds(self) -> list[Bounded]:
        """What no attack can break, of every network and norm that bounds were computed of."""
        return bounded_networks(self.records)

    @cached_property
    def agreement(self) -> Mapping[tuple[Configuration, AttackSpec], list[Comparison]]:
        """Network and attack -> a comparison for every pair of libraries, over all images."""
        return merged_agreement(self.records)

    @property
    def errors(self) -> dict[str, str]:
        """What a library raised, by the attack that it failed on; empty where all went well."""
        return {
            f"{library}, {record.cell.label}": outcome.error
            for record in self.records
            for library, outcome in record.outcomes.items()
            if outcome.error is not None
        }

    def entry(self, model: str | None = None) -> Entry:
        """The network of that name; None for the only one.

        Raises KeyError for a network that is not among the results, ValueError where none or several could be meant.
        """
        named = [entry for entry in self.entries if model in (None, entry.name)]
        if not named and model is not None:
            from zoo.lookup import lookup

            lookup({entry.name: entry for entry in self.entries}, model, "network among the results")
        if len(named) != 1:
            there = ", ".join(sorted({entry.name for entry in self.entries})) or "none"
            raise ValueError(f"name the network that is meant; there are: {there}")
        return named[0]

    def audit(self, model: str | None = None) -> Text:
        """The audit of a network, as Markdown. model, errors: as for `entry`."""
        from benchmark.reports.audits import audit_page

        return Text(audit_page(self.entry(model), notice=None))

    def quote(self, model: str | None = None) -> str:
        """What a reviewer may quote of a network, norm by norm. model, errors: as for `entry`."""
        from benchmark.reports.audits import conclusion

        return conclusion(self.entry(model))

    def report(self, path: str | Path, model: str | None = None) -> Path:
        """Write the report of a network, one HTML file that loads nothing; its path. model, errors: as for `entry`.

        Attacked images are in it where all of a threat model's were kept: `evaluate(..., keep_images=True)`.
        """
        from benchmark.reports.network_report import report_page

        text, path = report_page(self, model, self.kept_images(self.entry(model))), Path(path)
        write_whole(path, text.encode())
        return path

    def kept_images(self, entry: Entry) -> list[AttackedImages]:
        """The most harmful images of a network, of each threat model where all were kept."""
        return [images_of(row, self._images) for row in entry.rows if kept_whole(row, self._images)]

    def curve(self, attack: str = "pgd-linf") -> Curve:
        """Robust accuracy under one attack against eps. Raises KeyError for an attack that was not run."""
        return Curve(attack, accuracy_by_eps(self.df, attack))

    def images(self, norm: Norm, eps: float, model: str | None = None) -> AttackedImages:
        """The most harmful image of every example under a threat model, over all attacks and libraries.

        model, errors: as for `entry`; also ValueError for a threat model without a row, and where no images were kept.
        """
        threat, rows = ThreatModel(norm, eps), {row.threat: row for row in self.entry(model).rows}
        if threat not in rows:
            there = ", ".join(f"{one.norm} {format_eps(one.eps)}" for one in rows)
            raise ValueError(f"no images in {norm} {format_eps(eps)}: there are results in {there}")
        return images_of(rows[threat], self._images)

    def losses(self, attack: str = "pgd-linf", eps: float | None = None, model: str | None = None) -> Losses:
        """The attacker's cross-entropy at each gradient of one attack. eps: None for the only one.

        model, errors: as for `entry`; also KeyError for an attack that was not run, and ValueError where no losses were
        kept, or where several eps could be meant.
        """
        return losses_of(self.entry(model), attack, eps, self._images)

    def by_class(self, model: str | None = None) -> pd.DataFrame:
        """Accuracy class by class; see `benchmark.results.classes`. model, errors: as for `entry`."""
        return by_class(self.entry(model))

    def __add__(self, other: Results) -> Results:
        """Both together, ranked beside each other."""
        return Results([*self.records, *other.records], images={**self._images, **other._images})

    def __repr__(self) -> str:
        from benchmark.reports.console import ranking_text

        failed = f"; {len(self.errors)} attacks failed, see .errors" if self.errors else ""
        return ranking_text(self) if self.boards else f"Results of {len(self.records)} cells, no ranking{failed}"

    def _on_boards(self, records: Iterable[Record]) -> list[Record]:
        return [record for record in records if not self.protocol or record.role.on_leaderboards]


class Text(str):
    """Markdown, shown as what it is in a terminal and rendered in a notebook."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


class Curve(Shown):
    """Robust accuracy under one attack against eps. frame: its numbers; see `results.frames.accuracy_by_eps`."""

    def __init__(self, attack: str, frame: pd.DataFrame) -> None:
        self.attack, self.frame = attack, frame

    @cached_property
    def figure(self) -> Figure:
        """The numbers as a figure, with Wilson intervals as bands."""
        from benchmark.reports.figures.results import accuracy_against_eps

        return accuracy_against_eps(self.attack, self.frame)


def compare(first: Results, second: Results) -> pd.DataFrame:
    """Two networks on the images that both were attacked on: a line per data set, norm and eps.

    Columns: dataset, norm, eps, images; only_first, only_second (images that survive in one of them alone); p of the
    exact McNemar test; corrected, for all lines together; more_robust: a name, or "not separated" at 5 %.
    Raises ValueError where results hold several networks, or where the two have no threat model and image in common.
    """
    rows = {(row.dataset, row.threat): row for row in _only(second).rows}
    pairs = [
        pair
        for row in _only(first).rows
        if (other := rows.get((row.dataset, row.threat))) is not None
        for pair in paired_tests([row, other])
    ]
    if not pairs:
        raise ValueError("the two results have no data set, norm, eps and image in common")
    return _table(pairs)


def _only(results: Results) -> Entry:
    if len(results.entries) != 1:
        names = ", ".join(sorted(entry.name for entry in results.entries)) or "none"
        raise ValueError(f"compare takes results of one network each; these have {names}")
    return results.entries[0]


def _table(pairs: list[Paired]) -> pd.DataFrame:
    from benchmark.statistics import corrected

    lines = []
    for of_two, adjusted in zip(pairs, corrected([pair.p for pair in pairs]), strict=True):
        pair = replace(of_two, corrected=adjusted)
        lines.append(
            {
                "dataset": pair.first.dataset,
                "norm": pair.first.threat.norm,
                "eps": pair.first.threat.eps,
                "images": pair.count,
                "only_first": pair.only_first,
                "only_second": pair.only_second,
                "p": pair.p,
                "corrected": pair.corrected,
                "more_robust": "not separated" if pair.better is None else pair.better.configuration.model,
            }
        )
    return pd.DataFrame(lines)
