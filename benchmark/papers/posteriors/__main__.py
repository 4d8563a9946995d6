"""`python -m benchmark.papers.posteriors`: make the study's networks, attack them, and write what was found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from benchmark.papers.posteriors.grid import PROBLEMS, TRAININGS, Problem
from zoo.commands import mistakes_in_one_line
from zoo.lookup import lookup

app = typer.Typer(add_completion=False)


@app.command()
@mistakes_in_one_line()
def posteriors(
    problem: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(PROBLEMS)}; all by default.")] = None,
    posterior: Annotated[list[str] | None, typer.Option(help="Only these kinds; all by default. See --list.")] = None,
    examples: Annotated[int, typer.Option(min=2, help="Test images of each network.")] = 100,
    folder: Annotated[Path, typer.Option(help="Of weights, checkpoints and records, which a run goes on from.")] = Path(
        "posteriors"
    ),
    data_root: Annotated[Path, typer.Option(help="Folder with the training data.")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder of studies that the tables are written to.")] = Path(
        "leaderboards/studies"
    ),
    only_list: Annotated[bool, typer.Option("--list", help="Say what there is and what is left; run nothing.")] = False,
) -> None:
    """Make every network that is not there yet, attack it, and write the tables that the study's page is made of.

    Stop it at any moment; the same command goes on where it stopped.
    """
    from benchmark.papers.posteriors.study import Study

    studies = []
    for one in (lookup(PROBLEMS, name, "problem") for name in problem or PROBLEMS):
        for name in posterior or ():
            lookup(dict(one.posteriors), name, f"posterior of {one.name}")
        studies.append(Study(one, folder, data_root, examples))
    if not only_list:
        for study in studies:
            study.making.load()
    for study in studies:
        kinds = [name for name in study.problem.posteriors if name in (posterior or study.problem.posteriors)]
        if only_list:
            _tell(study.problem, kinds, study.left(kinds))
        else:
            for line in study.run(kinds):
                typer.echo(line)
            typer.echo(f"wrote {study.write(out)}")


def _tell(problem: Problem, kinds: Iterable[str], left: dict[str, str]) -> None:
    typer.echo(f"{problem.name}: {problem.architecture} on {problem.data}")
    for name in kinds:
        typer.echo(f"  {name:<20}{problem.posteriors[name].words}, {TRAININGS} trainings: {left[name]}")


if __name__ == "__main__":
    app()
