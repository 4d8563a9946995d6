"""Train the networks that the self-test hides, in minutes: `python -m benchmark.selftest.train --data-root data`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.selftest.data import SMALL, cropped
from benchmark.selftest.hidden import HIDDEN, WEIGHTS, Hidden
from zoo.commands import mistakes_in_one_line
from zoo.datasets import load_split
from zoo.files import write_whole
from zoo.lookup import lookup
from zoo.seeding import derive_seed, forked_random_state, private_generator

BATCH, RATE = 100, 3e-3

app = typer.Typer(add_completion=False)


def trained(name: str, x: Tensor, y: Tensor) -> nn.Sequential:
    """A hidden network after its epochs on images (N, C, H, W) with labels (N,); one thread gives the same weights."""
    recipe = HIDDEN[name]
    with forked_random_state(derive_seed("initialise", "hidden", name)):
        network = recipe.network()
    steps = recipe.epochs * (len(x) // BATCH)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, cycle_momentum=False)
    for images, labels in _batches(name, recipe, x, y):
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def _batches(name: str, recipe: Hidden, x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Every epoch in another order, each batch with other pixels kept."""
    generator = private_generator("batches", "hidden", name)
    for _ in range(recipe.epochs):
        order = torch.randperm(len(x), generator=generator)
        for chosen in order.split(BATCH):
            if len(chosen) == BATCH:
                images = x[chosen]
                if recipe.kept < 1:
                    images = images * (torch.rand(images.shape, generator=generator) < recipe.kept)
                yield images, y[chosen]


def _images(dataset: str, split: str, root: Path) -> tuple[Tensor, Tensor]:
    content = load_split("mnist" if dataset == SMALL else dataset, "train" if split == "train" else "test", root)
    images = cropped(np.asarray(content.images)) if dataset == SMALL else content.images
    return torch.tensor(images).float() / 255, torch.from_numpy(content.labels)


@app.command()
@mistakes_in_one_line()
def main(
    data_root: Annotated[Path, typer.Option(help="Folder with the training images.")],
    only: Annotated[str | None, typer.Option(help="One hidden network.")] = None,
) -> None:
    """The weights and a card beside them: sha256, and how many of the test images are right."""
    torch.set_num_threads(1)
    for name in HIDDEN if only is None else (only,):
        recipe = lookup(HIDDEN, name, "hidden network")
        network = trained(name, *_images(recipe.dataset, "train", data_root))
        x, y = _images(recipe.dataset, "test", data_root)
        with torch.no_grad():
            right = int((torch.cat([network(part) for part in x.split(500)]).argmax(1) == y).sum())
        content = save({key: value.contiguous() for key, value in network.state_dict().items()})
        accuracy = right / len(y)
        card = {"sha256": hashlib.sha256(content).hexdigest(), "accuracy": accuracy}
        write_whole(WEIGHTS / f"{name}.safetensors", content)
        write_whole(WEIGHTS / f"{name}.json", (json.dumps(card, indent=1) + "\n").encode())
        typer.echo(f"{name}: {100 * accuracy:.1f} % of {len(y):,} test images right, {len(content):,} bytes")


if __name__ == "__main__":
    app()
