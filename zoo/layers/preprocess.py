"""What a network does to pixels before it looks at them: attacks see native ones in [0, 1]."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.structure import own_method


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


class _Normalized(nn.Module):
    """`draw`, `mean` and `members` are the network's own, where it has them, normalised like itself.

    So are the weights of its members, and whether they are samples.
    """

    def __init__(self, normalize: Preprocess, network: nn.Module) -> None:
        super().__init__()
        self.normalize, self.network = normalize, network
        for name in ("draw", "mean"):
            if (method := own_method(network, name)) is not None:
                setattr(self, name, self._behind(method))
        if (members := own_method(network, "members")) is not None:
            self.members = lambda: [_Normalized(normalize, member) for member in members()]
            self.is_sample = bool(getattr(network, "is_sample", False))
            if (weights := own_method(network, "weights")) is not None:
                self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(self.normalize(x))
        return logits

    def _behind(self, method: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        return lambda *arguments: _Normalized(self.normalize, method(*arguments))
