"""`robustness-zoo`: the same commands, where the current folder holds names like this package's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.command import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
NETS = """
from torch import nn
def plain():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
"""


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A folder of somebody's own with a package and a module that are called like ours."""
    (tmp_path / "benchmark").mkdir()
    for path in (tmp_path / "benchmark" / "__init__.py", tmp_path / "zoo.py"):
        path.write_text("raise RuntimeError('this one is somebody else s')\n")
    (tmp_path / "nets.py").write_text(NETS)
    return tmp_path


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As the installed script runs it: the current folder is not on the path."""
    start = f"import sys; sys.argv = ['robustness-zoo', *{arguments!r}]; from benchmark.command import main; main()"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-P", "-c", start], cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )


def test_what_the_current_folder_holds_hides_nothing_and_is_found_all_the_same(crowded: Path) -> None:
    """In worker processes, too, which begin anew."""
    arguments = ["--suite", "smoke", "--attack", "fgsm", "--library", "foolbox", "--examples", "5", "--workers", "2"]
    run = command(crowded, "run", "--model", "nets:plain", "--dataset", "mnist", *arguments)
    assert run.returncode == 0, run.stderr
    assert "one network, none random" in run.stderr
    assert (crowded / "results.sqlite").is_file()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_itself_under_its_name(crowded: Path, name: str) -> None:
    shown = command(crowded, name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"robustness-zoo {name}" in shown.stdout


def test_it_says_what_there_is(crowded: Path) -> None:
    for arguments in ((), ("--help",)):
        shown = command(crowded, *arguments)
        assert shown.returncode == 0
        assert all(name in shown.stdout for name in COMMANDS)
    wrong = command(crowded, "leaderbord")
    assert wrong.returncode == 2
    assert "did you mean leaderboard" in wrong.stderr
    assert "Traceback" not in wrong.stderr
