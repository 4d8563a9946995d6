"""The defects: in a network, in the wrapper around it, or in a library's adapter.

Sources: Athalye et al. 2018, "Obfuscated Gradients Give a False Sense of Security" (shattered, stochastic and vanishing
gradients); Tramèr et al. 2020, "On Adaptive Attacks to Adversarial Example Defenses"; Carlini and Wagner 2017, "Towards
Evaluating the Robustness of Neural Networks" (logits of great scale); Kurakin et al. 2017 (label leaking).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.attacks.craft import Adapter
from benchmark.attacks.metered import MeteredModel
from benchmark.attacks.spec import AttackSpec
from benchmark.protocol import LIBRARIES
from zoo import ZooEntry, models
from zoo.posteriors import PointPosterior, Posterior, posterior_draws, posterior_of
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import derive_seed, private_generator
from zoo.targets import Gradient


def hidden() -> nn.Module:
    """The network behind every defect: accuracy 98 % on MNIST, 2 % at linf eps 0.1, 0 % at 0.3."""
    return models["mnist/mlp"].build().eval()


class Around(nn.Module):
    """The hidden network behind something; subclasses say what."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = hidden()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.inner(x)
        return logits


class GreatLogits(Around):
    """Logits times 1000: the softmax is 0 or 1, and its gradient zero."""

    def forward(self, x: Tensor) -> Tensor:
        return 1000 * super().forward(x)


class RoundedInput(Around):
    """Pixels rounded to 16 levels: a shattered gradient, zero everywhere."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward((x * 15).round() / 15)


class Probabilities(Around):
    """A softmax at the end, on which the loss puts another."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(1)


class Restless(Around):
    """Dropout that stays on whatever `eval()` says: another network at every pass."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, 0.3, training=True))


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

    def __init__(self) -> None:
        super().__init__()
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

    def __init__(self) -> None:
        super().__init__()
        generator = private_generator("ripple")
        self.register_buffer("wave", 1e3 * torch.randn(784, 10, generator=generator), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 0.1 * torch.sin(x.flatten(1) @ self.wave)


class Watchful(Around):
    """It answers from another network where someone asks for gradients: a defence that knows when it is attacked."""

    def __init__(self) -> None:
        super().__init__()
        self.other = models["mnist/logistic"].build().eval()

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            decoy: Tensor = self.other(1 - x)
            return decoy
        return super().forward(x)


class Drowned(Around):
    """Every draw adds a great linear function of its own, which drowns a few draws' gradient but not the mean's."""

    spread = 60.0

    def draw(self, generator: torch.Generator) -> nn.Module:
        return _Sloped(self.inner, self.spread * torch.randn(784, 10, generator=generator) / 28)


class Unsteady(Drowned):
    """The same with little noise: an honest network, which it takes a wrapper to spoil."""

    spread = 3.0


class _Sloped(nn.Module):
    slope: Tensor

    def __init__(self, inner: nn.Module, slope: Tensor) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("slope", slope, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = 3 * self.inner(x) + (x.flatten(1) - 0.5) @ self.slope
        return logits


class _Resampling(ExpectedPrediction):
    """An expected prediction that draws its networks anew at every call."""

    def __init__(self, network: nn.Module, draws: int, seed: int, gradient: Gradient, stack: bool | None) -> None:
        super().__init__(posterior_draws(network, draws, seed), gradient, stack=stack)
        self.network, self.seed, self.calls = network, seed, 0

    def logits(self, x: Tensor) -> Tensor:
        self.calls += 1
        drawn = posterior_draws(self.network, self.draws, derive_seed(self.seed, self.calls))
        return torch.stack([draw.eval()(x) for draw in drawn])


@dataclass(frozen=True)
class Unchecked(ZooEntry):
    """An entry that is not refused when it is loaded, as most of the broken ones would be.

    resampling: whether its draws are taken anew at every call.
    """

    resampling: bool = False

    def load(self) -> tuple[nn.Module, Posterior]:
        network = self.build()
        return network, PointPosterior(network) if self.is_deterministic else posterior_of(network)

    def predictor(
        self,
        draws: int,
        seed: int,
        gradient: Gradient = Gradient(),
        device: str = "cpu",
        stack: bool | None = None,
        half: int | None = None,
    ) -> ExpectedPrediction:
        if self.resampling:
            return _Resampling(self.build().to(device), draws, seed, gradient, stack)
        return super().predictor(draws, seed, gradient, device, stack, half)


@dataclass(frozen=True)
class Broken:
    """entry: what is attacked. defect: in a line. checks: those that must catch it, each of them.

    fault: replaces the libraries' attacks: (images, eps) -> images.
    """

    entry: ZooEntry
    defect: str
    checks: tuple[str, ...]
    fault: Callable[[Tensor, float], Tensor] | None = None

    @property
    def adapters(self) -> dict[str, Adapter]:
        """Library -> what runs its attacks, where these are the defect."""
        if (fault := self.fault) is None:
            return {}

        def attack(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
            return fault(x, spec.threat.eps)

        return dict.fromkeys(LIBRARIES, attack)


def _entry(
    name: str, factory: Callable[[], nn.Module], family: str = "frequentist", resampling: bool = False
) -> Unchecked:
    return Unchecked(f"mnist/{name}", "mnist", family, factory, None, Path(__file__), resampling=resampling)


BROKEN: dict[str, Broken] = {
    name: replace(broken, entry=replace(broken.entry, name=f"mnist/{name}"))
    for name, broken in {
        "great-logits": Broken(_entry("-", GreatLogits), "logits times 1000", ("V5", "V13")),
        "rounded-input": Broken(_entry("-", RoundedInput), "pixels rounded to 16 levels", ("V5", "V8")),
        "probabilities": Broken(_entry("-", Probabilities), "probabilities in place of logits", ("V4",)),
        "restless": Broken(_entry("-", Restless), "dropout that `eval()` does not turn off", ("V3",)),
        "resampling": Broken(
            _entry("-", Unsteady, "bayesian", resampling=True), "draws taken anew at every call", ("V3",)
        ),
        "idle-adapter": Broken(_entry("-", hidden), "libraries return the image", ("V8",), lambda x, eps: x.clone()),
        "greedy-adapter": Broken(
            _entry("-", hidden), "libraries leave the ball", ("V2",), lambda x, eps: (x + 1.5 * eps).clamp(0, 1)
        ),
        "decoy": Broken(_entry("-", Decoy), "straight-through gradient of something else", ("V11", "V12")),
        "label-leak": Broken(_entry("-", LabelLeak), "gradient turned round", ("V8", "V12")),
        "ripple": Broken(_entry("-", Ripple), "steep ripple of no height on the logits", ("V11", "V12")),
        "watchful": Broken(_entry("-", Watchful), "another network where gradients are asked for", ("V3", "V12")),
        "drowned": Broken(_entry("-", Drowned, "bayesian"), "gradients of few draws drown in noise", ("V12",)),
    }.items()
}
