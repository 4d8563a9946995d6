"""What a person sees while cells run: how many are done, what runs, and the time left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from benchmark.evaluation.outlook import Outlook
from benchmark.plan.cells import Cell
from benchmark.records.record import Record
from benchmark.reports import console
from benchmark.timing import duration

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

_WIDE = 72  # columns from which on there is room for a bar


class Progress:
    """One line over all phases of a run, in a notebook too; where no one watches, one line a cell.

    In a narrow terminal the label of what runs is cut, counts and times never. Cells that are likely to come but not
    known yet are counted apart: `57/84+~60`.
    """

    def __init__(self, suite: str, outlook: Outlook) -> None:
        self.outlook, self._began = outlook, time.monotonic()
        self._live = console.console.is_terminal
        self._in_notebook: DisplayHandle | None = None
        columns: list[ProgressColumn] = [
            TextColumn(f"[bold]{suite}[/bold]", table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[cells]}", table_column=Column(no_wrap=True)),
            _Left(outlook, table_column=Column(no_wrap=True)),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            BarColumn(bar_width=10),
            TextColumn(
                "{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
            ),
        ]
        if console.console.width < _WIDE:
            del columns[4]
        self.bar = RichProgress(*columns, console=console.console, disable=not self._live, expand=True)
        self._task = self.bar.add_task("", total=1.0, cells=self._count)

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._describe("")
        if self._in_notebook is not None:
            self._say(f"{self._count} cells, {duration(time.monotonic() - self._began)}")
        self.bar.stop()

    def begin(self, cells: Sequence[Cell], waiting: Collection[Cell]) -> None:
        """A phase begins: all its cells, and those among them that are not stored yet."""
        self.outlook.add(cells, waiting)
        if stored := len(cells) - len(waiting):
            console.console.print(f"{stored} of {len(cells)} cells are stored already")
        if waiting:
            self._say_shares(cells, waiting)
            if not self._live:
                self._say(f"{len(waiting)} cells to do{self._left()}")
        self._describe()

    def settle(self) -> None:
        """No cells follow those that are known."""
        self.outlook.settle()

    def start(self, cell: Cell) -> None:
        """Say that a cell runs now."""
        self.outlook.start(cell)
        self._describe()

    def finish(self, cell: Cell, record: Record | None = None) -> None:
        """Count a cell that is done, by its record, or by another process."""
        spent = self.outlook.finish(cell, record)
        self._describe()
        if not self._live:
            how = "stored by another process" if spent is None else f"{spent:.1f} s"
            self._say(f"[{self._count}] {cell.label}  {how}{self._left()}")

    def _say(self, line: str) -> None:
        """Print a line; in a notebook it takes the place of the one before."""
        if not console.console.is_jupyter:
            console.console.print(line, markup=False, highlight=False, soft_wrap=True)
            return
        from IPython.display import display

        shown = {"text/plain": line}
        if self._in_notebook is None:
            self._in_notebook = display(shown, raw=True, display_id=True)
        else:
            self._in_notebook.update(shown, raw=True)

    def _left(self) -> str:
        left = self.outlook.left()
        return f", {duration(left)} left" if left else ""

    def _say_shares(self, cells: Sequence[Cell], waiting: Collection[Cell]) -> None:
        """Say how many cells are to do, entry by entry, and which share of the time each entry is likely to take."""
        every, to_do = Counter(cell.model for cell in cells), Counter(cell.model for cell in waiting)
        if len(every) < 2 or len(waiting) < 100:
            return
        seconds = self.outlook.by_entry()
        for model, count in every.items():
            share = seconds.get(model, 0.0) / sum(seconds.values())
            console.console.print(
                f"  {model}: {to_do[model]} of {count} cells to do, {100 * share:.0f} % of the time",
                markup=False,
                soft_wrap=True,
            )

    @property
    def _count(self) -> str:
        ahead = self.outlook.ahead
        return f"{self.outlook.done}/{self.outlook.total}" + (f"+~{ahead}" if ahead else "")

    def _describe(self, text: str | None = None) -> None:
        labels = [cell.label for cell in self.outlook.running]
        others = f"{len(labels) - 1} more and " if len(labels) > 1 else ""
        spent = time.monotonic() - self._began
        self.bar.update(
            self._task,
            description=others + labels[0] if text is None and labels else "",
            cells=self._count,
            completed=spent,
            total=max(spent + self.outlook.left(), 1e-9),
        )


class _Left(ProgressColumn):
    """The time left."""

    max_refresh = 0.5

    def __init__(self, outlook: Outlook, table_column: Column) -> None:
        super().__init__(table_column)
        self._outlook = outlook

    def render(self, task: Task) -> Text:
        return Text(f"{duration(self._outlook.left())} left".rjust(len("59 min 59 s left")), no_wrap=True)
