"""Which units of a layer a backward pass is worth its cost for: those whose bounds later layers depend on.

A ReLU whose sign is known is the same with tighter bounds, and so is a maximum for units that cannot be the largest.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.bounds.rows import Interval, Rows
from zoo.bounds.steps import Matter, Step


def needed(steps: Sequence[Step], x: Interval) -> Tensor:
    """Units, as in x, whose tighter bounds change a function that goes back through `steps`, up to the next affine one.

    All where none comes: then they are the outputs', which are asked for as they are.
    """
    run: list[tuple[Step, Interval]] = []
    for step in steps:
        if step.affine:
            break
        run.append((step, x))
        x = step.interval(x)
    used = torch.ones_like(x.lower, dtype=torch.bool)
    after = Matter(used, ~used if len(run) < len(steps) else used)
    for step, inputs in reversed(run):
        after = step.matter(inputs, after)
    return after.bounds


def places_of(wanted: Tensor) -> Tensor:
    """(S, B, D) of truth values -> (S, B, R): where they are true, R the most of a case, others filled up with a first.

    A case without any has place 0.
    """
    most = int(wanted.sum(-1).max())
    order = wanted.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)[..., :most]
    return torch.where(wanted.gather(-1, order), order, order[..., :1])


def picked(rows: Rows, places: Tensor) -> Rows:
    """Of functions that all images share, (S or 1, 1, 1, *shape, D), every case's own at its places, and negatives."""
    every = [
        [rows.a[min(s, len(rows.a) - 1), 0, 0].index_select(-1, case) for case in network]
        for s, network in enumerate(places)
    ]
    a = torch.stack([torch.stack(network) for network in every])[:, :, None]
    bias = rows.bias.expand(*places.shape[:2], 1, -1).gather(-1, places[:, :, None])
    return Rows(torch.cat([a, -a], -1), torch.cat([bias, -bias], -1))
