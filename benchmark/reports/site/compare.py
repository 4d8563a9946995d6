"""Two networks side by side, with the paired test between them, for every two that are on the same images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmark.attacks.spec import ThreatModel
from benchmark.reports.bars import Bar
from benchmark.reports.network_report import posterior
from benchmark.reports.overview import short
from benchmark.reports.site.frame import Frame
from benchmark.reports.tables import labelled, threat_title
from benchmark.results.boards import Board
from benchmark.results.ranking import Paired
from benchmark.results.rows import Row
from benchmark.results.twins import Twins

Key = tuple[str, str]


def compare_page(boards: Sequence[Board], groups: Mapping[str, Sequence[Twins]], frame: Frame) -> bytes:
    """All pairs; the browser shows the one that is chosen. groups: data set -> its networks, twins together."""
    pairs = pairs_of(boards)
    names: dict[str, list[str]] = {dataset: [] for dataset in groups}
    for board in boards:
        of_dataset = names.setdefault(board.dataset, [])
        of_dataset += [name for row in board.rows if (name := labelled(row)) not in of_dataset]
    return frame.page(
        "compare.html",
        "compare.html",
        "Compare",
        "Two networks side by side on the same images, with the exact paired test between them.",
        names={dataset: sorted(of_dataset) for dataset, of_dataset in names.items()},
        first=_first(groups, pairs),
        pairs=[_pair(key, tests) for key, tests in pairs.items()],
    )


def _first(groups: Mapping[str, Sequence[Twins]], pairs: Iterable[Key]) -> Key:
    """The pair that is shown at first: the first twins, or whatever there is."""
    for of_dataset in groups.values():
        for group in of_dataset:
            if group.frequentist is not None and group.tests:
                return labelled(group.frequentist.rows[0]), labelled(group.bayesian[0].rows[0])
    return next(iter(pairs), ("", ""))


def pairs_of(boards: Iterable[Board]) -> dict[Key, dict[ThreatModel, Paired]]:
    """Two names, in order -> threat model -> the test on the most images that both are on."""
    found: dict[Key, dict[ThreatModel, Paired]] = {}
    for board in sorted(boards, key=lambda board: len(board.images[1])):
        for pair in board.pairs:
            first, second = sorted((labelled(pair.first), labelled(pair.second)))
            found.setdefault((first, second), {})[ThreatModel(board.norm, board.eps)] = pair
    return dict(sorted(found.items()))


def _pair(key: Key, tests: dict[ThreatModel, Paired]) -> dict[str, object]:
    pairs = sorted(tests.items(), key=lambda item: (item[0].norm != "linf", item[0].eps))
    rows = [_ordered(pair, key) for _, pair in pairs]
    dataset = rows[0][0].dataset
    return {
        "key": "|".join(key),
        "names": [short(name, dataset) for name in key],
        "places": [row.configuration for row in rows[0]],
        "dataset": dataset,
        "facts": [
            ("clean accuracy", [Bar.of(row.clean) for row in rows[0]]),
            ("family", [row.family for row in rows[0]]),
            ("posterior", [posterior(row) for row in rows[0]]),
        ],
        "verdicts": [{row.threat.norm: row.status for row in of} for of in zip(*rows, strict=True)],
        "lines": [_line(pair, first, second) for (_, pair), (first, second) in zip(pairs, rows, strict=True)],
    }


def _ordered(pair: Paired, key: Key) -> tuple[Row, Row]:
    return (pair.first, pair.second) if labelled(pair.first) == key[0] else (pair.second, pair.first)


def _line(pair: Paired, first: Row, second: Row) -> dict[str, object]:
    only = {id(pair.first): pair.only_first, id(pair.second): pair.only_second}
    return {
        "threat": threat_title(first.threat.norm, first.threat.eps),
        "images": pair.count,
        "bars": [(Bar.of(row.worst, row.whitebox, row.certified), row.family) for row in (first, second)],
        "ranked": [row.is_rankable for row in (first, second)],
        "only": [only[id(row)] for row in (first, second)],
        "p": f"{pair.p:.2g}",
        "corrected": f"{pair.corrected:.2g}",
        "better": None if pair.better is None else short(labelled(pair.better), first.dataset),
        "needed": pair.needed,
    }
