"""The wheel: what a user installs, and uses from a folder of his own."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from zoo import models
from zoo.datasets import BUNDLED

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def run(*command: str, cwd: Path, path: str = "") -> str:
    env = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-m", *command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a wheel of the committed files holds."""
    pytest.importorskip("setuptools", minversion="77", reason="needs setuptools to build a wheel")
    if not (ROOT / ".git").exists():
        pytest.skip("needs a clone of the repository")
    folder = tmp_path_factory.mktemp("wheel")
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True)
    (source := folder / "source").mkdir()
    subprocess.run(["tar", "-x", "-C", source], input=archive.stdout, check=True)
    run("pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "..", ".", cwd=source)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(target := folder / "installed")
    return target


def test_the_wheel_has_the_weights_of_the_networks_whose_images_it_has(installed: Path) -> None:
    found = {path.relative_to(installed / "zoo/weights").as_posix() for path in installed.glob("zoo/weights/*/*.safe*")}
    bundled = {folder.name for folder in BUNDLED.iterdir()}
    assert found == {f"{name}.safetensors" for name, entry in models.items() if entry.dataset in bundled}


def test_the_main_job_runs_from_the_wheel_in_another_folder(installed: Path, tmp_path: Path) -> None:
    fast = ["--suite", "smoke", "--model", "mnist/logistic", "--attack", "fgsm"]
    assert "mnist: 20 images" in run("benchmark.run", *fast, cwd=tmp_path, path=str(installed))
    assert "README.md" in run("benchmark.leaderboard", cwd=tmp_path, path=str(installed))
    assert {path.name for path in tmp_path.iterdir()} == {"results.sqlite", "my-leaderboards"}
