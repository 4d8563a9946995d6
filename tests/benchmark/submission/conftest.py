"""An honest submission, made once as a stranger makes his, and copies of it to be forged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.benchmark.registries import copy_registries
from tests.benchmark.submission import stranger
from zoo import register_dataset


class Honest(NamedTuple):
    """place: where the stranger works, with his package and store. folder: his submission."""

    place: Path
    folder: Path


@pytest.fixture(scope="package")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Honest]:
    place = tmp_path_factory.mktemp("stranger")
    stranger.write_package(place)
    with pytest.MonkeyPatch.context() as patched:
        copy_registries(patched)
        register_dataset("tiny-bars")(stranger.data)
        patched.syspath_prepend(place)
        patched.setattr("benchmark.publications.PROJECT", place / "leaderboards")
        run = stranger.run_suite(place / "results.sqlite")
        assert run.exit_code == 0, run.output
        folder = place / "leaderboards" / "submissions" / "tiny-bars-net"
        made = stranger.submit(
            *(stranger.REFERENCE, "--licence", "MIT", "--examples", stranger.IMAGES),
            *("--store", place / "results.sqlite", "--out", folder),
        )
        assert made.exit_code == 0, made.output
        yield Honest(place, folder)
        stranger.forget_package()


@pytest.fixture
def folder(honest: Honest, tmp_path: Path) -> Path:
    """A copy of the honest submission."""
    return shutil.copytree(honest.folder, tmp_path / "submissions" / "tiny-bars-net")
