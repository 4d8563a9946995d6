"""`python -m benchmark.leaderboard --site`: from the records in a folder, and nothing else is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from benchmark import leaderboard, publications
from benchmark.reports.network_report.pictures import gallery
from benchmark.results import Results
from benchmark.results.images import AttackedImages
from tests.benchmark.handmade import row
from tests.benchmark.reports.test_publish import stored, tree
from zoo import models
from zoo.datasets import DATASETS, jpeg
from zoo.datasets.files import DataNotFoundError

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command where no clone is, with pages of one network."""
    monkeypatch.setattr(publications, "PROJECT", tmp_path / "no clone" / "leaderboards", raising=False)
    monkeypatch.chdir(tmp_path)
    store = stored(tmp_path / "store.sqlite", row("mnist/toy:net", [i < 70 for i in range(100)]))
    made = CliRunner().invoke(leaderboard.app, ["--folder", "pages", "--store", str(store)])
    assert made.exit_code == 0, made.output
    return lambda *arguments: CliRunner().invoke(leaderboard.app, ["--folder", "pages", *arguments])


def test_the_site_of_ones_own_runs_and_nothing_else(run: Run, tmp_path: Path) -> None:
    before = tree(tmp_path)
    result = run("--site", "site")
    assert result.exit_code == 0, result.output
    assert f"open {Path('site/index.html')}" in result.output
    written = tree(tmp_path)
    assert {name: written[name] for name in before} == before
    assert all(name.startswith("site/") for name in written.keys() - before.keys())
    page = written["site/entries/mnist-toy-net.html"].decode()
    assert "70.0" in page
    assert '"../records/mnist/toy-net.json.xz"' in page
    assert written["site/records/mnist/toy-net.json.xz"] == before["pages/records/mnist/toy-net.json.xz"]
    assert run("--site", "site").exit_code == 0
    assert tree(tmp_path) == written


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--site", "pages"], "no site of this program"),
        (["--site", "site", "--check"], "--check and --site exclude each other"),
        (["--site", "site", "--images", "-1"], "Invalid value"),
    ],
)
def test_mistakes_are_said_before_anything_is_read(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    before = tree(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert tree(tmp_path) == before


CIFAR = "cifar10-jpeg/lenet"


def attacked(root: Path | None, monkeypatch: pytest.MonkeyPatch) -> list[AttackedImages]:
    """Three images of a network for CIFAR-10 attacked again; the images are noise, and lie in a folder alone."""

    def read(name: str, split: str, root: Path | None, download: bool) -> tuple[object, ...]:
        if root is None:
            raise DataNotFoundError(f"{name} is not bundled")
        return np.random.default_rng(0).integers(0, 256, (100, 3, 32, 32), np.uint8), np.arange(100) % 10, "noise"

    monkeypatch.setitem(DATASETS._rows, "cifar10-jpeg", dataclasses.replace(DATASETS["cifar10-jpeg"], read=read))
    of = [
        dataclasses.replace(one, cell=dataclasses.replace(one.cell, dataset="cifar10-jpeg"))
        for one in row(CIFAR, [True] * 100)
    ]
    return list(leaderboard._attacked(3, root)(Results(of).entry(CIFAR)))


def test_images_of_a_data_set_that_is_not_bundled_are_attacked_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert attacked(None, monkeypatch) == []
    assert "no attacked images of cifar10-jpeg on the pages: it is not bundled;" in capsys.readouterr().out
    found = attacked(tmp_path, monkeypatch)
    assert {one.threat.norm for one in found} == {"linf"}
    assert found[0].clean.shape == (3, 3, 32, 32)
    for one in found:
        assert 0 < np.abs(one.adversarial - one.clean).max() <= one.threat.eps + 1e-6
        with torch.no_grad():
            network = models[CIFAR].build().eval()
            assert network(torch.from_numpy(one.adversarial)).argmax(1).tolist() == one.predicted
    shown = gallery(found[0]).tiles[0]
    assert shown.label in [f"{number} ({name})" for number, name in enumerate(jpeg.CLASSES)]
    assert float(shown.distance) == pytest.approx(found[0].threat.eps, rel=0.01)


def test_a_network_whose_weights_are_not_here_has_no_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in an installed package, which has the weights of networks for bundled images alone."""
    bare = dataclasses.replace(models[CIFAR], weights=tmp_path / "none.safetensors")
    monkeypatch.setattr("zoo.models", {CIFAR: bare})
    assert attacked(tmp_path, monkeypatch) == []
    assert f"no attacked images of {CIFAR} on its page: its weights are not here" in capsys.readouterr().out
