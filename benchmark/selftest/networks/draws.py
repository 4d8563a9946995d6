"""Networks of several draws or members: what each does alone is not what their average shows an attacker.

Sources: Athalye et al. 2018 (expectation over randomness); Tramèr et al. 2020, on ensembles whose members' gradients
are diverse (Pang et al. 2019, "Improving Adversarial Robustness via Promoting Ensemble Diversity"); Dbouk and Shanbhag
2022, "Adversarial Vulnerability of Randomized Ensembles", who attack member by member.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmark.selftest.broken import MLP, Around, Unchecked, broken, table
from zoo.seeding import private_generator


class Drowned(Around):
    """Every draw adds a great linear function of its own, which drowns a few draws' gradient but not the mean's."""

    spread = 60.0

    def draw(self, generator: torch.Generator) -> nn.Module:
        return Sloped(self.inner, self.spread * torch.randn(784, 10, generator=generator) / 28)


class Unsteady(Drowned):
    """The same with little noise: an honest network, which it takes a wrapper to spoil."""

    spread = 3.0


class Sloped(nn.Module):
    slope: Tensor

    def __init__(self, inner: nn.Module, slope: Tensor) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("slope", slope, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = 3 * self.inner(x) + (x.flatten(1) - 0.5) @ self.slope
        return logits


class _Turned(torch.autograd.Function):
    """The identity; backwards, the gradient times `sign`, and a tenth of it in a fixed direction."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, sign: float, direction: Tensor) -> Tensor:
        ctx.sign = sign
        ctx.save_for_backward(direction)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (direction,) = ctx.saved_tensors
        (gradient,) = gradients
        least = 0.1 * gradient.abs().flatten(1).amax(1).view(-1, 1, 1, 1)
        return ctx.sign * gradient + least * direction, None, None


class Turned(Around):
    """A member: the network behind it, a little sharper or not, whose gradient is multiplied by a factor of its own."""

    direction: Tensor

    def __init__(self, sign: float, sharpness: float) -> None:
        super().__init__("conv")
        self.sign, self.sharpness = sign, sharpness
        direction = torch.randn(1, 1, 28, 28, generator=private_generator("turned"))
        self.register_buffer("direction", direction, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        followed: Tensor = _Turned.apply(x, self.sign, self.direction)
        return self.sharpness * super().forward(followed)


class Cancelling(Around):
    """An ensemble of four that agree on every image and whose gradients add up to next to nothing."""

    def __init__(self) -> None:
        super().__init__("conv")

    def members(self) -> list[nn.Module]:
        return [Turned(3.0, 1.0), *(Turned(-1.0, 1 + number / 1000) for number in (1, 2, 3))]


class Steep(Around):
    """A member that is unsure of everything, by a wave so steep that its gradient outweighs what little it counts."""

    wave: Tensor

    def __init__(self, number: int) -> None:
        super().__init__("conv")
        wave = 1e6 * torch.randn(784, 10, generator=private_generator("steep", number))
        self.register_buffer("wave", wave, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 100 + torch.sin(x.flatten(1) @ self.wave)


class Lopsided(Around):
    """An ensemble one of whose members has all of the weight but a thousandth, and little of the gradient."""

    def __init__(self) -> None:
        super().__init__("conv")

    def members(self) -> list[nn.Module]:
        return [self.inner, *(Steep(number) for number in range(7))]

    def weights(self) -> list[float]:
        return [1.0, *[1e-4] * 7]


NETWORKS = table(
    {
        "drowned": broken(
            Drowned,
            "gradients of few draws drown in noise",
            "Athalye et al. 2018",
            ("V12",),
            behind=MLP,
            family="bayesian",
            kind=Unchecked,
        ),
        "cancelling": broken(
            Cancelling, "gradients of four members cancel", "Tramèr et al. 2020", ("V12",), family=None
        ),
        "lopsided": broken(
            Lopsided,
            "the gradient is that of members without weight",
            "Dbouk and Shanbhag 2022",
            ("V12",),
            family=None,
        ),
    }
)
