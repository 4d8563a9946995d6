"""What a person sees in the terminal: progress while cells run, tables at the end."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table

from benchmark.record import Record

console = Console()


class Progress:
    """One bar over the cells of a run, with what is running and the time left; plain lines where no one watches."""

    def __init__(self, suite: str, total: int, done: int) -> None:
        self._total, self._done, self._label, self._began = total, done, "", 0.0
        self._live = console.is_terminal
        self._bar = RichProgress(
            TextColumn(f"[bold]{suite}[/bold]"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=console,
            disable=not self._live,
        )
        self._task = self._bar.add_task("", total=total, completed=done)
        if done:
            console.print(f"{done} of {total} cells are stored already")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._bar.update(self._task, description="")
        self._bar.stop()

    def start(self, label: str) -> None:
        """Say what runs now."""
        self._label, self._began = label, time.monotonic()
        self._bar.update(self._task, description=label)

    def finish(self) -> None:
        """Count the cell that ran."""
        self._done += 1
        self._bar.advance(self._task)
        if not self._live:
            console.print(
                f"[{self._done}/{self._total}] {self._label}  {time.monotonic() - self._began:.1f} s",
                markup=False,
                soft_wrap=True,
            )


def print_boards(records: list[Record]) -> None:
    """The ranking of every data set, norm and eps among the records, in 80 columns."""
    from benchmark.boards import build_boards
    from benchmark.tables import ranking, threat_title

    for board in build_boards(records):
        rows = ranking(board)
        said_once = {
            name: ", ".join(dict.fromkeys(str(row.pop(name)) for row in rows)) for name in ("images", "libraries")
        }
        title = f"{board.dataset}, {threat_title(board.norm, board.eps)}: {said_once['images']} images, libraries "
        table = Table(
            title=title + said_once["libraries"],
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            show_edge=False,
            pad_edge=False,
        )
        shown = [name for name in dict.fromkeys(column for row in rows for column in row) if name != "family"]
        for column in shown:
            table.add_column(
                column.replace("rank", "#"), justify="left" if column in ("entry", "verdict") else "right", no_wrap=True
            )
        for row in rows:
            row["entry"] = str(row["entry"]).removeprefix(f"{board.dataset}/")
            table.add_row(*(str(row.get(column, "")) for column in shown))
        console.print(table)
    console.print(
        "Accuracy in %, judged by fresh posterior draws. Pages: python -m benchmark.leaderboard", soft_wrap=True
    )


def print_closed_form(libraries: tuple[str, ...] | None) -> None:
    """Every library against the known optimum of a linear model (check V17). Raises ValueError if one misses it."""
    from benchmark.closed_form import closed_form_gaps
    from benchmark.protocol import LIBRARIES

    gaps = closed_form_gaps(libraries or LIBRARIES)
    missed = [f"{gap.library} {gap.attack}: {gap.shortfall:.2e}" for gap in gaps if not gap.reached]
    if missed:
        raise ValueError(f"closed form missed on a linear model, so no number can be trusted: {'; '.join(missed)}")
    worst = max(gaps, key=lambda gap: gap.shortfall)
    console.print(
        f"closed form: {len(gaps)} attacks reach the optimum of a linear model (largest relative shortfall "
        f"{worst.shortfall:.1e}, {worst.library} {worst.attack})",
        soft_wrap=True,
    )


def print_suites() -> None:
    """Suites, attacks and libraries."""
    from benchmark.protocol import ATTACKS, LIBRARIES
    from benchmark.suites import SUITES

    table = Table(title="Suites", title_justify="left")
    for column in ("suite", "what it runs"):
        table.add_column(column)
    for suite in SUITES.values():
        table.add_row(suite.name, suite.help)
    console.print(table)
    console.print(f"Attacks: {', '.join(ATTACKS)}    Libraries: {', '.join(LIBRARIES)}")


def print_entries(data_root: Path | None) -> None:
    """Zoo entries with what their cards say and whether their data are at hand."""
    from zoo import models
    from zoo.datasets import load_split

    table = Table(title="Zoo", title_justify="left")
    for column in ("entry", "family", "weights", "test accuracy", "data"):
        table.add_column(column)
    for entry in models.values():
        accuracy = entry.card.get("results", {}).get("accuracy")
        try:
            load_split(entry.dataset, "test", data_root)
            data = "at hand"
        except ValueError:
            data = "missing: --data-root or --download"
        table.add_row(
            entry.name,
            entry.family,
            "own" if entry.weights is None else f"{entry.card.get('parameters', 0):,}",
            "" if accuracy is None else f"{100 * accuracy:.2f} %",
            data,
        )
    console.print(table)
