"""A small registered entry, so that whole cells run in a second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from zoo import ZooEntry, models
from zoo.layers import BayesianLinear


def small_bayesian() -> nn.Module:
    return nn.Sequential(nn.Flatten(), BayesianLinear(784, 10, rho=-3.0))


@pytest.fixture
def small_entry(monkeypatch: pytest.MonkeyPatch) -> Iterator[ZooEntry]:
    """`mnist/small`: a linear mean-field network with random weights."""
    assert len(models)  # load the zoo before it is copied
    monkeypatch.setattr(models, "_entries", dict(models._entries))
    entry = ZooEntry("mnist/small", "mnist", "bayesian", small_bayesian, None, Path(__file__))
    models.add(entry)
    return entry
