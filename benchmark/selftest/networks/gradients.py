"""Gradients that vanish, mislead or lead back: the network's values are what they are, and nothing leads to them.

Sources: Athalye et al. 2018, "Obfuscated Gradients Give a False Sense of Security" (shattered and vanishing gradients);
Tramèr et al. 2020, "On Adaptive Attacks to Adversarial Example Defenses" (plateaus, k-winners-take-all, label leaks);
Carlini and Wagner 2017, "Towards Evaluating the Robustness of Neural Networks" (logits of great scale); Xiao et al.
2020, "Enhancing Adversarial Defense by k-Winners-Take-All".
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.selftest.broken import MLP, Around, Unchecked, broken, table
from benchmark.selftest.hidden import DATASET_OF, hidden
from zoo.datasets import dataset_spec
from zoo.seeding import private_generator


class GreatLogits(Around):
    """Logits times 1000: the softmax is 0 or 1, and its gradient zero."""

    def forward(self, x: Tensor) -> Tensor:
        return 1000 * super().forward(x)


class RoundedInput(Around):
    """Pixels rounded to 16 levels: a shattered gradient, zero everywhere."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward((x * 15).round() / 15)


class _Elsewhere(torch.autograd.Function):
    """Pixels rounded to two levels; backwards, a gradient that is alive and points in a fixed random direction."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(mask)
        return (x * 8).round() / 8

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return gradients[0].abs().amax() * mask.expand_as(gradients[0]), None


class Decoy(Around):
    """A quantiser whose straight-through gradient has nothing to do with the network behind it."""

    mask: Tensor

    def __init__(self, behind: str = MLP) -> None:
        super().__init__(behind)
        mask = torch.randn(1, 1, 28, 28, generator=private_generator("decoy"))
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        passed: Tensor = _Elsewhere.apply(x, self.mask)
        return super().forward(passed)


class _Leak(torch.autograd.Function):
    """The identity, whose gradient is turned round: whoever follows it makes the label more probable."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


class LabelLeak(Around):
    """A gradient that leads back to the label."""

    def forward(self, x: Tensor) -> Tensor:
        followed: Tensor = _Leak.apply(x)
        return super().forward(followed)


class Ripple(Around):
    """A ripple on the logits, too small to change a label and so steep that it is all that the gradient sees."""

    wave: Tensor

    def __init__(self, behind: str = MLP) -> None:
        super().__init__(behind)
        generator = private_generator("ripple")
        self.register_buffer("wave", 1e3 * torch.randn(784, 10, generator=generator), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 0.1 * torch.sin(x.flatten(1) @ self.wave)


class _Nowhere(torch.autograd.Function):
    """(B, C, H, W) -> (B, 1) zeros; backwards, a fixed direction, whatever the loss is."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, direction: Tensor) -> Tensor:
        ctx.save_for_backward(direction)
        return x.new_zeros(len(x), 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (direction,) = ctx.saved_tensors
        return gradients[0].abs().view(-1, 1, 1, 1) * direction, None


class Plateaus(Around):
    """The winner's logit 10, the others 0: margins change only where the label does. The gradient is of nothing."""

    direction: Tensor

    def __init__(self, behind: str = "conv") -> None:
        super().__init__(behind)
        shape = dataset_spec(DATASET_OF[behind]).shape
        direction = torch.randn(1, *shape, generator=private_generator("plateaus", behind))
        self.register_buffer("direction", direction, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        winner = F.one_hot(super().forward(x).argmax(1), 10).to(x)
        nothing: Tensor = _Nowhere.apply(x, self.direction)
        return 10 * winner + F.pad(nothing, (0, 9))


class Offset(Around):
    """Logits a thousandth as large, and one steep wave on all ten: it changes no probability.

    Its gradients add up to zero over the classes but for rounding, which its slope makes larger than all the rest.
    """

    wave: Tensor

    def __init__(self, behind: str = "conv") -> None:
        super().__init__(behind)
        wave = 1e6 * torch.randn(784, 1, generator=private_generator("offset"))
        self.register_buffer("wave", wave, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 1000 + 100 * torch.sin(x.flatten(1) @ self.wave)


ATHALYE, TRAMER = "Athalye et al. 2018", "Tramèr et al. 2020"
NETWORKS = table(
    {
        "great-logits": broken(
            GreatLogits, "logits times 1000", "Carlini and Wagner 2017", ("V5", "V8"), behind=MLP, kind=Unchecked
        ),
        "rounded-input": broken(
            RoundedInput, "pixels rounded to 16 levels", ATHALYE, ("V5", "V8"), behind=MLP, kind=Unchecked
        ),
        "decoy": broken(
            Decoy, "straight-through gradient of something else", ATHALYE, ("V11", "V12"), behind=MLP, kind=Unchecked
        ),
        "label-leak": broken(LabelLeak, "gradient turned round", TRAMER, ("V8", "V12"), behind=MLP, kind=Unchecked),
        "ripple": broken(
            Ripple, "steep ripple of no height on the logits", ATHALYE, ("V11", "V12"), behind=MLP, kind=Unchecked
        ),
        "plateaus": broken(Plateaus, "constant margins, gradient of something else", TRAMER, ("V12",)),
        "plateaus-colour": broken(
            partial(Plateaus, "colour"),
            "the same on other images",
            TRAMER,
            ("V12",),
            behind="colour",
        ),
        "plateaus-alone": broken(
            partial(Plateaus, "small"),
            "the same, and no other network for such images",
            TRAMER,
            ("V12",),
            behind="small",
        ),
        "tiny-logits": broken(
            Offset, "tiny logits under a steep offset that changes no probability", ATHALYE, ("V8", "V18")
        ),
        "winners": broken(
            partial(hidden, "winners"), "40 of 1,568 activations win", "Xiao et al. 2020", ("V11",), behind=None
        ),
    }
)
