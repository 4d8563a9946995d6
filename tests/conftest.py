"""What several tests share. No test reads or sets the global random state; `untouched_global_state` checks it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import nn

from zoo.layers import BayesianLinear
from zoo.seeding import private_generator

settings.register_profile("shared machine", deadline=None, derandomize=True)
settings.load_profile("shared machine")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Folder with the full data sets of the development machines; users may not have it."""
    if not SHARED.is_dir():
        pytest.skip("needs the full data sets, which do not come with the project")
    return SHARED


@pytest.fixture
def untouched_global_state() -> Iterator[None]:
    """Fails if the test's body moves torch's, NumPy's or Python's global random state."""
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    yield
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


@pytest.fixture
def bayesian_net() -> nn.Sequential:
    """A small mean-field network for images (B, 1, 4, 4), three classes, in float64, with visible spread."""
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        net = nn.Sequential(
            nn.Flatten(), BayesianLinear(16, 8, rho=-1.0), nn.Softplus(), BayesianLinear(8, 3, rho=-1.0)
        )
    return net.double()


@pytest.fixture
def images() -> torch.Tensor:
    """(5, 1, 4, 4) float64 pixels in [0, 1]."""
    return torch.rand(5, 1, 4, 4, generator=private_generator("test images"), dtype=torch.float64)
