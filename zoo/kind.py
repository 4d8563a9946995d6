"""Of what kind a posterior is. Planning a run asks it: no torch."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a network's weights may be."""

    POINT = "point"
    """One network: there is nothing to average."""
    FINITE = "finite"
    """M members of known weight: their weighted average is the prediction, exactly."""
    CONTINUOUS = "continuous"
    """Whatever can be drawn: the prediction is an average over draws."""
