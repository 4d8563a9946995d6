"""What a propagated pass costs, beside a standard one and beside samples.

`python -m benchmark.papers.uncertainty_propagation.cost`

The paper's implementation took about 2 times as long forward as the standard pass, and 2 to 3 times forward and
backward. Networks are those of tables 2 and 3, the second in the widths of All-CNN-C, too: rules for activations cost
the same per unit however many weights lead to it. Gradients are those of a training.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.measure import compared, side_by_side
from benchmark.papers.uncertainty_propagation.networks import ACTIVATIONS, NETWORKS, nine_layers
from zoo.combine import expected
from zoo.commands import mistakes_in_one_line
from zoo.datasets import dataset_spec
from zoo.propagation import certain, propagate, sample
from zoo.propagation.moments import log_softmax_simplified
from zoo.seeding import derive_seed, forked_random_state, private_generator

BATCH = 32
SAMPLES = (8, 16)
TIMED = NETWORKS | {"nine-layers, 6 times as wide": ("cifar10-jpeg", partial(nine_layers, width=96))}
UNITS = ("LReLU, dropout", "logistic Bernoulli")
Predict = Callable[[Tensor], Tensor]


def predictions(network: nn.Sequential) -> dict[str, Predict]:
    """Images (B, C, H, W) to log-probabilities (B, K), by each kind of propagation."""
    generator = private_generator("examples.propagation.cost")

    def averaged(count: int, x: Tensor) -> Tensor:
        """One sample after the other, which is faster than all in one pass."""
        return expected(torch.stack([sample(network, x, generator) for _ in range(count)]))

    return {
        "AP1": lambda x: network(x).log_softmax(-1),
        "AP2": lambda x: log_softmax_simplified(propagate(network, certain(x))),
        **{f"{count} samples": partial(averaged, count) for count in SAMPLES},
    }


def works(network: nn.Sequential, x: Tensor, y: Tensor) -> dict[str, dict[str, Callable[[], object]]]:
    """What is timed: forward alone, and with the gradients of all parameters."""
    parameters = list(network.parameters())

    def forward(predict: Predict) -> Tensor:
        with torch.no_grad():
            return predict(x)

    def differentiate(predict: Predict) -> tuple[Tensor, ...]:
        return torch.autograd.grad(F.nll_loss(predict(x), y), parameters)

    return {
        kind: {name: partial(work, predict) for name, predict in predictions(network).items()}
        for kind, work in (("forward", forward), ("forward and backward", differentiate))
    }


def table(repeats: int) -> pd.DataFrame:
    """A row for each network, its units and the kind of propagation: times as multiples of the standard pass."""
    rows = []
    for name, (dataset, build) in TIMED.items():
        for units in UNITS:
            with forked_random_state(derive_seed("examples.propagation.cost", name)):
                network = build(ACTIVATIONS[units])
            generator = private_generator("examples.propagation.cost images", name)
            x = torch.rand(BATCH, *dataset_spec(dataset).shape, generator=generator)
            by_kind = {
                kind: compared(side_by_side(sides, repeats), "AP1", kind)
                for kind, sides in works(network, x, torch.arange(BATCH) % 10).items()
            }
            for lines in zip(*by_kind.values(), strict=True):
                times = {kind: line[kind] for kind, line in zip(by_kind, lines, strict=True)}
                rows.append({"network": name, "units": units, "propagation": lines[0]["what"], **times})
    return pd.DataFrame(rows)


@mistakes_in_one_line()
def run(
    repeats: Annotated[int, typer.Option(min=2, help="Rounds in which every side takes its turn.")] = 15,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = Path("examples-out"),
) -> None:
    """Measure, print and write: about ten minutes on two cores."""
    found = table(repeats)
    out.mkdir(parents=True, exist_ok=True)
    found.to_csv(out / "cost.csv", index=False)
    typer.echo(found.to_string(index=False))


if __name__ == "__main__":
    typer.run(run)
