"""Bayesian networks beside the frequentist ones of the same architecture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.attacks.spec import ThreatModel
from benchmark.results.boards import Board
from benchmark.results.cards import cards
from benchmark.results.entries import Entry
from benchmark.results.ranking import Paired

_PREFIX = "bayesian-"
Outcome = Literal["more", "less", "same"]


@dataclass(frozen=True)
class Twins:
    """A frequentist network, and the Bayesian ones of its architecture; any of both may be missing.

    tests: Bayesian network and threat model -> the paired test against the frequentist one, on the most images that
    both are on, p-values corrected for all pairs of that board.
    """

    frequentist: Entry | None
    bayesian: Sequence[Entry]
    tests: Mapping[tuple[str, ThreatModel], Paired]

    @property
    def entries(self) -> list[Entry]:
        return [*([] if self.frequentist is None else [self.frequentist]), *self.bayesian]

    @property
    def robustness(self) -> float:
        """The mean worst case over threat models, of the most robust of them."""
        return max(sum(row.worst.value for row in entry.rows) / len(entry.rows) for entry in self.entries)

    def outcome(self, entry: Entry, threat: ThreatModel) -> Outcome | None:
        """Whether a Bayesian network is certainly more robust than its twin, or less; None without a test."""
        return self.outcome_of(entry.name, threat)

    def outcome_of(self, name: str, threat: ThreatModel) -> Outcome | None:
        """The same, by its name."""
        test = self.tests.get((name, threat))
        if test is None:
            return None
        if test.better is None:
            return "same"
        return "more" if test.better.configuration.model == name else "less"


def twins_of(entries: Iterable[Entry], boards: Sequence[Board]) -> dict[str, list[Twins]]:
    """Data set -> its networks by architecture, the most robust first; the data set with most networks first.

    A test is of networks that are ranked.
    """
    by_dataset: dict[str, dict[str, list[Entry]]] = {}
    for entry in entries:
        by_dataset.setdefault(entry.dataset, {}).setdefault(_group(entry), []).append(entry)
    pairs = _pairs(boards)
    by_size = sorted(by_dataset.items(), key=lambda item: -sum(map(len, item[1].values())))
    found = {dataset: [_twins(group, pairs) for group in groups.values()] for dataset, groups in by_size}
    return {dataset: sorted(groups, key=lambda one: -one.robustness) for dataset, groups in found.items()}


@dataclass(frozen=True)
class Counts:
    """How many tests of Bayesian networks against their twins ended how.

    nothing: of those that tell nothing apart, how many are where no image survives on either.
    """

    more: int
    less: int
    same: int
    nothing: int

    @property
    def tests(self) -> int:
        return self.more + self.less + self.same


def counted(groups: Iterable[Twins]) -> Counts:
    """All tests of all twins."""
    tests = [(group, name, threat, test) for group in groups for (name, threat), test in group.tests.items()]
    outcomes = [group.outcome_of(name, threat) for group, name, threat, _ in tests]
    nothing = sum(test.first.worst.hits == test.second.worst.hits == 0 for *_, test in tests)
    return Counts(outcomes.count("more"), outcomes.count("less"), outcomes.count("same"), nothing)


def _group(entry: Entry) -> str:
    """What twins have in common: a frequentist network is alone under its name, a Bayesian one beside its twin's.

    `bayesian-lenet-certified` is beside `lenet-certified`, which was trained as it was; what has no such name is beside
    the network that has the name of its architecture.
    """
    if entry.rows[0].family != "bayesian":
        return entry.name
    short, card = entry.name.removeprefix(f"{entry.dataset}/"), cards().get(entry.name)
    twin = short if card is None or short.startswith(_PREFIX) else str(card["recipe"]["architecture"])
    return f"{entry.dataset}/{twin.removeprefix(_PREFIX)}"


def _twins(entries: Sequence[Entry], pairs: Mapping[tuple[frozenset[str], ThreatModel], Paired]) -> Twins:
    bayesian = [entry for entry in entries if entry.rows[0].family == "bayesian"]
    frequentist = next((entry for entry in entries if entry not in bayesian), None)
    if frequentist is None:
        return Twins(None, bayesian, {})
    tests = {
        (entry.name, row.threat): test
        for entry in bayesian
        for row in entry.rows
        if (test := pairs.get((frozenset({entry.name, frequentist.name}), row.threat))) is not None
    }
    return Twins(frequentist, bayesian, tests)


def _pairs(boards: Iterable[Board]) -> dict[tuple[frozenset[str], ThreatModel], Paired]:
    """Two names and a threat model -> their test on the board of most images; of ranked rows alone."""
    found: dict[tuple[frozenset[str], ThreatModel], Paired] = {}
    for board in sorted(boards, key=lambda board: len(board.images[1])):
        for pair in board.pairs:
            if pair.first.is_rankable and pair.second.is_rankable:
                names = frozenset({pair.first.configuration.model, pair.second.configuration.model})
                found[names, pair.first.threat] = pair
    return found
