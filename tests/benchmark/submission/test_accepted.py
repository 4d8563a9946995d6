"""An accepted submission on the boards: its records are read where they lie, and its row says that it was submitted."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark import leaderboard, publications
from benchmark.records.archive import read_records
from tests.benchmark.handmade import row
from tests.benchmark.reports.test_publish import stored, tree
from tests.benchmark.submission.conftest import Honest
from tests.benchmark.submission.stranger import data, invoke, submit


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with the leaderboards of one entry of the zoo."""
    from benchmark.reports import figures

    monkeypatch.setattr(figures, "cards", dict)  # the zoo's figures take longer than all the rest
    monkeypatch.setattr(figures, "accuracy_by_draws", list)
    monkeypatch.setattr(publications, "PROJECT", tmp_path / "leaderboards")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("<!-- leaderboard:begin -->\n<!-- leaderboard:end -->\n")
    stored(tmp_path / "results.sqlite", row("mnist/lenet", [i < 80 for i in range(100)]))
    said = invoke(leaderboard.app)
    assert said.exit_code == 0, said.output
    return tmp_path


def test_its_row_is_on_the_boards_and_its_records_stay_where_they_are(honest: Honest, clone: Path) -> None:
    boards = clone / "leaderboards"
    before = tree(boards)
    shutil.copytree(honest.folder, boards / "submissions" / "tiny-bars-net")
    assert invoke(leaderboard.app, "--check").exit_code == 1
    said = invoke(leaderboard.app)
    assert said.exit_code == 0, said.output
    assert "tiny-bars/net (submitted, re-run by CI)" in (boards / "tiny-bars.md").read_text()
    assert (boards / "audits" / "tiny-bars-net.md").is_file()
    assert "tiny-bars/net" in (boards / "README.md").read_text()
    assert {record.cell.model for record in read_records(boards / "records").values()} == {"mnist/lenet"}
    assert (boards / "mnist.md").read_bytes() == before["mnist.md"]
    assert invoke(leaderboard.app, "--check").exit_code == 0
    shutil.rmtree(boards / "submissions")
    assert invoke(leaderboard.app).exit_code == 0
    after = tree(boards)
    assert {name: after[name] for name in before} == before
    assert "tiny-bars.md" not in after


def test_images_are_judged_against_an_accepted_network_too(
    honest: Honest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is built from its folder, and known by the behaviour that it was accepted with."""
    monkeypatch.setattr(publications, "PROJECT", honest.place / "leaderboards")
    images, indices = data().images[:] / np.float32(255), np.arange(len(data()))
    np.savez(tmp_path / "clean.npz", images=images.astype(np.float32), indices=indices)
    options = "--eps", 0.1, "--name", "nobody", "--licence", "MIT", "--out", tmp_path / "nobody"
    made = submit("tiny-bars/net", "--images", tmp_path / "clean.npz", *options)
    assert made.exit_code == 0, made.output
    (record,) = read_records(tmp_path / "nobody" / "records").values()
    own = next(iter(read_records(honest.folder / "records").values()))
    assert record.fingerprints["model"] == own.fingerprints["model"]
    said = submit("--check", tmp_path / "nobody", "--run")
    assert said.exit_code == 1
    assert "they lower no row: every image that they break is broken already" in said.output


def test_records_of_accepted_submissions_are_read_by_data_set(honest: Honest, clone: Path) -> None:
    assert publications.accepted(clone / "leaderboards") == {}
    shutil.copytree(honest.folder, clone / "leaderboards" / "submissions" / "tiny-bars-net")
    found = publications.accepted(clone / "leaderboards", "tiny-bars")
    assert {record.cell.model for record in found.values()} == {"tiny-bars/net"}
    assert publications.accepted(clone / "leaderboards", "mnist") == {}
