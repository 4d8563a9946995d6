"""`Results`: what a set of records says, held together; what `evaluate` returns.

    r = evaluate(net, "mnist", family="bayesian")
    r                            # a table
    r.boards, r.df               # ranked rows with intervals; one line per image, attack and library
    r.audit(), r.curve("bim")    # verdicts and a sentence to quote; robust accuracy against eps
    compare(r, evaluate("mnist/lenet"))   # paired test on the same images

Everything is computed from the records when it is asked for, once, and needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.boards import Board, build_boards, rows_of
from benchmark.comparison import Paired, paired_tests
from benchmark.frames import accuracy_by_eps, tidy
from benchmark.outcomes import Configuration, without_subsumed
from benchmark.record import Record
from benchmark.rows import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = list[tuple[Board, Row]]


class Results:
    """records: of any number of networks and attacks; what is part of another record counts once."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = tuple(without_subsumed(records))

    @cached_property
    def boards(self) -> list[Board]:
        """By data set, norm and eps, the networks ranked, on the same images."""
        return build_boards(self.records)

    @cached_property
    def rows(self) -> Mapping[Configuration, Rows]:
        """By network, its rows with the boards that they are on: accuracy under every threat model, and verdicts."""
        return rows_of(self.boards)

    @cached_property
    def df(self) -> pd.DataFrame:
        """A line per network, attack, eps, library and image; see `benchmark.frames.tidy`."""
        return tidy(self.records)

    @property
    def errors(self) -> dict[str, str]:
        """What a library raised, by the attack that it failed on; empty where all went well."""
        return {
            f"{library}, {record.cell.label}": outcome.error
            for record in self.records
            for library, outcome in record.outcomes.items()
            if outcome.error is not None
        }

    def audit(self, model: str | None = None) -> Text:
        """The audit of a network, as Markdown. model: its name; None for the only one.

        Raises KeyError for a network that is not among the results, ValueError where none or several could be meant.
        """
        from benchmark.pages.audit import audit_page

        return Text(audit_page(self._rows(model), notice=None))

    def quote(self, model: str | None = None) -> str:
        """What a reviewer may quote of a network, norm by norm. model, errors: as for `audit`."""
        from benchmark.pages.audit import conclusion

        return conclusion(self._rows(model))

    def curve(self, attack: str = "pgd-linf") -> Curve:
        """Robust accuracy under one attack against eps. Raises KeyError for an attack that was not run."""
        return Curve(attack, accuracy_by_eps(self.df, attack))

    def __add__(self, other: Results) -> Results:
        """Both together, ranked beside each other."""
        return Results([*self.records, *other.records])

    def __repr__(self) -> str:
        from benchmark.console import ranking_text

        return ranking_text(list(self.records)) if self.boards else f"Results of {len(self.records)} cells, no ranking"

    def _rows(self, model: str | None) -> Rows:
        named = {config: rows for config, rows in self.rows.items() if model in (None, config.model)}
        if not named and model is not None:
            from zoo.lookup import lookup

            lookup({config.model: rows for config, rows in self.rows.items()}, model, "network among the results")
        if len(named) != 1:
            there = ", ".join(sorted({config.model for config in self.rows})) or "none"
            raise ValueError(f"name the network that is meant; there are: {there}")
        (rows,) = named.values()
        return rows


class Text(str):
    """Markdown, shown as what it is in a terminal and rendered in a notebook."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


class Curve:
    """Robust accuracy under one attack against eps. frame: its numbers; see `benchmark.frames.accuracy_by_eps`."""

    def __init__(self, attack: str, frame: pd.DataFrame) -> None:
        self.attack, self.frame = attack, frame

    @cached_property
    def figure(self) -> Figure:
        """The numbers as a figure, with Wilson intervals as bands."""
        from benchmark.figures.results import accuracy_against_eps

        return accuracy_against_eps(self.attack, self.frame)

    def __repr__(self) -> str:
        return str(self.frame.to_string(index=False))

    def _repr_html_(self) -> str:
        return str(self.frame.to_html(index=False))

    def _repr_png_(self) -> bytes:
        import io

        content = io.BytesIO()
        self.figure.savefig(content, format="png", dpi=120, bbox_inches="tight")
        return content.getvalue()


def compare(first: Results, second: Results) -> pd.DataFrame:
    """Two networks on the images that both have met: a line per data set, norm and eps.

    Columns: dataset, norm, eps, images; only_first, only_second (images that survive in one of them alone); p of the
    exact McNemar test; corrected, for all lines together; more_robust: a name, or "not separated" at 5 %.
    Raises ValueError where results hold several networks, or where the two have no threat model and image in common.
    """
    found: list[tuple[Board, Paired]] = []
    theirs = {(board.dataset, board.norm, board.eps): row for board, row in _only(second)}
    for board, row in _only(first):
        if (other := theirs.get((board.dataset, board.norm, board.eps))) is not None:
            found += [(board, pair) for pair in paired_tests([row, other])]
    if not found:
        raise ValueError("the two results have no data set, norm, eps and image in common")
    return _table(found)


def _only(results: Results) -> Rows:
    if len(results.rows) != 1:
        names = ", ".join(sorted(config.model for config in results.rows)) or "none"
        raise ValueError(f"compare takes results of one network each; these have {names}")
    (rows,) = results.rows.values()
    return rows


def _table(found: list[tuple[Board, Paired]]) -> pd.DataFrame:
    from benchmark.statistics import corrected

    p_values = corrected([pair.p for _, pair in found])
    lines = []
    for (board, of_two), adjusted in zip(found, p_values, strict=True):
        pair = replace(of_two, corrected=adjusted)
        lines.append(
            {
                "dataset": board.dataset,
                "norm": board.norm,
                "eps": board.eps,
                "images": pair.count,
                "only_first": pair.only_first,
                "only_second": pair.only_second,
                "p": pair.p,
                "corrected": pair.corrected,
                "more_robust": "not separated" if pair.better is None else pair.better.configuration.model,
            }
        )
    return pd.DataFrame(lines)
