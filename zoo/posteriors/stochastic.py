"""Networks that are random in their forward pass: dropout, layers of other Bayesian libraries, wrappers of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.combine import expected
from zoo.kind import Kind
from zoo.layers.replacement import copy_with
from zoo.posteriors.posterior import DrawnAlike, require_count
from zoo.seeding import derive_seed, forked_random_state
from zoo.structure import counted, dropout_layers, foreign_layers, own_method, rho_parameters


class ForwardPosterior(DrawnAlike):
    """What a forward pass samples, in evaluation mode but for dropout layers where `dropout` is set."""

    kind = Kind.CONTINUOUS
    size = None

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

    @property
    def family(self) -> str:
        """Dropout and variational layers approximate a posterior; noise of another kind is a defence or an accident."""
        layers = dropout_layers(self._stochastic())
        return "bayesian" if foreign_layers(self.module) or any(layer.training for layer in layers) else "stochastic"

    def draws(self, count: int, seed: int) -> list[nn.Module]:
        require_count(count)
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
class MixturePosterior(DrawnAlike):
    """An ensemble that answers for all its members in one pass: their average is all there is to draw."""

    module: nn.Module
    size: int
    mean: Callable[[], nn.Module] | None = None

    kind = Kind.FINITE

    @property
    def family(self) -> str:
        return "ensemble"

    @property
    def what(self) -> str:
        return f"the members that one pass answers for ({self.size})"

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


def _is_logits_and_kl(output: object) -> bool:
    return (
        isinstance(output, tuple)
        and len(output) == 2
        and isinstance(output[0], Tensor)
        and (isinstance(output[1], float | int) or (isinstance(output[1], Tensor) and output[1].numel() == 1))
    )
