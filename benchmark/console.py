"""What a person sees in the terminal: progress while cells run, tables at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from rich import box
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from benchmark.cells import Cell
from benchmark.record import Record
from benchmark.timing import Timing, duration

console = Console()


class Progress:
    """One bar over the cells of a run: what runs, time left, throughput; plain lines where no one watches.

    cells: all of the run. costs: of a pass, by entry. Time left is reckoned by passes x cost, for a PGD cell has 100
    times the passes of FGSM, and a pass of one network 30 times the work of another's.
    """

    def __init__(
        self, suite: str, cells: Sequence[Cell], waiting: Sequence[Cell], costs: Mapping[str, int] | None = None
    ) -> None:
        self._costs = costs or {}
        self._total, self._done = len(cells), len(cells) - len(waiting)
        self._running: dict[str, float] = {}
        self._live = console.is_terminal
        self._bar = RichProgress(
            TextColumn(f"[bold]{suite}[/bold]"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[cells]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            _Throughput(),
            TextColumn("{task.description}"),
            console=console,
            disable=not self._live,
            speed_estimate_period=300,
        )
        total, left = sum(map(self._work, cells)), sum(map(self._work, waiting))
        self._before, self._began = total - left, time.monotonic()
        self._task = self._bar.add_task("", total=total, completed=total - left, cells=self._count)
        if self._done:
            console.print(f"{self._done} of {self._total} cells are stored already")
        if waiting:
            self._print_left(cells, waiting, left)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._bar.update(self._task, description="")
        self._bar.stop()

    def start(self, cell: Cell) -> None:
        """Say that a cell runs now."""
        self._running[cell.label] = time.monotonic()
        self._describe()

    def finish(self, cell: Cell) -> None:
        """Count a cell that was started, here or by another process."""
        began = self._running.pop(cell.label, None)
        self._done += 1
        self._bar.update(self._task, advance=self._work(cell), cells=self._count)
        self._describe()
        if not self._live:
            how = "stored by another process" if began is None else f"{time.monotonic() - began:.1f} s"
            task = self._bar.tasks[0]
            spent, done = time.monotonic() - self._began, task.completed - self._before
            ahead = (task.total or 0) - task.completed
            known = done > ahead / 10 or spent > 20  # the first are slow and small
            left = f", {duration(spent / done * ahead)} left" if known and ahead else ""
            console.print(f"[{self._count}] {cell.label}  {how}{left}", markup=False, soft_wrap=True)

    def _work(self, cell: Cell) -> int:
        return cell.passes * max(1, self._costs.get(cell.model, 1))

    def _print_left(self, cells: Sequence[Cell], waiting: Sequence[Cell], left: int) -> None:
        """What is to be done, entry by entry, and which share of the time each is likely to take."""
        models = dict.fromkeys(cell.model for cell in cells)
        if len(models) < 2 or len(waiting) < 100:
            return
        for model in models:
            own = [cell for cell in cells if cell.model == model]
            to_do = [cell for cell in waiting if cell.model == model]
            share = sum(map(self._work, to_do)) / left
            console.print(
                f"  {model}: {len(to_do)} of {len(own)} cells to do, {100 * share:.0f} % of the time",
                markup=False,
                soft_wrap=True,
            )

    @property
    def _count(self) -> str:
        return f"{self._done}/{self._total}"

    def _describe(self) -> None:
        first, *others = [*self._running, ""]
        self._bar.update(self._task, description=first + (f" and {len(others) - 1} more" if len(others) > 1 else ""))


class _Throughput(ProgressColumn):
    """Multiplications per second, those of a backward pass counted twice."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed / 1e9:.1f}G/s", style="progress.data.speed")


def print_profile(timing: Timing, seconds: float, processes: int | None) -> None:
    """Where the time of all processes together went. seconds: by the clock. processes: None where it is not known."""
    table = Table(title="Where the time went", title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    for column in ("work", "seconds", "share"):
        table.add_column(column, justify="left" if column == "work" else "right")
    parts = {kind: timing[kind] for kind in ("loading", "gradients", "libraries", "judge", "store")}
    if processes is not None:
        parts["other"] = max(0.0, processes * seconds - sum(parts.values()))
    total = sum(parts.values())
    for kind, spent in parts.items():
        table.add_row(kind, f"{spent:.1f}", f"{100 * spent / total:.1f} %" if total else "")
    console.print(table)
    console.print(
        f"{total:.1f} s of work in {seconds:.1f} s. Gradients of a batch: {timing['asked']:.0f} asked for by the "
        f"libraries, {timing['computed']:.0f} computed.",
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
        hidden = ("family", "white-box", "attacks", "passes x draws")
        shown = [name for name in dict.fromkeys(column for row in rows for column in row) if name not in hidden]
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
    from benchmark.trials import TRIALS

    table = Table(title="Suites", title_justify="left")
    for column in ("suite", "what it runs"):
        table.add_column(column)
    for suite in SUITES.values():
        table.add_row(suite.name, suite.help)
    console.print(table)
    console.print(f"Attacks: {', '.join(ATTACKS)}    Libraries: {', '.join(LIBRARIES)}")
    console.print(f"Suite adaptive tries beside them: {', '.join(TRIALS)}", soft_wrap=True)


def print_entries(data_root: Path | None) -> None:
    """Zoo entries with what their cards say and whether their data are at hand."""
    from zoo import models
    from zoo.datasets import load_split

    table = Table(title="Zoo", title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in ("entry", "family", "weights", "accuracy", "data"):
        table.add_column(column, no_wrap=True)
    for entry in models.values():
        accuracy = entry.card.get("results", {}).get("accuracy")
        try:
            load_split(entry.dataset, "test", data_root)
            data = "at hand"
        except ValueError:
            data = "missing"
        table.add_row(
            entry.name,
            entry.family,
            "own" if entry.weights is None else f"{entry.card.get('parameters', 0):,}",
            "" if accuracy is None else f"{100 * accuracy:.2f} %",
            data,
        )
    console.print(table)
    if "missing" in table.columns[-1].cells:
        console.print("Where data are missing: --data-root names their folder, --download fetches them.")
