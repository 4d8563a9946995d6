"""What a test registers is there for it alone; a small entry, so that whole cells run in a second."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from tests.benchmark.registries import copy_registries
from zoo import ZooEntry, models
from zoo.layers import BayesianLinear

ROOT = Path(__file__).resolve().parents[2]


def small_bayesian() -> nn.Module:
    return nn.Sequential(nn.Flatten(), BayesianLinear(784, 10, rho=-3.0))


@pytest.fixture(autouse=True)
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are afterwards what they were: commands and functions register what they are given."""
    copy_registries(monkeypatch)


@pytest.fixture
def small_entry(registries: None) -> ZooEntry:
    """`mnist/small`: a linear mean-field network with random weights."""
    entry = ZooEntry("mnist/small", "mnist", "bayesian", small_bayesian, None, Path(__file__))
    models.add(entry)
    return entry


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a Jupyter kernel of this interpreter, which touches nothing of the user's own."""
    place = tmp_path_factory.mktemp("jupyter")
    path = place / "kernels" / "this" / "kernel.json"
    path.parent.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    about = {"argv": command, "display_name": "this", "language": "python", "env": {"PYTHONPATH": str(ROOT)}}
    path.write_text(json.dumps(about))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("JUPYTER_PATH", str(place))
        for variable in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patched.setenv(variable, str(place / variable))
        yield "this"
