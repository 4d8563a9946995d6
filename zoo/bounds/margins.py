"""Bounds of the logits of frozen networks, and of their differences, over the images that an attack may choose from.

All numbers are computed in float64, the weights taken as they are, and hold up to its rounding: some 1e-12 of the
logits. They speak of the networks in exact arithmetic: what float32 makes of the same networks differs by its own
rounding, some 1e-6 of the logits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

# the rules register themselves
from zoo.bounds import activations, affine, pooling  # noqa: F401
from zoo.bounds.chain import METHODS, TENSORS, Chain, Method
from zoo.bounds.region import Region
from zoo.bounds.rows import Interval, Rows
from zoo.bounds.steps import Step, steps_of

MAX_BYTES = 96 << 20  # measured fastest on LeNet
ROWS = 32  # of a backward pass that should go at once: a case is a network on an image

Networks = nn.Module | Sequence[nn.Module]


@torch.no_grad()
def bounds(
    networks: Networks,
    images: Tensor,
    eps: float,
    norm: str,
    *,
    method: Method = "crown",
    max_bytes: int = MAX_BYTES,
) -> Interval:
    """Lower and upper bounds of every logit, (S, B, K) each, over |x' - x| <= eps, 0 <= x' <= 1.

    networks: one, or S of one architecture. images: (B, C, H, W), pixels from 0 to 1. norm: linf or l2.
    method: as of `zoo.bounds.chain.Chain`. max_bytes: bound on what is held at once, of networks, images and rows.
    Raises ValueError for a layer without a rule, and for networks, images, eps, norm or method that are not so.
    """
    return _over(networks, images, eps, norm, method, max_bytes, lambda chain, part: chain.output)


@torch.no_grad()
def margins(
    networks: Networks,
    images: Tensor,
    labels: Tensor,
    eps: float,
    norm: str,
    *,
    method: Method = "crown",
    max_bytes: int = MAX_BYTES,
) -> Interval:
    """Bounds of f_y - f_j, the logit of label y before that of every class j, (S, B, K) each; 0 for y itself.

    labels: (B,). The rest is as of `bounds`. Raises ValueError for labels that are no classes, too.
    """
    return _over(
        networks,
        images,
        eps,
        norm,
        method,
        max_bytes,
        lambda chain, part: differences(chain, labels_of(labels, images)[part])[0],
    )


def differences(chain: Chain, labels: Tensor) -> tuple[Interval, Rows | None]:
    """Bounds of f_y - f_j, (S, B, K) each, and the functions of the pixels below them, as of `Chain.least`."""
    classes = chain.units[-1].shape[0]
    if not bool(((labels >= 0) & (labels < classes)).all()):
        raise ValueError(f"labels are classes from 0 to {classes - 1}, not {sorted(set(labels.tolist()))}")
    every = torch.eye(classes, dtype=torch.float64, device=labels.device)
    wanted = every[labels][:, :, None] - every  # (B, K, K): a class, and the function of it that is bounded
    least, rows = chain.least(torch.cat([wanted, -wanted], -1))
    lower, negative = least.chunk(2, -1)
    below = None if rows is None else replace(rows, a=rows.a[..., :classes], bias=rows.bias[..., :classes])
    return Interval(lower, -negative), below


def labels_of(labels: Tensor, images: Tensor) -> Tensor:
    """On the images' device. Raises ValueError where they are not one an image."""
    if labels.shape != images.shape[:1]:
        raise ValueError(f"labels are one an image, ({len(images)},), not {tuple(labels.shape)}")
    return labels.to(images.device)


def chains(
    networks: Networks, images: Tensor, eps: float, norm: str, method: Method, max_bytes: int
) -> Iterator[tuple[slice, list[tuple[slice, Callable[[], Chain]]]]]:
    """Parts of the images, each with the parts of the networks and how to get their chain, one at a time."""
    every = list_of(networks)
    if method not in METHODS:
        raise ValueError(f"no method {method!r}; there are: {', '.join(METHODS)}")
    if max_bytes < 1:
        raise ValueError(f"max_bytes must be positive, not {max_bytes}")
    region = Region(images.double(), eps, norm)
    wide, high = _at_once(steps_of(every[:1], torch.float64), region, max_bytes)
    for start in range(0, len(images), wide):
        part = slice(start, start + wide)
        own = Region(region.images[part], eps, norm)

        def chain(which: slice, own: Region = own) -> Chain:
            return Chain(steps_of(every[which], torch.float64), own, method, max_bytes)

        slices = [slice(first, first + high) for first in range(0, len(every), high)]
        yield part, [(which, functools.partial(chain, which)) for which in slices]


def list_of(networks: Networks) -> list[nn.Module]:
    """Raises ValueError for none."""
    every = [networks] if isinstance(networks, nn.Module) else list(networks)
    if not every:
        raise ValueError("bounds are of at least one network, and none was given")
    return every


def _over(
    networks: Networks,
    images: Tensor,
    eps: float,
    norm: str,
    method: Method,
    max_bytes: int,
    of: Callable[[Chain, slice], Interval],
) -> Interval:
    count, columns = len(list_of(networks)), []
    for part, made in chains(networks, images, eps, norm, method, max_bytes):
        found = []
        for which, chain in made:
            sides = of(chain(), part)
            found.append([side.expand(len(range(count)[which]), *side.shape[1:]) for side in sides])
        columns.append([torch.cat(sides) for sides in zip(*found, strict=True)])
    lower, upper = (torch.cat(sides, 1) for sides in zip(*columns, strict=True))
    return Interval(lower, upper)


def _at_once(steps: Sequence[Step], region: Region, max_bytes: int) -> tuple[int, int]:
    """How many images, and how many networks: many images before many networks, whose weights take space, too."""
    alone = Chain(steps, Region(region.images[:1], region.eps, region.norm), "interval", max_bytes)
    cases = max(1, max_bytes // (ROWS * TENSORS * 8 * alone.widest()))
    wide = min(len(region.images), cases)
    return wide, max(1, cases // wide)
