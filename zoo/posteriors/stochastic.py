"""What the weights of a network may be, and frozen draws of it as ordinary deterministic modules.

`posterior_of(network)` tells which of four kinds a network is of:

1. it has a method `members() -> list of networks`: an ensemble, whose members count alike;
2. it has a method `draw(generator) -> nn.Module` of its own (and `mean() -> nn.Module` if it has a mean);
3. it contains the project's mean-field layers: a draw is a copy with plain layers in their place;
4. it is merely stochastic in `forward` (MC dropout, layers of Bayesian-Torch, BLiTZ and other libraries): a draw is
   the same module evaluated under a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from zoo.combine import expected
from zoo.layers import bayesian_layers
from zoo.layers.replacement import copy_with
from zoo.seeding import derive_seed, forked_random_state
from zoo.structure import counted, dropout_layers, foreign_layers, own_method, rho_parameters


class Posterior(Protocol):
    """What a network's weights may be.

    what: what is random in it, in words. mean: makes the network of the posterior mean; None where none is defined.
    """

    @property
    def what(self) -> str: ...

    @property
    def mean(self) -> Callable[[], nn.Module] | None: ...

    def draws(self, count: int, seed: int) -> list[nn.Module]:
        """`count` frozen draws, deterministic in `seed`; the first n of them do not depend on `count`."""


def posterior_of(module: nn.Module, dropout: bool | None = None) -> Posterior:
    """The posterior of a network, by its structure.

    dropout: whether dropout layers are a part of it; None switches them on where no layer is known to sample by itself.
    A network without `members`, `draw` or mean-field layers is taken to be stochastic in `forward`.
    """
    mean = own_method(module, "mean")
    if (members := own_method(module, "members")) is not None:
        return MemberPosterior(members, mean)
    if (draw := own_method(module, "draw")) is not None:
        return DrawnPosterior(draw, mean)
    if bayesian_layers(module):
        return MeanFieldPosterior(module, mean)
    return ForwardPosterior(module, not foreign_layers(module) if dropout is None else dropout)


@dataclass(frozen=True)
class MemberPosterior:
    """An ensemble: each of M networks is as likely as the others.

    Of M members or more, each is drawn once, in their order: their average is the prediction itself. Fewer are a random
    choice without replacement.
    """

    members: Callable[[], list[nn.Module]]
    mean: Callable[[], nn.Module] | None = None

    @property
    def what(self) -> str:
        return f"the members of an ensemble ({len(self.members())})"

    def draws(self, count: int, seed: int) -> list[nn.Module]:
        _require_count(count)
        members = list(self.members())
        if count >= len(members):
            return members
        order = torch.randperm(len(members), generator=torch.Generator().manual_seed(seed))
        return [members[index] for index in order[:count]]


@dataclass(frozen=True)
class DrawnPosterior:
    """What the network's own method `draw` gives."""

    draw: Callable[[torch.Generator], nn.Module]
    mean: Callable[[], nn.Module] | None = None

    @property
    def what(self) -> str:
        return "what its method draw(generator) gives"

    def draws(self, count: int, seed: int) -> list[nn.Module]:
        _require_count(count)
        generator = torch.Generator().manual_seed(seed)
        return [self.draw(generator) for _ in range(count)]


class MeanFieldPosterior:
    """A Gaussian for every weight of the project's mean-field layers."""

    def __init__(self, module: nn.Module, own_mean: Callable[[], nn.Module] | None = None) -> None:
        self.module = module
        self.mean = own_mean or self._mean

    @property
    def what(self) -> str:
        return f"the weights of its mean-field layers ({len(bayesian_layers(self.module))})"

    def draws(self, count: int, seed: int) -> list[nn.Module]:
        _require_count(count)
        layers, generator = bayesian_layers(self.module), torch.Generator().manual_seed(seed)
        return [copy_with(self.module, {layer: layer.draw(generator) for layer in layers}).eval() for _ in range(count)]

    def _mean(self) -> nn.Module:
        return copy_with(self.module, {layer: layer.mean() for layer in bayesian_layers(self.module)})


class ForwardPosterior:
    """What a forward pass samples, in evaluation mode but for dropout layers where `dropout` is set."""

    def __init__(self, module: nn.Module, dropout: bool) -> None:
        self.module, self.dropout = module, dropout
        has_own, has_rhos = own_method(module, "mean"), bool(rho_parameters(module))
        self.mean = has_own or (self._mean if has_rhos else None)

    @property
    def what(self) -> str:
        layers = dropout_layers(self._stochastic())
        on, off = (counted([layer for layer in layers if layer.training is mode]) for mode in (True, False))
        samples = counted(foreign_layers(self.module)) or (f"dropout ({on})" if on else "its forward pass")
        return samples + (f"; dropout ({off}) is off, as in its own evaluation mode" if off else "")

    def draws(self, count: int, seed: int) -> list[nn.Module]:
        _require_count(count)
        stochastic = self._stochastic()
        return [SeededPass(stochastic, derive_seed(seed, index)) for index in range(count)]

    def _stochastic(self) -> nn.Module:
        """A copy in its own evaluation mode, which may leave dropout on, or with dropout."""
        stochastic = copy_with(self.module, {}).eval()
        if self.dropout:
            for layer in dropout_layers(stochastic):
                layer.train()
        return stochastic

    def _mean(self) -> nn.Module:
        without_spread = copy_with(self.module, {}).eval()
        for rho in rho_parameters(without_spread):
            rho.data.fill_(-torch.inf)  # softplus of which is 0
        return SeededPass(without_spread, 0)  # it still draws the noise that it multiplies by 0


@dataclass(frozen=True)
class MixturePosterior:
    """An ensemble that answers for all its members in one pass: their average is all there is to draw."""

    module: nn.Module
    members: int
    mean: Callable[[], nn.Module] | None = None

    @property
    def what(self) -> str:
        return f"the members that one pass answers for ({self.members})"

    def draws(self, count: int, seed: int) -> list[nn.Module]:
        return ForwardPosterior(self.module, dropout=False).draws(min(1, count), seed)


class SeededPass(nn.Module):
    """A stochastic forward pass made deterministic: the same seed before every call, on a forked random state.

    Layers keep the mode that they have. Those that sample per example (dropout, local reparameterisation) see the same
    noise at the same position of a batch of the same shape. Networks for Bayesian-Torch return (logits, KL): the logits
    are kept. Wrappers of Torch-Uncertainty return the (M B, K) logits of M members, one member after the other: the
    log-probabilities of their mixture are made of them.
    """

    def __init__(self, module: nn.Module, seed: int) -> None:
        super().__init__()
        self.module, self.seed = module, seed

    def train(self, mode: bool = True) -> SeededPass:
        """Does nothing: `eval()` would turn dropout, and with it the posterior, off."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        logits = self.every_member(x)
        return logits[0] if len(logits) == 1 else expected(logits)

    def every_member(self, x: Tensor) -> Tensor:
        """(M, B, K) logits of the members that one pass answers for; M is 1 for most networks."""
        with forked_random_state(self.seed, x.device):
            output = self.module(x)
        logits: Tensor = output[0] if _is_logits_and_kl(output) else output
        members = member_count(logits, len(x))
        return logits.unflatten(0, (members, -1)) if members > 1 else logits[None]


def member_count(output: object, batch: int) -> int:
    """M where an output has the shape (M batch, K), else 1."""
    if isinstance(output, Tensor) and output.ndim == 2 and len(output) > batch and len(output) % batch == 0:
        return len(output) // batch
    return 1


def held_posterior(module: nn.Module) -> str:
    """What makes a network more than one whatever it is registered as, in words; empty where nothing does."""
    methods = [f"a method {name}()" for name in ("members", "draw") if own_method(module, name) is not None]
    return " and ".join(methods) or counted([*bayesian_layers(module), *foreign_layers(module)])


def posterior_draws(module: nn.Module, count: int, seed: int) -> list[nn.Module]:
    """`count` frozen draws of a network's posterior; see `Posterior.draws`. The global random state is not touched."""
    return posterior_of(module).draws(count, seed)


def posterior_mean(module: nn.Module, posterior: Posterior | None = None) -> nn.Module:
    """The network with the posterior mean as its weights. Raises ValueError where no mean is defined."""
    mean = (posterior or posterior_of(module)).mean
    if mean is None:
        raise ValueError(
            f"{type(module).__name__} has no posterior mean: give it a method mean() -> nn.Module, or do not use the "
            "gradient target 'mean-weights' with it"
        )
    return mean()


def _require_count(count: int) -> None:
    if count < 1:
        raise ValueError(f"at least one posterior draw is needed, not {count}")


def _is_logits_and_kl(output: object) -> bool:
    return (
        isinstance(output, tuple)
        and len(output) == 2
        and isinstance(output[0], Tensor)
        and (isinstance(output[1], float | int) or (isinstance(output[1], Tensor) and output[1].numel() == 1))
    )
