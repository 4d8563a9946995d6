"""Layers that may change places: what is evaluated first costs less."""

from __future__ import annotations

from torch import nn

POINTWISE = (nn.ReLU, nn.Softplus, nn.Tanh, nn.Sigmoid)  # all monotone
IDENTITY = (nn.Dropout, nn.Identity)  # in evaluation mode


def pooling_first(columns: list[tuple[nn.Module, ...]]) -> list[tuple[nn.Module, ...]]:
    """Move every max-pooling before the monotone activation (and the identities) in front of it."""
    ordered: list[tuple[nn.Module, ...]] = []
    for column in columns:
        place = len(ordered)
        if isinstance(column[0], nn.MaxPool2d):
            while place and isinstance(ordered[place - 1][0], (*POINTWISE, *IDENTITY)):
                place -= 1
        ordered.insert(place, column)
    return ordered
