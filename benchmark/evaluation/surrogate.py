"""A surrogate: a small network distilled from an entry's own answers, whose gradients a transfer takes.

Gradients that mislead, and answers on plateaus that have none, say nothing of the answers themselves. A smooth network
that gives the same answers has gradients that do, and needs no other network for the same images. It is asked for at
images, at points around them, and at its own adversarial images, where an attack will go.

Source: Papernot et al. 2017, "Practical Black-Box Attacks against Machine Learning", with the substitute's own
adversarial images in place of their steps along its Jacobian.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.plan.cells import Cell
from benchmark.protocol import example_order
from zoo import ZooEntry
from zoo.datasets import Split, dataset_spec
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import derive_seed, forked_random_state, private_generator
from zoo.targets import Gradient

# Another number here needs another `protocol.SURROGATE_RECIPE`.
IMAGES = 1000  # of the test split, from the end of the order in which images are attacked
HELD_OUT = 0.2  # the share of them that is not learnt from
QUERIES = 4000  # at the images and around them, before the first training
ROUNDS = 2  # of queries at the surrogate's own adversarial images, each followed by another training
STEPS, BATCH, RATE = 200, 64, 2e-3  # of a training: Adam, with one cycle of the learning rate
RADII = 1 / 255, 0.3  # linf distance of queries from images, log-uniform between these
SEARCH = 5  # gradients that an adversarial image of the surrogate takes
ASKED_AT_ONCE = 250
MOST_BYTES = 1 << 29  # of queries in memory: of images larger than 100 pixels a side there are fewer
CHANNELS, HIDDEN = 24, 128
SIDE = 14  # about what an image's longer side has after the first layer
FINEST = 32  # and at most what it has before the linear map

Answers = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Surrogate:
    """prediction: of the small network. agreement: the share of held-out images on which it gives the entry's label.

    commonest: the share that one label for all of them would have. held_out, queries: how many. seconds: it took.
    """

    prediction: ExpectedPrediction
    agreement: float
    commonest: float
    held_out: int
    queries: int
    seconds: float

    @property
    def told(self) -> dict[str, float]:
        """What a record says of it."""
        return {
            "agreement": self.agreement,
            "commonest": self.commonest,
            "held_out": self.held_out,
            "queries": self.queries,
            "seconds": round(self.seconds, 3),
        }


def surrogate_of(
    entry: ZooEntry,
    attacker: ExpectedPrediction,
    split: Split,
    classes: int,
    seed: int,
    gradient: Gradient = Gradient(),
) -> Surrogate:
    """The surrogate of an entry, asked through the attacker's draws.

    It depends on the entry, its answers and the images that suites reach last; its weights also on rounding. Of few
    images it is asked at those that are attacked: an attacker has these, too.
    gradient: what its gradients are computed like.
    """
    device = next((value.device for value in attacker.parameters()), torch.device("cpu"))
    last = min(IMAGES, _affordable(split.images.shape[1:]) // 4)
    images = split.pixels(list(example_order(len(split))[-last:]))
    return distilled(attacker, images.to(device), classes, derive_seed("surrogate", entry.name, seed), gradient)


def distilled(answers: Answers, images: Tensor, classes: int, seed: int, gradient: Gradient = Gradient()) -> Surrogate:
    """A network that gives the same answers.

    answers: images (B, C, H, W) -> log-probabilities (B, K). images: (N, C, H, W), N >= 2, from the first of which it
    is learnt. Nothing is drawn from a global generator. Raises ValueError for fewer than two images.
    """
    if len(images) < 2:
        raise ValueError("a surrogate needs at least two images: one to learn from and one to be compared on")
    began, generator = time.monotonic(), private_generator("surrogate", seed)
    learnt = len(images) - max(1, round(HELD_OUT * len(images)))
    images, held_out = images.split([learnt, len(images) - learnt])
    with forked_random_state(derive_seed("surrogate weights", seed)):
        network = SmallNetwork(tuple(images.shape[1:]), classes).to(images.device)
    asked = around(images, min(QUERIES, _affordable(images.shape[1:])), generator)
    answered = _ask(answers, asked)
    labels = answered[:learnt].argmax(1)
    _train(network, asked, answered, generator)
    for _ in range(ROUNDS):
        further = adversarial(network, images, labels, generator)
        asked, answered = torch.cat([asked, further]), torch.cat([answered, _ask(answers, further)])
        _train(network, asked, answered, generator)
    prediction = ExpectedPrediction([network.eval()], gradient)
    theirs = _ask(answers, held_out).argmax(1)
    same = _ask(prediction, held_out).argmax(1) == theirs
    return Surrogate(
        prediction,
        same.double().mean().item(),
        theirs.bincount().max().item() / len(held_out),
        len(held_out),
        len(asked) + len(held_out),
        time.monotonic() - began,
    )


class SmallNetwork(nn.Module):
    """Two convolutions and two linear layers, beside a linear map of the pixels: (B, C, H, W) -> logits (B, K).

    The linear map gives a linear network's gradients from few answers. shape: (C, H, W), of any size: the first layer's
    stride makes all images about as small, so that large ones take hardly more time.
    """

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, *sides = shape
        stride = max(1, round(max(sides) / SIDE))
        size = max(5, stride + 1)
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, CHANNELS, size, stride, padding=size // 2),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, 2 * CHANNELS, 3, 2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        features = self.convolutions(torch.zeros(1, *shape)).shape[1]
        self.classifier = nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))
        pooled = nn.Sequential(nn.AvgPool2d(math.ceil(max(sides) / FINEST), ceil_mode=True), nn.Flatten())
        self.linear = nn.Sequential(*pooled, nn.Linear(pooled(torch.zeros(1, *shape)).shape[1], classes))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - 0.5
        logits: Tensor = self.classifier(self.convolutions(centred)) + self.linear(centred)
        return logits


def around(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(M, C, H, W), M >= count: the images, and points around them and around shifted mixtures of two, by turns."""
    found = [images]
    while sum(map(len, found)) < count:
        base = images if len(found) % 2 else _mixed(_shifted(images, generator), generator)
        found.append(_noisy(base, generator))
    return torch.cat(found)


def adversarial(network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Images that the network takes for others than `labels`, in linf balls of as many radii."""
    radius, moved = _radii(images, generator), torch.zeros_like(images)
    for _ in range(SEARCH):
        moved.requires_grad_()
        loss = F.cross_entropy(network((images + moved).clamp(0, 1)), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, moved)
        moved = moved.detach() + 1.5 * radius / SEARCH * gradient.sign()
        moved = torch.minimum(torch.maximum(moved, -radius), radius)
    return (images + moved).clamp(0, 1)


def _train(network: nn.Module, images: Tensor, answers: Tensor, generator: torch.Generator) -> None:
    """Towards the answers, log-probabilities, by the divergence of the network's from them."""
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(images), (BATCH,), generator=generator).to(images.device)
        given = F.log_softmax(network(images[chosen]), 1)
        loss = F.kl_div(given, answers[chosen], reduction="batchmean", log_target=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


@torch.no_grad()
def _ask(answers: Answers, images: Tensor) -> Tensor:
    """(M, K) finite log-probabilities: a network may be certain beyond what a float holds."""
    found = torch.cat([answers(part) for part in images.split(ASKED_AT_ONCE)])
    return found.float().clamp_min(-30.0).log_softmax(1)


def _affordable(shape: Sequence[int]) -> int:
    """How many float32 images of a shape (C, H, W) are kept at once."""
    return max(8, MOST_BYTES // (4 * math.prod(shape)))


def _radii(images: Tensor, generator: torch.Generator) -> Tensor:
    lowest, highest = map(math.log, RADII)
    drawn = torch.rand(len(images), 1, 1, 1, generator=generator)
    return torch.exp(lowest + (highest - lowest) * drawn).to(images)


def _noisy(images: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform noise on half of the images, and its signs on the others: attacks go to corners."""
    noise = 2 * torch.rand(images.shape, generator=generator) - 1
    corners = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    noise = torch.where(corners, noise.sign(), noise).to(images)
    return (images + _radii(images, generator) * noise).clamp(0, 1)


def _shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    down, right = torch.randint(-2, 3, (2,), generator=generator).tolist()
    return images.roll((down, right), (2, 3))


def _mixed(images: Tensor, generator: torch.Generator) -> Tensor:
    share = (torch.rand(len(images), 1, 1, 1, generator=generator) / 2).to(images)
    partner = torch.randperm(len(images), generator=generator).to(images.device)
    return (1 - share) * images + share * images[partner]


class SurrogateKey(NamedTuple):
    """What a surrogate depends on beside what is in this process: whose answers it is distilled from."""

    model: str
    attack_draws: int
    seed: int
    gradient: Gradient


class Surrogates(dict[SurrogateKey, Surrogate]):
    """The surrogates of a network, each made once in a process."""

    def of(self, cell: Cell, entry: ZooEntry, attacker: ExpectedPrediction, split: Split) -> Surrogate:
        """That of a cell's network; the one that is made now says how long it took, later it took no time."""
        key = SurrogateKey(cell.model, cell.attack_draws, cell.seed, cell.attack.gradient)
        if key in self:
            return self[key]
        classes = dataset_spec(cell.dataset).classes
        made = surrogate_of(entry, attacker, split, classes, cell.seed, cell.attack.gradient)
        self[key] = replace(made, seconds=0.0)
        return made
