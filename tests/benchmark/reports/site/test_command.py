"""`python -m benchmark.leaderboard --site`: from the records in a folder, and nothing else is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from benchmark import leaderboard, publications
from tests.benchmark.handmade import row
from tests.benchmark.reports.test_publish import stored, tree

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
