"""What the last linear layer of a network reads, and another readout in its place that sets one point apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.layers.replacement import copy_with

# From the random point that reaches furthest to the planted one the logits' difference rises by SLOPE; class 1 begins
# after DEPTH of the way. In a robustly trained LeNet chance finds 3 to 4 of 30 at half the way (linf), at .9 none or 1.
SLOPE, DEPTH = 4.0, 0.9
RIDGE = 0.01  # of the mean square of the inner points' features

Call = tuple[nn.Module, Tensor]  # a layer, and what it returned


def without_readout(networks: Sequence[nn.Module], x: Tensor) -> list[nn.Module] | None:
    """The networks with the identity in place of the layer that makes their logits: pixels -> features (B, D, ...).

    x: (B, C, H, W), on which that layer is looked for. Weights are shared with the networks.
    None where the last linear layer or 1x1 convolution of one of them is called more than once, or where anything is
    done to what it returns: its input then is not all that the network says of an image. None, too, where members of an
    ensemble have features of several widths, which no readout could average.
    """
    found = [one for network in networks if (one := _without_readout(network, x)) is not None]
    with torch.no_grad():
        alike = len({network(x).shape for network in found}) == 1
    return found if alike and len(found) == len(networks) else None


def _without_readout(network: nn.Module, x: Tensor) -> nn.Module | None:
    calls: list[Call] = []
    hooks = [
        layer.register_forward_hook(lambda layer, _, output: calls.append((layer, output)))
        for layer in network.modules()
        if _is_linear(layer)
    ]
    try:
        with torch.no_grad():
            logits = network(x)
    finally:
        for hook in hooks:
            hook.remove()
    if not calls:
        return None
    readout, output = calls[-1]
    is_last = isinstance(output, Tensor) and torch.equal(output.flatten(1), logits)
    if not is_last or sum(layer is readout for layer, _ in calls) > 1:
        return None
    shared: dict[Tensor, Tensor] = {value: value for value in (*network.parameters(), *network.buffers())}
    return copy_with(network, {**shared, readout: nn.Identity()})


def _is_linear(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and set(layer.kernel_size) == {1})


@dataclass(frozen=True)
class Readout:
    """Of one image. readouts, centres: (S, D). offsets: (S,). candidate: which one it gives class 1."""

    readouts: Tensor
    centres: Tensor
    offsets: Tensor
    candidate: int


def solve(inner: Tensor, held: Tensor, candidates: Tensor, shares: Tensor | None = None) -> Readout:
    """The readout that sets one of the candidates (S, C, D) apart from the inner (S, N, D) and held (S, H, D) features.

    Of all draws together, as their mean decides: draws of a wide posterior have little in common, and a point that each
    of them tells apart would be a needle in a haystack. Their directions are what the inner points leave unexplained of
    the candidate's difference from the centre (ridge regression, hence Fisher's discriminant with a shrunken
    covariance): along them the mean varies least. Then the mean over draws of the logits' difference is -SLOPE DEPTH at
    the inner or held point that reaches furthest, and SLOPE (1 - DEPTH) at the candidate; several draws are then moved
    by what brings their mean probability there to that of one draw with this difference. Where no candidate reaches
    further than those points, all is of class 0. shares: (S,) of the draws, adding up to 1; alike if None.
    """
    dtype, (inner, held, candidates) = inner.dtype, (one.double() for one in (inner, held, candidates))
    shares = inner.new_full((len(inner),), 1 / len(inner)) if shares is None else shares.double()

    def mean(values: Tensor) -> Tensor:
        total: Tensor = torch.tensordot(shares, values, 1)
        return total

    centre = inner.mean(1, keepdim=True)
    spread = (inner - centre).square().sum(-1).mean(-1).sqrt()[:, None, None]  # (S, 1, 1)
    spread = spread.where(spread > 0, 1.0)
    inner, held, candidates = ((one - centre) / spread for one in (inner, held, candidates))
    gram = mean(inner @ inner.mT)  # (N, N)
    ridge = (RIDGE * gram.diagonal().mean()).clamp_min(1e-300) * torch.eye(len(gram)).to(gram)
    explained = torch.linalg.solve(gram + ridge, mean(inner @ candidates.mT))  # (N, C)
    directions = candidates - (inner.mT @ explained).mT  # (S, C, D)
    inside, along = (mean(one @ directions.mT) for one in (inner, held))  # (N, C), (H, C)
    reached = (candidates * directions).sum(-1)  # (S, C)
    furthest = torch.cat([inside, along]).amax(0)  # (C,)
    gap = mean(reached) - furthest
    chosen = int((gap / along.std(0).clamp_min(1e-300)).argmax())
    scale = torch.where(gap[chosen] > 0, SLOPE / gap[chosen], 0.0)
    offset = torch.where(gap[chosen] > 0, scale * furthest[chosen] + SLOPE * DEPTH, SLOPE)
    if gap[chosen] > 0:
        offset = offset - _moved_by(scale * reached[:, chosen] - offset, shares)
    readouts = scale * directions[:, chosen] / spread[:, 0]
    return Readout(readouts.to(dtype), centre[:, 0].to(dtype), offset.to(dtype).expand(len(inner)), chosen)


def _moved_by(differences: Tensor, shares: Tensor) -> Tensor:
    """What is added to every draw's difference (S,) for their mean probability to be that of SLOPE (1 - DEPTH)."""
    aim = torch.tensor(SLOPE * (1 - DEPTH)).to(differences)
    low, high = aim - differences.max(), aim - differences.min()  # all below it, all above it
    for _ in range(60):  # halvings: to the last bit
        middle = (low + high) / 2
        above = (shares * (differences + middle).sigmoid()).sum() > aim.sigmoid()
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return (low + high) / 2
