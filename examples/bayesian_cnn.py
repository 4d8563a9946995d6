"""What Shridhar et al. 2019 show of Bayesian CNNs: `python -m examples.bayesian_cnn --data-root DATA`.

LeNet and its Bayesian twin are trained for 100 epochs on the images as they are, neither flipped nor shifted, so that
overfitting shows. Drawn are the posterior over epochs, training against validation accuracy, and the filters of both.
About an hour on two cores; a killed run goes on from its last epoch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from zoo.catalogue.recipes import Recipe
from zoo.commands import mistakes_in_one_line
from zoo.datasets import load_split
from zoo.layers import MeanFieldLayer
from zoo.studies.weights_figure import filters, learning_curves, posterior_over_epochs
from zoo.training.loop import Training, checkpoint_path

SHOWN = (1, 5, 20, 50, 100)  # as in the post "Bayesian Convolutional Neural Networks with Bayes by Backprop"
RHO = -3.0  # where the posteriors in the code of Shridhar et al. begin: sigma 0.049


def posteriors(training: Training, epochs: list[int], layer: str = "conv1") -> dict[int, tuple[Tensor, Tensor]]:
    """(mu, sigma) of a layer's weights as they were kept after some epochs."""
    states = {epoch: load_file(training.kept(epoch)) for epoch in epochs}
    return {
        epoch: (state[f"{layer}.weight_mu"], F.softplus(state[f"{layer}.weight_rho"]))
        for epoch, state in states.items()
    }


@mistakes_in_one_line()
def run(
    data_root: Annotated[Path, typer.Option(help="Folder with the data.")] = Path("data"),
    dataset: Annotated[str, typer.Option(help="What to train on.")] = "cifar10-jpeg",
    epochs: Annotated[int, typer.Option(min=1)] = SHOWN[-1],
    download: Annotated[bool, typer.Option("--download", help="Fetch the data through torchvision.")] = False,
    checkpoints: Annotated[Path, typer.Option(help="Folder for checkpoints.")] = Path("checkpoints"),
    out: Annotated[Path, typer.Option(help="Folder for figures and numbers.")] = Path("examples-out"),
) -> None:
    """Train both networks, or go on with them, and draw."""
    split = load_split(dataset, "train", data_root, download)
    shown = [epoch for epoch in SHOWN if epoch <= epochs]
    trained = {}
    for name in ("lenet", "bayesian-lenet"):
        recipe = Recipe(name, epochs=epochs, max_lr=2e-3, rho=RHO if name.startswith("bayesian-") else None)
        path = checkpoint_path(checkpoints, f"{dataset}/{name}", recipe, split)
        trained[name] = Training(f"{dataset}/{name}", recipe, split, path, keep=shown)
        trained[name].run()
    histories = {name: training.history for name, training in trained.items()}
    bayesian = trained["bayesian-lenet"]
    out.mkdir(parents=True, exist_ok=True)
    (out / "bayesian-cnn.json").write_text(json.dumps({"dataset": dataset, "histories": histories}, indent=1) + "\n")
    first = bayesian.network.get_submodule("conv1")
    assert isinstance(first, MeanFieldLayer)
    plain = trained["lenet"].network.get_submodule("conv1").weight
    assert isinstance(plain, torch.Tensor)
    drawn = {
        "posterior-over-epochs": posterior_over_epochs(posteriors(bayesian, shown), bayesian.history),
        "learning-curves": learning_curves(histories),
        "filters": filters(plain, first),
    }
    for name, figure in drawn.items():
        figure.savefig(out / f"{name}.png", dpi=200, bbox_inches="tight")
    typer.echo(json.dumps({name: history[-1] for name, history in histories.items()}, indent=2))


if __name__ == "__main__":
    typer.run(run)
