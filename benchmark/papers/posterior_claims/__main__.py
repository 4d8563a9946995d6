"""`python -m benchmark.papers.posterior_claims`: attack HMC's entry and its maximum by queries alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.papers.posterior_claims.queries import QUERY_SUITE, write_queries
from zoo.commands import mistakes_in_one_line

app = typer.Typer(add_completion=False)


@app.command()
@mistakes_in_one_line()
def queries(
    examples: Annotated[int, typer.Option(min=1, help="Test images of each network.")] = 100,
    store: Annotated[Path, typer.Option(help="Store of records, which a run goes on from.")] = Path("queries.sqlite"),
    data_root: Annotated[Path | None, typer.Option(help="Folder with the data; bundled images without.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of studies that the table is written to.")] = Path(
        "leaderboards/studies"
    ),
) -> None:
    """Write what Square breaks of every image: minutes."""
    from benchmark.evaluation.loop import How, run
    from benchmark.evaluation.machine import Machine
    from benchmark.plan.cells import Selection
    from benchmark.records.store import Store
    from zoo import models

    entries = [models[name] for name in QUERY_SUITE.models or ()]
    with Store(store) as opened:
        done = run(QUERY_SUITE, Selection(examples=examples), entries, opened, How(Machine(data_root=data_root)))
    typer.echo(f"wrote {write_queries(done.records, out)} in {done.seconds:.0f} s")


if __name__ == "__main__":
    app()
