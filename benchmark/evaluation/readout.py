"""What the last linear layer of a network reads: its features, on which another readout can be put."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.layers.replacement import copy_with

Call = tuple[nn.Module, Tensor]  # a layer, and what it returned


def without_readout(networks: Sequence[nn.Module], x: Tensor) -> list[nn.Module] | None:
    """The networks with the identity in place of the layer that makes their logits: pixels -> features (B, D, ...).

    x: (B, C, H, W), on which that layer is looked for. Weights are shared with the networks.
    None where the last linear layer or 1x1 convolution of one of them is called more than once, or where anything is
    done to what it returns: its input then is not all that the network says of an image.
    """
    found = [_without_readout(network, x) for network in networks]
    return None if any(network is None for network in found) else [one for one in found if one is not None]


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
