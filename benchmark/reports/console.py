"""What a person sees in the terminal when a run is done, or asks what there is."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from benchmark.timing import Timing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmark.plan.suite import Suite
    from benchmark.results import Results

console = Console()
_WIDEST = 400  # of a table whose numbers are whole on any terminal


def print_profile(timing: Timing, seconds: float, processes: int | None) -> None:
    """Where the time of all processes together went. seconds: by the clock. processes: None for an unknown number."""
    table = Table(title="Where the time went", title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    for column in ("work", "seconds", "share"):
        table.add_column(column, justify="left" if column == "work" else "right")
    parts = {kind: timing[kind] for kind in ("loading", "gradients", "libraries", "bounds", "judge", "store")}
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


def print_boards(results: Results) -> None:
    """The ranking of every data set among the results; nothing in it is cut but names."""
    from benchmark.reports.standings import standings

    console.print(standings(results.boards, console.width), soft_wrap=True, highlight=False)


def print_bounds(results: Results) -> None:
    """What is certified and what attacks left, at every eps; nothing where no bounds were computed."""
    from benchmark.reports.bounds import by_dataset, by_norm, intervals

    for dataset, found in by_dataset(results.bounds).items():
        for of_norm in by_norm(found).values():
            _print_lines(f"{dataset}: % certified–left by attacks", intervals(of_norm))


def print_gradients(results: Results) -> None:
    """What every gradient left, and more draws; nothing where attacks followed one gradient alone."""
    from benchmark.reports.gradient_targets import target_rows
    from benchmark.reports.readings import draws_rows

    matrix = results.gradient_targets
    for dataset in dict.fromkeys(compared.dataset for compared in matrix):
        _print_lines(
            f"{dataset}: accuracy in % under the attacks of one gradient (points that it overestimates, p)",
            target_rows(compared for compared in matrix if compared.dataset == dataset),
        )
        if by_draws := [one for one in results.draws if one.dataset == dataset]:
            _print_lines(f"{dataset}: % that survive, by how many draws the attacker has", draws_rows(by_draws))


def _print_lines(title: str, lines: Sequence[Mapping[str, object]]) -> None:
    """A table whose columns are named by its lines, none of them cut; what is bold on pages is bold here."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in lines[0]:
        table.add_column(column, no_wrap=True)
    for line in lines:
        table.add_row(*(re.sub(r"\*\*(.+?)\*\*", r"[bold]\1[/]", str(cell)) for cell in line.values()))
    Console(width=_WIDEST, file=console.file).print(table)


def ranking_text(results: Results, width: int = 100) -> str:
    """The same as text."""
    from benchmark.reports.standings import standings

    plain = Console(width=width, file=io.StringIO(), color_system=None, force_jupyter=False)
    with plain.capture() as captured:
        plain.print(standings(results.boards, width), soft_wrap=True, highlight=False)
    return captured.get()


def print_closed_form(libraries: tuple[str, ...] | None) -> None:
    """Every library against the known optimum of a linear model (check V17). Raises ValueError if one misses it."""
    from benchmark.evaluation.closed_form import closed_form_gaps
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


def print_suites(suites: Mapping[str, Suite]) -> None:
    """Suites, attacks and libraries."""
    from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
    from benchmark.protocol import ATTACKS, LIBRARIES

    table = Table(title="Suites", title_justify="left")
    for column in ("suite", "what it runs"):
        table.add_column(column)
    for suite in suites.values():
        table.add_row(suite.name, suite.help)
    console.print(table)
    console.print(f"Attacks: {', '.join(ATTACKS)}    Libraries: {', '.join(LIBRARIES)}")
    console.print(f"Suites adaptive and thorough add: {', '.join(ADAPTIVE_ATTACKS)}", soft_wrap=True)


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
            entry.family or "as found",
            "own" if entry.weights is None else f"{entry.card.get('parameters', 0):,}",
            "" if accuracy is None else f"{100 * accuracy:.2f} %",
            data,
        )
    console.print(table)
    if "missing" in table.columns[-1].cells:
        console.print(
            "Where data are missing: --data-root names their folder; --download fetches what torchvision has."
        )
