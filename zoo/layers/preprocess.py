"""What a network does to pixels before it looks at them: attacks see native ones in [0, 1]."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.layers.wrapped import Wrapped


class Preprocess(nn.Module):
    """Pixels in [0, 1] -> zero-padded and normalised: (B, C, H, W) -> (B, C, H + 2 pad, W + 2 pad)."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], pad: int = 0) -> None:
        super().__init__()
        self.pad = pad
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def extra_repr(self) -> str:
        return f"mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}, pad={self.pad}"

    def forward(self, x: Tensor) -> Tensor:
        return (F.pad(x, [self.pad] * 4) - self.mean) / self.std


def normalized(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """A network that expects normalised pixels as one that takes them in [0, 1], its posterior with it.

    mean, std: per channel, of pixels in [0, 1].
    """
    first = Preprocess(mean, std)
    if type(network) is nn.Sequential:
        return nn.Sequential(OrderedDict([("normalize", first), *network.named_children()]))
    return _Normalized(first, network)


class _Normalized(Wrapped):
    def __init__(self, normalize: Preprocess, network: nn.Module) -> None:
        super().__init__(network)
        self.normalize = normalize

    def around(self, network: nn.Module) -> nn.Module:
        return _Normalized(self.normalize, network)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(self.normalize(x))
        return logits
