"""A network with something before or after it, and its posterior with it."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from zoo.structure import own_method


class Wrapped(nn.Module):
    """`draw`, `mean` and `members` are the network's own, where it has them, each of them wrapped like itself.

    So are the weights of its members, whether they are samples, and of what family it says it is.
    A subclass gives `forward`, and in `around` itself around another network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        for name in ("draw", "mean"):
            if (method := own_method(network, name)) is not None:
                setattr(self, name, self._behind(method))
        if (members := own_method(network, "members")) is not None:
            self.members = lambda: [self.around(member) for member in members()]
            self.is_sample = bool(getattr(network, "is_sample", False))
            if (weights := own_method(network, "weights")) is not None:
                self.weights = weights
        if isinstance(family := getattr(network, "family", None), str):
            self.family = family

    def around(self, network: nn.Module) -> nn.Module:
        raise NotImplementedError

    def _behind(self, method: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        return lambda *arguments: self.around(method(*arguments))
