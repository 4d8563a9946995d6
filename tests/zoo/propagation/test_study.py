"""The command that holds propagated predictions against many draws."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from zoo import models
from zoo.posteriors import posterior_draws
from zoo.propagation.__main__ import app
from zoo.seeding import derive_seed
from zoo.studies import propagation as study_module


def test_it_prints_and_writes_what_it_measured(tmp_path: Path) -> None:
    command = ["mnist/bayesian-lenet", "--examples", "20", "--draws", "100", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "mnist" / "bayesian-lenet.csv").set_index("prediction")
    assert table.loc["100 draws", "KL, nats"] == 0
    assert table.loc["propagation, logistic softmax", "KL, nats"] < table.loc["1 draws", "KL, nats"]
    for kind in ("prediction", "gradient"):
        times = table[f"time of a {kind}, one network = 1"]
        assert times["mean-weights"] == 1
        assert times.drop("100 draws").notna().sum() == 5
    propagated = table.iloc[0]
    assert 0 < propagated["error of logits' mean"] < 0.2
    assert 0.7 < propagated["factor of their sigma"] < 1.2


def test_many_draws_are_added_up_as_if_they_were_taken_at_once() -> None:
    entry = models["mnist/bayesian-lenet"]
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    sampled, log_p = study_module._of_many_draws(entry, x, 100)
    network = entry.build()
    draws = [
        draw
        for start, count in ((0, 64), (64, 36))
        for draw in posterior_draws(network, count, derive_seed("propagation many", entry.name, start))
    ]
    with torch.no_grad():
        logits = torch.stack([draw(x) for draw in draws]).double()
    assert torch.allclose(sampled.mean, logits.mean(0), atol=1e-5)
    assert torch.allclose(sampled.variance, logits.var(0, correction=0), rtol=1e-4)
    assert torch.allclose(log_p.exp(), logits.softmax(-1).mean(0), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["mnist/lenet"], "there is nothing to propagate"), (["mnist/bayesian-lenet", "--examples", "20000"], "too many")],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")
