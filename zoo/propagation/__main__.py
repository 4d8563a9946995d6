"""`python -m zoo.propagation mnist/bayesian-lenet`: one pass beside the average over many posterior draws."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.commands import mistakes_in_one_line

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
@mistakes_in_one_line()
def propagation(
    name: Annotated[str, typer.Argument(help="Bayesian zoo entry, or your own as package.module:factory.")],
    examples: Annotated[int, typer.Option(min=1, help="Test images.")] = 200,
    draws: Annotated[int, typer.Option(min=2, help="Posterior draws to hold it against.")] = 4096,
    data_root: Annotated[Path | None, typer.Option(help="Folder with data sets beside the bundled MNIST test.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch missing data through torchvision.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the table (CSV).")] = Path("propagation"),
) -> None:
    """KL, accuracy and cost of predictions by propagated moments, by the mean weights and by a few draws."""
    from zoo.catalogue.registry import find_entry
    from zoo.studies.propagation import propagation_study

    entry = find_entry(name)
    found = propagation_study(entry, examples, draws, data_root, download)
    table = out / f"{entry.name.replace(':', '-')}.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    found.to_csv(table, index=False, float_format="%.6g")
    typer.echo(found.to_string(index=False, float_format="{:.3g}".format, na_rep=""))
    typer.echo(f"wrote {table}")


if __name__ == "__main__":
    app()
