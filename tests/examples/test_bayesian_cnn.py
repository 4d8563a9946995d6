"""What Shridhar et al. 2019 show, on a few images of MNIST in the role of the training split."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from examples import bayesian_cnn
from zoo.datasets import Split, load_split


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Split:
    test = load_split("mnist", "test")
    few = dataclasses.replace(test, name="train", images=test.images[:300], labels=test.labels[:300])
    monkeypatch.setattr(bayesian_cnn, "load_split", lambda *_: few)
    return few


def test_it_trains_keeps_draws_and_goes_on(few: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> None:
        bayesian_cnn.run(dataset="mnist", epochs=6, checkpoints=tmp_path / "c", out=tmp_path / "out")

    run()
    written = json.loads((tmp_path / "out" / "bayesian-cnn.json").read_text())
    plain, bayesian = written["histories"]["lenet"], written["histories"]["bayesian-lenet"]
    assert [row["epoch"] for row in plain] == [row["epoch"] for row in bayesian] == [1, 2, 3, 4, 5, 6]
    # the posterior begins at rho = -3
    assert bayesian[0]["sigma"] == pytest.approx(F.softplus(torch.tensor(-3.0)).item(), rel=0.02)
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == {
        "posterior-over-epochs",
        "learning-curves",
        "filters",
    }
    kept = {path.name.rpartition("-epoch-")[2] for path in (tmp_path / "c").glob("*bayesian*-epoch-*")}
    assert kept == {"1.safetensors", "5.safetensors"}

    # a second call trains nothing
    monkeypatch.setattr(bayesian_cnn.Training, "_epoch", lambda *_: pytest.fail("trained again"))
    run()


def test_kept_posteriors_are_those_of_their_epochs(few: Split, tmp_path: Path) -> None:
    bayesian_cnn.run(dataset="mnist", epochs=5, checkpoints=tmp_path, out=tmp_path)
    recipe = bayesian_cnn.Recipe("bayesian-lenet", epochs=5, max_lr=2e-3, rho=bayesian_cnn.RHO)
    path = bayesian_cnn.checkpoint_path(tmp_path, "mnist/bayesian-lenet", recipe, few)
    training = bayesian_cnn.Training("mnist/bayesian-lenet", recipe, few, path)
    found = bayesian_cnn.posteriors(training, [1, 5])
    mu, sigma = next(training.network.conv1.posterior())
    assert torch.equal(found[5][0], mu)
    assert torch.equal(found[5][1], sigma)
    assert not torch.equal(found[1][0], mu)
