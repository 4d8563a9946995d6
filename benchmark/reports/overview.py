"""Which networks are robust, and whether Bayes helps: the numbers of the site's first page, and a README's figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.attacks.spec import ThreatModel
from benchmark.reports.bars import Bar
from benchmark.reports.page import render_page
from benchmark.reports.tables import threat_title
from benchmark.results.boards import Board
from benchmark.results.configuration import Configuration
from benchmark.results.entries import Entry
from benchmark.results.rows import Row
from benchmark.results.twins import Outcome, Twins, counted

FILE = "overview.svg"


@dataclass(frozen=True)
class Cell:
    """A network under a threat model.

    best: whether its rank is 1 on the board with most networks. outcome: of the test against its twin, on `count`
    images with a corrected `p`; None without one.
    """

    bar: Bar
    best: bool
    rankable: bool
    status: str
    outcome: Outcome | None
    p: str
    count: int


@dataclass(frozen=True)
class Line:
    """A network. verdicts: norm and status of what is not PASS; one without a norm where all are the same."""

    configuration: Configuration
    name: str
    family: str
    clean: Bar
    cells: list[Cell | None]
    verdicts: list[tuple[str, str]]


@dataclass(frozen=True)
class Panel:
    """A data set: its networks down, twins together, its threat models across."""

    dataset: str
    threats: list[str]
    groups: list[list[Line]]


def panels(groups: Mapping[str, Sequence[Twins]], boards: Sequence[Board]) -> list[Panel]:
    """A panel a data set. groups: data set -> its networks, twins together."""
    return [_panel(dataset, of_dataset, boards) for dataset, of_dataset in groups.items()]


def sentence(groups: Mapping[str, Sequence[Twins]]) -> str:
    """Does Bayes help? Of all paired tests; empty without one."""
    counts = counted(group for of_dataset in groups.values() for group in of_dataset)
    if not counts.tests:
        return ""
    nothing = f" ({counts.nothing} of these where no image survives on either)" if counts.nothing else ""
    return (
        f"In {counts.tests} paired test{'s' * (counts.tests > 1)} against a frequentist twin of the same architecture, "
        "on the same images and under the worst of all attacks, a Bayesian network is certainly more robust in "
        f"{counts.more}, less robust in {counts.less}, and in {counts.same} the two cannot be told apart{nothing}."
    )


def figure(shown: Iterable[Panel]) -> str:
    """The panels as one SVG, which follows the reader's colours, light or dark."""
    return render_page("overview.svg", None, panels=list(shown))


def section(groups: Mapping[str, Sequence[Twins]], folder: str) -> str:
    """What a README says: the figure and the sentence. folder: of the leaderboards, as seen from the README."""
    alt = "Robust accuracy of every network under every threat model, with 95 % intervals; twins together"
    return "\n\n".join(filter(None, (f"![{alt}]({folder}{FILE})", sentence(groups))))


def short(name: str, dataset: str) -> str:
    """A network's name without its data set."""
    return name.removeprefix(f"{dataset}/")


def _panel(dataset: str, groups: Sequence[Twins], boards: Sequence[Board]) -> Panel:
    threats = list(dict.fromkeys(ThreatModel(board.norm, board.eps) for board in boards if board.dataset == dataset))
    best = {threat: _best(dataset, threat, boards) for threat in threats}
    lines = [[_line(entry, group, best) for entry in group.entries] for group in groups]
    return Panel(dataset, [threat_title(one.norm, one.eps) for one in threats], lines)


def _best(dataset: str, threat: ThreatModel, boards: Sequence[Board]) -> set[Configuration]:
    """The networks of rank 1 on the board with most of them."""
    of = [board for board in boards if (board.dataset, board.norm, board.eps) == (dataset, threat.norm, threat.eps)]
    largest = max(of, key=lambda board: (len(board.rows), len(board.images[1])))
    return {row.configuration for row in largest.rows if row.rank == 1}


def _line(entry: Entry, group: Twins, best: Mapping[ThreatModel, set[Configuration]]) -> Line:
    rows = {row.threat: row for row in entry.rows}
    statuses = entry.statuses
    worst = [(str(norm), str(status)) for norm, status in statuses.items() if status != "PASS"]
    if len(worst) > 1 and len(set(statuses.values())) == 1:
        worst = [("", worst[0][1])]  # the same in every norm
    return Line(
        entry.configuration,
        short(entry.name, entry.dataset),
        entry.rows[0].family,
        Bar.of(entry.rows[0].clean),
        [_cell(entry, group, rows[threat], of) if threat in rows else None for threat, of in best.items()],
        worst or [("", "PASS")],
    )


def _cell(entry: Entry, group: Twins, row: Row, best: set[Configuration]) -> Cell:
    test = group.tests.get((entry.name, row.threat))
    return Cell(
        Bar.of(row.worst, row.whitebox, row.certified),
        row.configuration in best,
        row.is_rankable,
        row.status,
        group.outcome(entry, row.threat),
        "" if test is None else f"{test.corrected:.2g}",
        0 if test is None else test.count,
    )
