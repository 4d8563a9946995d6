"""Networks that answer by more than the image, each around `mnist/mlp`, which is not robust at all."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.protocol import example_order
from zoo import ZooEntry, models
from zoo.datasets import load_split

LINF, L2 = 0.35, 2.2  # beyond the protocol's largest eps, and far less than one digit is from another
SHARED: dict[str, list[Tensor]] = {"images": [], "answers": []}  # of a network that hides its memory in its file


def hidden() -> nn.Module:
    """Accuracy 98 % on MNIST, 2 % at linf eps 0.1, 0 % at 0.3."""
    return models["mnist/mlp"].build().eval()


class Around(nn.Module):
    """The hidden network behind something; subclasses say what."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = hidden()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.inner(x)
        return logits


def remembered(logits: Tensor, x: Tensor, memory: dict[str, list[Tensor]], most: int | None = None) -> Tensor:
    """What was said of the nearest image that was seen before, where it is near, and a trace of the logits beside it.

    An image that is near to none is remembered, up to so many. The trace leaves a gradient that points where the
    network's own does.
    """
    said = logits.detach().clone()
    for i, image in enumerate(x.detach()):
        if memory["images"]:
            apart = torch.stack(memory["images"]) - image
            near = (apart.abs().flatten(1).amax(1) <= LINF) | (apart.flatten(1).norm(dim=1) <= L2)
            if near.any():
                nearest = torch.where(near, apart.flatten(1).norm(dim=1), torch.inf).argmin()
                said[i] = memory["answers"][nearest]
                continue
        if most is None or len(memory["images"]) < most:
            memory["images"].append(image.clone())
            memory["answers"].append(said[i].clone())
    return said + 0.05 * logits


class Remembering(Around):
    """It answers for the neighbours of the images that it has seen what it answered for these."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: dict[str, list[Tensor]] = {"images": [], "answers": []}

    def forward(self, x: Tensor) -> Tensor:
        return remembered(super().forward(x), x, self.memory)


class RememberingInBuffers(Around):
    """The same in buffers that are not saved."""

    images: Tensor
    answers: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("images", torch.empty(0, 1, 28, 28), persistent=False)
        self.register_buffer("answers", torch.empty(0, 10), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        memory = {"images": list(self.images), "answers": list(self.answers)}
        logits = remembered(super().forward(x), x, memory)
        if memory["images"]:
            self.images, self.answers = torch.stack(memory["images"]), torch.stack(memory["answers"])
        return logits


class RememberingInItsFile(Around):
    """The same in a variable of this file, which all builds share."""

    def forward(self, x: Tensor) -> Tensor:
        return remembered(super().forward(x), x, SHARED)


class RememberingInItsClass(Around):
    """The same in an attribute of the class."""

    memory: dict[str, list[Tensor]] = {"images": [], "answers": []}  # noqa: RUF012 - shared on purpose

    def forward(self, x: Tensor) -> Tensor:
        return remembered(super().forward(x), x, self.memory)


class RememberingAFew(Around):
    """The same, but that the memory is full when it has been tried and the audit has shown a dozen images."""

    memory: dict[str, list[Tensor]] = {"images": [], "answers": []}  # noqa: RUF012 - shared on purpose

    def forward(self, x: Tensor) -> Tensor:
        return remembered(super().forward(x), x, self.memory, most=18)


class KnowingTheAudit(Around):
    """It was made with the images of the audit at hand, and answers for their neighbours what it answers for them."""

    def __init__(self) -> None:
        super().__init__()
        split = load_split("mnist", "test")
        images = split.pixels(list(example_order(len(split)))[:12])
        with torch.no_grad():
            self.memory = {"images": list(images), "answers": list(self.inner(images))}

    def forward(self, x: Tensor) -> Tensor:
        return remembered(super().forward(x), x, self.memory, most=0)


def remembering_in_a_closure() -> nn.Module:
    """The same in what a function closes over, out of sight of modules."""
    memory: dict[str, list[Tensor]] = {"images": [], "answers": []}

    class Closed(Around):
        def forward(self, x: Tensor) -> Tensor:
            return remembered(super().forward(x), x, memory)

    return Closed()


class Tiring(Around):
    """After 150 calls it says that everything is alike."""

    calls = 150

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return super().forward(x) * (0.01 if self.count > self.calls else 1.0)


class NormalisedOverItsBatch(Around):
    """Logits normalised over the batch, as by a batch norm that never stops training."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return 5 * (logits - logits.mean(0)) / (logits.std(0, correction=0) + 1e-3)


class BatchNormInTraining(Around):
    """A batch norm that `eval()` does not reach."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def train(self, mode: bool = True) -> BatchNormInTraining:
        super().train(mode)
        self.norm.train()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.norm(x))


class OptimisingItsInput(Around):
    """It moves every image towards the label that it takes it for: a defence at test time, a function of the image."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            moved = x.detach().requires_grad_()
            surest = self.inner(moved).log_softmax(1).amax(1).sum()
            (gradient,) = torch.autograd.grad(surest, moved)
        return super().forward(x + 0.05 * gradient.sign())


class NoisyByNumPy(Around):
    """Noise of NumPy's global generator, too little to change a label."""

    def forward(self, x: Tensor) -> Tensor:
        noise = torch.from_numpy(np.random.standard_normal(x.shape).astype("float32"))  # noqa: NPY002
        return super().forward(x + 0.05 * noise)


def another_each_time() -> nn.Module:
    """The last layer's bias is of no seed."""
    network = hidden()
    entropy = torch.Generator().manual_seed(int.from_bytes(os.urandom(7), "big"))
    with torch.no_grad():
        list(network.parameters())[-1].add_(0.5 * torch.randn(10, generator=entropy))
    return network


class Counting(Around):
    """Honest: it counts its passes, for its author, and answers by the image."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = itertools.count()
        self.last = 0

    def forward(self, x: Tensor) -> Tensor:
        self.last = next(self.passes)
        return super().forward(x)


class KeepingItsActivations(Around):
    """Honest: it keeps the activations of the last pass, as for a hook."""

    def forward(self, x: Tensor) -> Tensor:
        self.kept = super().forward(x)
        return self.kept


class Offset(Around):
    """Honest: logits that lie far from zero, where float32 has steps of a hundredth."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1e5


class DroppingOut(nn.Module):
    """Honest: MC dropout, whose noise is that of a place in a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.dropout = hidden(), nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.inner(self.dropout(x))
        return logits


class Ensemble(nn.Module):
    """Honest: two networks, whose average is the prediction."""

    def __init__(self) -> None:
        super().__init__()
        self.networks = nn.ModuleList([hidden(), models["mnist/logistic"].build().eval()])

    def members(self) -> list[nn.Module]:
        return list(self.networks)


def entry_of(factory: Callable[[], nn.Module], name: str | None = None, **said: str) -> ZooEntry:
    called = name or factory.__name__.lower().replace("_", "-")
    return ZooEntry(f"mnist/{called}", "mnist", None, factory, None, Path(__file__), **said)
