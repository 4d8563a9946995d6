"""A logical AND of uncertain inputs, example 1 and table 1.

`python -m benchmark.papers.uncertainty_propagation.and_gate`

A logistic unit decides whether two parts are there, given the probability of each. Put the probabilities into the unit
(AP1) and it is far too sure that they are not; propagate mean and variance (AP2) and it is nearly right.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer
from torch import Tensor, nn

from benchmark.papers.uncertainty_propagation.published import TABLE_1
from zoo.commands import mistakes_in_one_line
from zoo.propagation import moments, propagate


def gate(sure: float = 0.95) -> nn.Linear:
    """S(w (x1 + x2) + b), which is `sure` for two ones and 1 - `sure` for one, in float64."""
    layer = nn.Linear(2, 1, dtype=torch.float64)
    one, two = torch.logit(torch.tensor([1 - sure, sure], dtype=torch.float64))
    with torch.no_grad():
        layer.weight.fill_(two - one)
        layer.bias.fill_(2 * one - two)
    return layer


@torch.no_grad()
def expectation(layer: nn.Linear, p: Tensor) -> float:
    """The expectation over independent binary inputs with probabilities p (2,): the sum over their four states."""
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=2)), dtype=torch.float64)
    weights = torch.where(states == 1, p, 1 - p).prod(1)
    return float(weights @ torch.sigmoid(layer(states))[:, 0])


@torch.no_grad()
def table() -> pd.DataFrame:
    """The paper's columns and ours, a row for each of its inputs."""
    layer, rows = gate(), []
    for first, second, both, published, published_ap1 in TABLE_1:
        p = torch.tensor([first, second], dtype=torch.float64)
        activation = propagate(layer, moments.bernoulli(p))
        rows.append(
            {
                "P(x1)": first,
                "P(x2)": second,
                "P(both)": both,
                "expectation, paper": published,
                "expectation": expectation(layer, p),
                "AP1, paper": published_ap1,
                "AP1": float(torch.sigmoid(layer(p))),
                "AP2a": float(moments.logistic_bernoulli_normal(activation).mean),
                "AP2b": float(moments.logistic_bernoulli(activation).mean),
            }
        )
    return pd.DataFrame(rows)


@mistakes_in_one_line()
def run(out: Annotated[Path, typer.Option(help="Folder for the table.")] = Path("examples-out")) -> None:
    """Print and write the table."""
    found = table()
    out.mkdir(parents=True, exist_ok=True)
    found.to_csv(out / "and-gate.csv", index=False, float_format="%.6g")
    typer.echo(found.to_string(index=False, float_format="{:.3g}".format))


if __name__ == "__main__":
    typer.run(run)
