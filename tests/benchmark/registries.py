"""Registries of networks and data sets that are a test's own."""

from __future__ import annotations

import pytest

from zoo import models
from zoo.datasets import DATASETS


def copy_registries(patched: pytest.MonkeyPatch) -> None:
    """They are what they are now again once the patch is undone, whatever is registered meanwhile."""
    assert len(models)  # load the zoo before it is copied
    patched.setattr(models, "_entries", dict(models._entries))
    patched.setattr(DATASETS, "_own", dict(DATASETS._own))
