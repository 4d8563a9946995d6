"""`python -m zoo.uncertainty mnist/bayesian-lenet --against notmnist`: what it knows, and what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.commands import mistakes_in_one_line

if TYPE_CHECKING:
    from zoo import ZooEntry

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

NOISE_AND_ROTATION = ["gaussian-noise", "uniform-noise", "rotated-90"]


@app.command()
@mistakes_in_one_line()
def uncertainty(
    name: Annotated[str, typer.Argument(help="Zoo entry, or your own as package.module:factory.")],
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Images to hold its test images against: a data set such as notmnist, gaussian-noise, "
            "uniform-noise, rotated-DEGREES. By default noise and a quarter turn."
        ),
    ] = None,
    examples: Annotated[int, typer.Option(min=1, help="Images of each kind.")] = 2000,
    draws: Annotated[int, typer.Option(min=1, help="Posterior draws.")] = 64,
    seed: Annotated[int, typer.Option(help="What draws are derived from.")] = 0,
    data_root: Annotated[Path | None, typer.Option(help="Folder with data sets beside the bundled MNIST test.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch missing data through torchvision.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the table (CSV) and the figure.")] = Path("uncertainty"),
) -> None:
    """Entropies, variances, and how well each tells the entry's test images from images of other kinds (AUROC)."""
    from zoo.catalogue.registry import find_entry
    from zoo.studies.uncertainty import uncertainty_study
    from zoo.studies.uncertainty_figure import images_with_predictions

    entry = find_entry(name)
    found = uncertainty_study(entry, _kinds(entry.dataset, against), examples, draws, seed, data_root, download)
    table, figure = (out / f"{entry.name.replace(':', '-')}.{kind}" for kind in ("csv", "png"))
    table.parent.mkdir(parents=True, exist_ok=True)
    found.table.to_csv(table, index=False)
    images_with_predictions(found.images, found.log_p).savefig(figure, dpi=200)
    # turned, so that it fits a terminal: a column per kind of images
    typer.echo(found.table.set_index("images").T.to_string(float_format="{:.4f}".format, na_rep=""))
    typer.echo(f"{entry.name}, {_draws(entry, draws)}; wrote {table} and {figure}")


def _kinds(dataset: str, against: list[str] | None) -> list[str]:
    if against:
        return [kind.strip() for text in against for kind in text.split(",")]
    return NOISE_AND_ROTATION


def _draws(entry: ZooEntry, draws: int) -> str:
    return "one network" if entry.is_deterministic else f"{draws} posterior draws"


if __name__ == "__main__":
    app()
