"""The model as a library sees it: every pass counted, every gradient computed once for all libraries.

All three libraries ask for the gradient of the cross-entropy, summed or averaged over the batch, and where they walk
the same path they ask for it at the same images. The model recognises that request and answers it from a store that
is keyed by the bytes of the images; a library notices nothing, and its own passes are counted as if it were alone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.attacks.memo import ImageMemo
from benchmark.attacks.seen import WorstSeen
from zoo.prediction.expected import ExpectedPrediction

# Outputs (B, K) and rescaled gradients (B, C, H, W) of one prediction for one batch of labels
GradientStore = ImageMemo[tuple[Tensor, Tensor]]


class MeteredModel(nn.Module):
    """An `ExpectedPrediction` that counts its passes and keeps its gradients in the range of float32.

    labels: (B,) of the batch that is attacked, or the labels that an attack drives it towards.
    store: shared by the libraries; None computes everything anew. entropic: whether the attack's loss is the
        cross-entropy; if not, its gradients are taken as they are asked for. accumulated: whether the attack adds the
        gradients of its steps up, so that their lengths count. exact: whether gradients keep the lengths that they
        have, as where an attack adds them to those of a distance.
    worst: takes in every image of the whole batch at which the attack takes a gradient, where one of them is to count.
    forwards, backwards: examples passed, not counting draws. asked: batches whose gradient the library asked for.
    computed: those of them that were computed here, not taken from the store. seconds: time spent here and not in the
    library. losses: the labels' cross-entropies (B,) in nats at every gradient of the whole batch, wherever it is from.
    """

    def __init__(
        self,
        prediction: ExpectedPrediction,
        labels: Tensor,
        store: GradientStore | None = None,
        *,
        entropic: bool = True,
        accumulated: bool = False,
        exact: bool = False,
        worst: WorstSeen | None = None,
    ) -> None:
        super().__init__()
        self.prediction, self.labels, self.store, self.entropic = prediction, labels, store, entropic
        self.worst = worst
        self.scaled = unit_mean if accumulated else Tensor.contiguous if exact else rescale
        self.forwards = self.backwards = self.asked = self.computed = self.step = 0
        self.seconds = 0.0
        self.losses: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.forwards += len(x)
        with self.timed():
            if not (torch.is_grad_enabled() and x.requires_grad):
                return self.prediction(x)  # type: ignore[no-any-return]
            whole = len(x) == len(self.labels)
            if self.entropic and whole:
                output: Tensor = _CrossEntropyGradient.apply(x, self)
            else:
                self.step += 1
                self.prediction.turn_to(self.step)
                output = self.prediction(_Meter.apply(x, self))
            if whole:  # outputs are log-probabilities
                self.losses.append(0.0 - output.detach().gather(1, self.labels[:, None])[:, 0])
                if self.worst is not None:
                    self.worst.see(x.detach(), output.detach())
        return output

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs, and the rescaled gradient of the summed cross-entropy."""
        self.asked += 1
        self.step += 1
        if self.store is None:
            return self._compute(x, self.step)
        step = self.step  # of this gradient, whenever it is computed
        return self.store(x, lambda: self._compute(x, step), step if self.prediction.gradient.of_the_step else 0)

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time that the block takes."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - began

    def _compute(self, x: Tensor, step: int) -> tuple[Tensor, Tensor]:
        self.computed += 1
        output, gradient = self.prediction.value_and_gradient(x, self.labels, step)
        return output, self.scaled(gradient)


class _CrossEntropyGradient(torch.autograd.Function):
    """Forward: the outputs. Backward: the stored gradient if the library asks for it, otherwise the one it asks for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, model: MeteredModel) -> Tensor:
        output, gradient = model.value_and_gradient(x)
        ctx.model = model
        ctx.save_for_backward(x, output, gradient)
        return output.clone()

    @staticmethod
    def backward(ctx: Any, *asked: Tensor) -> tuple[Tensor, None]:
        model: MeteredModel = ctx.model
        x, output, gradient = ctx.saved_tensors
        model.backwards += len(x)
        with model.timed():
            if sign := cross_entropy_sign(asked[0], output, model.labels):
                return sign * gradient, None  # a copy: what a library does to it in place is its own affair
            with torch.enable_grad():
                leaf = x.detach().clone().requires_grad_()
                (other,) = torch.autograd.grad(model.prediction(leaf), leaf, asked[0])
            return model.scaled(other), None


class _Meter(torch.autograd.Function):
    """The identity that counts and rescales what flows back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, model: MeteredModel) -> Tensor:
        ctx.model = model
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        ctx.model.backwards += len(gradients[0])
        return ctx.model.scaled(gradients[0]), None


def cross_entropy_sign(asked: Tensor, output: Tensor, labels: Tensor) -> int:
    """1 if `asked` (B, K), a gradient at the outputs, is that of the labels' summed or averaged cross-entropy.

    -1 if it is the negative of that, which an attack towards the labels takes; 0 if it is another gradient. The
    cross-entropy's is softmax(output) - onehot, or a B-th of it; a library computes it to the rounding of float32. The
    outputs are log-probabilities, so their softmax is their exponential. In NumPy: on so few numbers its calls cost a
    tenth.
    """
    found, expected = asked.cpu().numpy(), np.exp(output.cpu().numpy())
    label = np.arange(len(labels)), labels.cpu().numpy()
    expected[label] -= 1
    # The label's component is a difference from one and has its rounding; the others are exact however small they are,
    # so that for a confident network, too, zero or the opposite does not pass for what is expected.
    tolerance = 1e-4 * np.abs(expected) + np.finfo(expected.dtype).tiny
    tolerance[label] += 2e-6
    for sign in (1, -1):
        for scale in (sign, sign / len(labels)):
            if bool((np.abs(found / scale - expected) <= tolerance).all()):
                return sign
    return 0


def rescale(gradient: Tensor) -> Tensor:
    """Multiply each example by a power of two that brings its largest |component| to [1, 2), or close to it.

    That changes no direction and no sign, bit for bit, but where a network is confident the gradient may be 1e-25,
    whose square is zero in float32: a library that divides by the l2 norm would then not move, or jump. Zero, infinite
    and undefined components stay what they are. The result is contiguous: libraries view it as flat vectors.
    """
    gradient = gradient.contiguous()
    largest = gradient.abs().flatten(1).amax(1)
    scale = torch.ldexp(torch.ones_like(largest), (1 - torch.frexp(largest).exponent).clamp(-126, 126))
    return gradient * scale.view(-1, *[1] * (gradient.ndim - 1))


def unit_mean(gradient: Tensor) -> Tensor:
    """Divide each example's gradient by the mean of its |components|, as momentum adds them up (Dong et al. 2018).

    What foolbox adds up as it is; the other libraries divide once more, by one. Zero stays zero.
    """
    gradient = rescale(gradient)
    mean = gradient.abs().flatten(1).mean(1).view(-1, *[1] * (gradient.ndim - 1))
    return gradient / mean.where(mean > 0, mean.new_ones(()))
