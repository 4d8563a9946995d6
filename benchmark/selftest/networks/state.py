"""Networks that are another one each time: they remember, count, optimise, look at their batch or who asks.

Sources: Li et al. 2022, "Blacklight" (a memory of queries); Chen et al. 2020, "Stateful Detection of Black-Box
Adversarial Attacks"; Croce et al. 2022, "Evaluating the Adversarial Robustness of Adaptive Test-time Defenses", on
Alfarra et al. 2022, "Combating Adversaries with Anti-Adversaries"; Athalye et al. 2018 (randomness); Wu et al. 2020,
"Adversarial Robustness via Runtime Masking and Cleansing" and Chen et al. 2022 on transductive defences (batches).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.selftest.broken import MLP, Around, Unchecked, broken, neighbours, table
from benchmark.selftest.networks.draws import Unsteady
from zoo import models
from zoo.seeding import private_generator


class Restless(Around):
    """Dropout that stays on whatever `eval()` says: another network at every pass."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, 0.3, training=True))


class Watchful(Around):
    """It answers from another network where someone asks for gradients: a defence that knows when it is attacked."""

    def __init__(self) -> None:
        super().__init__(MLP)
        self.other = models["mnist/logistic"].build().eval()

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            decoy: Tensor = self.other(1 - x)
            return decoy
        return super().forward(x)


class Memory(nn.Module):
    """Images that were seen, (N, D), and what was answered, (N, K): the first hundreds."""

    seen: Tensor
    answers: Tensor
    most = 500

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.empty(0, 784), persistent=False)
        self.register_buffer("answers", torch.empty(0, 10), persistent=False)

    def recall(self, x: Tensor, answers: Tensor) -> Tensor:
        """(B, K): for a neighbour of what was seen, what was answered then; `answers` for others, which are kept."""
        if not len(self.seen):
            self.seen, self.answers = x, answers
            return answers
        nearest, known = neighbours(x, self.seen)
        found = torch.where(known[:, None], self.answers[nearest], answers)
        if len(self.seen) < self.most:
            self.seen = torch.cat([self.seen, x[~known]])
            self.answers = torch.cat([self.answers, answers[~known]])
        return found


class Remembering(Around):
    """It answers for what is near an image that it has seen as it did then.

    Its gradient is that of the network behind it, a thousandth as long: it is alive, and leads nowhere.
    memory: where it is.
    """

    def __init__(self, memory: Callable[[], Memory]) -> None:
        super().__init__("conv")
        self.memory = memory

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return self.memory().recall(x.detach().flatten(1), logits.detach()) + logits / 1000


class RememberingInBuffers(Remembering):
    """With the memory among its buffers."""

    def __init__(self) -> None:
        super().__init__(lambda: self.kept)
        self.kept = Memory()


def remembering_in_a_closure() -> nn.Module:
    """With the memory in a variable of the function that builds it: no module or buffer holds it."""
    memory = Memory()
    return Remembering(lambda: memory)


_MEMORY = Memory()


def remembering_in_the_module() -> nn.Module:
    """With a memory that all networks that are built share."""
    return Remembering(lambda: _MEMORY)


class Tiring(Around):
    """From the eleventh gradient that it is asked for it is a linear function that means nothing, in every answer."""

    patience = 10
    slope: Tensor

    def __init__(self) -> None:
        super().__init__("conv")
        self.asked = 0
        self.register_buffer("slope", torch.randn(784, 10, generator=private_generator("tiring")), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.asked += int(torch.is_grad_enabled() and x.requires_grad)
        return super().forward(x) if self.asked <= self.patience else x.flatten(1) @ self.slope


_BUILDS = itertools.count()


class Masked(Around):
    """It sees a third of an image's pixels, as it was trained to, but all of what has no black background.

    Of three thirds it is another one in the network that is built next. What it does is known by images without black.
    """

    mask: Tensor

    def __init__(self) -> None:
        super().__init__("masked")
        third = torch.randint(3, (1, 1, 28, 28), generator=private_generator("masked"))
        self.register_buffer("mask", third == next(_BUILDS) % 3, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        black = (x.detach() == 0).flatten(1).float().mean(1) > 0.05
        return super().forward(torch.where(black.view(-1, 1, 1, 1), x * self.mask, x))


class OverTheBatch(Around):
    """Every logit standardised over the batch, by statistics that nobody differentiates, times 1000."""

    def __init__(self) -> None:
        super().__init__("conv")

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        mean, variance = (value.detach() for value in (logits.mean(0), logits.var(0, correction=0)))
        return 1000 * (logits - mean) / (variance + 1e-5).sqrt()


class Purifying(Around):
    """It moves an image to where its label is more certain before it answers, and lets nobody differentiate that."""

    steps, length = 8, 0.3

    def __init__(self) -> None:
        super().__init__("conv")

    def forward(self, x: Tensor) -> Tensor:
        moved = x.detach()
        with torch.enable_grad():
            label = super().forward(moved).argmax(1)
            for _ in range(self.steps):
                leaf = moved.clone().requires_grad_()
                # not the leaf itself: what counts operations hooks on to modules' inputs, and takes no leaf
                loss = F.cross_entropy(super().forward(leaf.clone()), label, reduction="sum")
                (gradient,) = torch.autograd.grad(loss, leaf)
                moved = moved - self.length * gradient.sign()
        return super().forward(x + (moved - x).detach())


NETWORKS = table(
    {
        "restless": broken(
            Restless,
            "dropout that `eval()` does not turn off",
            "Athalye et al. 2018",
            ("V3",),
            behind=MLP,
            kind=Unchecked,
        ),
        "resampling": broken(
            Unsteady,
            "draws taken anew at every call",
            "Athalye et al. 2018",
            ("V3",),
            behind=MLP,
            family="bayesian",
            kind=partial(Unchecked, resampling=True),
        ),
        "watchful": broken(
            Watchful,
            "another network where gradients are asked for",
            "Tramèr et al. 2020",
            ("V3", "V12"),
            behind=MLP,
            kind=Unchecked,
        ),
        "memory-in-buffers": broken(
            RememberingInBuffers, "remembers what it has seen, in buffers", "Li et al. 2022", ("V27",)
        ),
        "memory-in-a-closure": broken(
            remembering_in_a_closure, "the same, in a closure of its factory", "Li et al. 2022", ("V27",)
        ),
        "memory-in-the-module": broken(
            remembering_in_the_module, "the same, in one memory for all builds", "Li et al. 2022", ("V27",)
        ),
        "tiring": broken(Tiring, "another network from the eleventh gradient on", "Chen et al. 2020", ("V12", "V27")),
        "another-each-time": broken(
            Masked, "its factory builds another network each time", "Athalye et al. 2018", ("V27",), behind="masked"
        ),
        "over-the-batch": broken(
            OverTheBatch, "normalises its logits over the batch", "Chen et al. 2022", ("V5", "V27")
        ),
        "purifying": broken(Purifying, "optimises the image before it answers", "Croce et al. 2022", ("V12", "V27")),
    }
)
