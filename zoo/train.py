"""Train an entry of the zoo from its recipe: `python -m zoo.train mnist/bayesian-lenet --data-root DATA`.

Ten per cent of the training split is held out for choices; the test split is touched once, for the model card.
Training stops and continues at epoch boundaries, sampling after every ten epochs or iterations: a killed run resumes
from its checkpoint and ends with the same weights, because every random number is derived from (recipe seed, epoch).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from zoo.commands import mistakes_in_one_line, require_device

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command()
@mistakes_in_one_line()
def train(
    name: Annotated[str, typer.Argument(help="Zoo entry, such as mnist/bayesian-lenet.")],
    data_root: Annotated[Path, typer.Option(help="Folder with the training data.")] = Path("data"),
    download: Annotated[bool, typer.Option("--download", help="Fetch the data through torchvision.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for weights and card; by default the zoo's own.")] = None,
    checkpoints: Annotated[Path, typer.Option(help="Folder for checkpoints.")] = Path("checkpoints"),
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another value in the recipe, such as epochs=5, draws=2 or kl_weighting=blundell."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    measure: Annotated[
        bool, typer.Option("--measure", help="Train nothing: measure the weights there are and rewrite their card.")
    ] = False,
) -> None:
    """Train NAME from its recipe and write its weights (safetensors) and its model card (JSON).

    A training that was stopped goes on from its last epoch when the same command is given again.
    """
    from zoo import models
    from zoo.catalogue.recipes import RECIPES
    from zoo.catalogue.settings import with_settings
    from zoo.datasets import load_split
    from zoo.lookup import lookup
    from zoo.training.cards import measure_again, write_entry
    from zoo.training.full_batch import training_of
    from zoo.training.loop import checkpoint_path
    from zoo.training.sampling import Sampling

    try:
        recipe = lookup(RECIPES, name, "recipe")
        recipe = with_settings(recipe, set_ or ())
        if measure and (set_ or out is not None):
            raise ValueError("--measure is about the zoo's own weights: leave --set and --out away")
        if set_ and out is None:
            raise ValueError("--set makes another network than the recipe: say where it goes with --out")
        require_device(device)
        if recipe.sampler is not None and device != "cpu":
            raise ValueError(f"{name} is sampled on the CPU: leave --device away")
        dataset = name.split("/")[0]
        test = load_split(dataset, "test", data_root, download)
        if measure:
            typer.echo(f"wrote {measure_again(models[name], recipe, test)}")
            return
        split = load_split(dataset, "train", data_root, download)
        if recipe.start_from is not None and recipe.start_from not in models:
            raise ValueError(
                f"{name} begins at the weights of {recipe.start_from}, which are not there: python -m zoo.train "
                f"{recipe.start_from}, or begin at random with --set start_from=none"
            )
        path = checkpoint_path(checkpoints, name, recipe, split)
        sampled = None if recipe.sampler is None else Sampling(name, recipe, split, path)
        run = sampled or training_of(recipe)(name, recipe, split, path, device)
        network, history = run.run()
        sampling = None if sampled is None else sampled.figures(test)
        path = write_entry(name, recipe, network, history, run.held_out, test, split.fingerprint, out, sampling)
    except KeyboardInterrupt:
        typer.secho("stopped; the same command goes on from the last finished epoch", err=True)
        raise typer.Exit(130) from None
    typer.echo(json.dumps(json.loads(path.read_text())["results"], indent=2))
    typer.echo(f"wrote {path} and its weights")


if __name__ == "__main__":
    app()
