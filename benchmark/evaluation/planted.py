"""An adversarial example planted in the ball of every image, to see whether the attacks find what is certainly there.

The readout of a network is replaced by one with two classes: the image and random points of its ball are of class 0,
one point on the boundary of the ball is of class 1. All that the network does to its input stays, so that an attack
that follows its gradient must find that point or another of class 1; where it does not, it finds nothing in the network
either, and its failure is no evidence of robustness.

Source: Zimmermann, Brendel, Tramèr and Carlini 2022, "Increasing Confidence in Adversarial Robustness Evaluations".
Here the readout is solved in closed form, and its bias stands so near the planted point that random search does not
reach it; images where it does all the same are told apart (`Planted.by_chance`).
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from benchmark.attacks.balls import unit, within
from benchmark.attacks.craft import Adapter, Crafted, craft
from benchmark.attacks.metered import GradientStore
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.evaluation.judge import violations
from benchmark.evaluation.machine import Machine
from benchmark.evaluation.readout import solve, without_readout
from benchmark.plan.cells import Cell
from benchmark.plan.purposes import draws_seed
from benchmark.records.parts import Planting
from zoo import ZooEntry
from zoo.prediction.expected import ExpectedPrediction
from zoo.prediction.target_networks import networks_of
from zoo.seeding import private_generator
from zoo.targets import Gradient, Networks

# Points of a ball: the readout is solved on the first, which with the second set its bias; the third try whether chance
# finds what is planted. Of the candidates for the planted point the one is taken that stands out most.
INNER, HELD, CONTROL, CANDIDATES = 48, 32, 32, 8
_OF_READOUT = ("readouts", "centres", "offsets")


class PlantedPrediction(ExpectedPrediction):
    """Images (B, C, H, W), the very B that it was planted for and in their order -> (B, 2) log-probabilities.

    networks: pixels -> features (B, D, ...). Every image has a readout of its own, with a part for every draw, as draws
    have readouts in the network itself. The rest as of `ExpectedPrediction`.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        gradient: Gradient = Gradient(),
        *,
        weights: Sequence[float] | None = None,
        stack: bool | None = None,
    ) -> None:
        trained = any(True for network in networks for _ in network.parameters())
        super().__init__(networks, gradient, weights=weights, stack=stack if trained else False)
        self.readouts = self.centres = self.offsets = torch.empty(0)

    def read_by(self, readouts: Tensor, centres: Tensor, offsets: Tensor) -> None:
        """readouts, centres: (S, B, D). offsets: (S, B). A readout is of the features' difference from a centre, which
        keeps what varies in the ball above rounding.
        """
        self.readouts, self.centres, self.offsets = readouts, centres, offsets

    def of_rows(self, rows: Tensor) -> PlantedPrediction:
        """The same for some of the images. rows: (b,) their places."""
        some = copy.copy(self)
        some.read_by(self.readouts[:, rows], self.centres[:, rows], self.offsets[:, rows])
        return some

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """(S, B, D) of every draw, computed in the chunks in which an attack computes them."""
        return torch.cat([super(PlantedPrediction, self).logits(part).flatten(2) for part in self._chunks(x)], 1)

    def chunk_size(self, x: Tensor) -> int:
        """All: a part of a batch does not say which images it holds. `logits` divides it."""
        return max(1, len(x))

    def logits(self, x: Tensor) -> Tensor:
        """(S, B, 2) outputs of every draw. Raises ValueError for another number of images."""
        if len(x) != self.offsets.shape[1]:
            raise ValueError(f"planted for {self.offsets.shape[1]} images in their order, not for {len(x)}")
        kept, _ = self._activations(x)
        again = torch.is_grad_enabled() and x.requires_grad and kept * len(x) > self.max_bytes
        parts, first = [], 0
        for part in self._chunks(x):
            rows = slice(first, first + len(part))
            parts.append(
                checkpoint(self._difference, part, rows, use_reentrant=False) if again else self._difference(part, rows)
            )
            first = rows.stop
        difference = torch.cat(parts, 1)
        return torch.stack([-difference / 2, difference / 2], -1)

    def _difference(self, x: Tensor, rows: slice) -> Tensor:
        """(S, b) of the two logits."""
        moved = super().logits(x).flatten(2) - self.centres[:, rows]
        return (moved * self.readouts[:, rows]).sum(-1) - self.offsets[:, rows]

    def _chunks(self, x: Tensor) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = x.split(super().chunk_size(x))
        return parts


@dataclass(frozen=True)
class Planted:
    """prediction: whose class 1 is what is to be found. points: (B, C, H, W), where it was planted.

    there: (B,), whether the point is of class 1, the image of class 0 and the point within ball and box: proved by
    evaluating them. by_chance: (B,), whether random points of the ball find class 1. of_logits: whether the logits are
    what is read, for lack of a last linear layer.
    """

    prediction: PlantedPrediction
    points: Tensor
    there: Tensor
    by_chance: Tensor
    of_logits: bool

    def recorded(self, examples: Sequence[int]) -> Planting:
        """What a record keeps of it. examples: the images."""

        def those(flags: Tensor) -> list[int]:
            return [example for example, flag in zip(examples, flags.tolist(), strict=True) if flag]

        return Planting(those(self.there), those(self.there & self.by_chance), self.of_logits)


@torch.no_grad()
def plant(
    networks: Sequence[nn.Module],
    x: Tensor,
    threat: ThreatModel,
    examples: Sequence[int],
    seed: int,
    gradient: Gradient = Gradient(),
    *,
    weights: Sequence[float] | None = None,
    stack: bool | None = None,
) -> Planted:
    """Plant an example in the ball of every image. networks: the attacker's draws, pixels -> logits.

    x: (B, C, H, W) in [0, 1]. examples: the images' indices, from which with `seed` their random points are derived.
    gradient, weights, stack: as of `ExpectedPrediction`.
    """
    headless = without_readout(networks, x[:2])
    planted = PlantedPrediction(networks if headless is None else headless, gradient, weights=weights, stack=stack).to(
        x.device
    )
    points = _Points(x, threat, examples, seed)
    inner = torch.stack([planted.features(x), *(planted.features(one) for one in points.anywhere(INNER))])
    held = torch.stack([planted.features(one) for one in points.anywhere(HELD)])
    on_boundary = [points.on_boundary() for _ in range(CANDIDATES)]
    features = inner, held, torch.stack([planted.features(one) for one in on_boundary])
    solved = [
        solve(of_inner, of_held, of_candidates, planted.weights)
        for of_inner, of_held, of_candidates in zip(*(of.permute(2, 1, 0, 3) for of in features), strict=True)
    ]
    planted.read_by(*(torch.stack([getattr(one, name) for one in solved], 1) for name in _OF_READOUT))
    chosen = torch.stack([on_boundary[one.candidate][i] for i, one in enumerate(solved)])
    there = (planted(chosen).argmax(1) == 1) & (planted(x).argmax(1) == 0) & ~violations(x, chosen, threat)
    by_chance = torch.zeros_like(there)
    for one in points.anywhere(CONTROL):
        by_chance |= planted(one).argmax(1) == 1
    return Planted(planted, chosen, there, by_chance, headless is None)


def plant_for(entry: ZooEntry, cell: Cell, x: Tensor, examples: Sequence[int], machine: Machine) -> Planted:
    """Plant an example in the ball of every image of a cell, in the draws that its attacker has."""
    network, posterior = entry.load()
    seed = draws_seed(entry.name, "attack", cell.seed)
    drawn = networks_of(Networks.DRAWS, network.to(machine.device), posterior, cell.attack_draws, seed)
    how = cell.attack.threat, examples, cell.seed, Gradient(precision=cell.attack.gradient.precision)
    return plant(drawn.networks, x, *how, weights=drawn.weights, stack=machine.stack)


class _Points:
    """Random points of the images' balls, within the box; those of an image do not depend on the others."""

    def __init__(self, x: Tensor, threat: ThreatModel, examples: Sequence[int], seed: int) -> None:
        self.x, self.threat = x, threat
        self.generators = [private_generator("planted", threat.norm, seed, example) for example in examples]

    def anywhere(self, count: int) -> Iterator[Tensor]:
        """Half of them uniform in the ball, half on its boundary, which is where a search would look."""
        return (self.on_boundary() if number % 2 else self.inside() for number in range(count))

    def inside(self) -> Tensor:
        """(B, C, H, W), uniform in the ball but for what the box cuts off."""
        if self.threat.norm == "linf":
            return self._moved(2 * self._draw(torch.rand) - 1)
        direction = unit(self._draw(torch.randn), "l2")
        radius = torch.stack([torch.rand((), generator=one) for one in self.generators]).to(self.x)
        return self._moved(direction * radius.pow(1 / self.x[0].numel()).view(-1, *[1] * (self.x.ndim - 1)))

    def on_boundary(self) -> Tensor:
        """(B, C, H, W): a corner in linf; in l2 a random direction, eps long within the box where the box allows it."""
        direction = self._draw(torch.randn)
        if self.threat.norm == "linf":
            return self._moved(direction.sign())
        for _ in range(8):  # what the box cuts off makes the others longer
            direction = self._moved(unit(direction, "l2")) - self.x
        return within(self.x + direction, self.x, self.threat)

    def _moved(self, direction: Tensor) -> Tensor:
        moved: Tensor = (self.x + self.threat.eps * direction).clamp(0, 1)
        return moved

    def _draw(self, draw: Callable[..., Tensor]) -> Tensor:
        return torch.stack([draw(self.x.shape[1:], generator=one) for one in self.generators]).to(self.x)


def craft_planted(
    library: str,
    planted: Planted,
    x: Tensor,
    y: Tensor,
    spec: AttackSpec,
    examples: Sequence[int],
    seed: int,
    store: GradientStore | None = None,
    adapter: Adapter | None = None,
) -> Crafted:
    """As `craft`: half the steps of `spec`, each twice as long, from one start, and all of it where that fails."""
    first = replace(spec, steps=spec.steps // 2, step_size=2 * spec.step_size, restarts=1)
    crafted = craft(library, planted.prediction, x, y, first, examples, seed, store, adapter)
    found = _found(planted.prediction, x, crafted.images, spec.threat)
    rows = (planted.there & ~found).nonzero()[:, 0]
    if not len(rows):
        return crafted
    rest = planted.prediction.of_rows(rows)
    if not (rest(planted.points[rows]).argmax(1) == 1).all():  # noise that depends on the place in a batch
        rows, rest = torch.arange(len(x), device=x.device), planted.prediction
    those = [examples[row] for row in rows.tolist()]
    again = craft(library, rest, x[rows], y[rows], spec, those, seed, None, adapter)
    images = crafted.images.clone()
    images[rows] = torch.where(found[rows].view(-1, *[1] * (x.ndim - 1)), images[rows], again.images)
    share = len(rows) / len(x)
    crafted.timing.add(again.timing)
    return dataclasses.replace(
        crafted,
        images=images,
        forwards=crafted.forwards + math.ceil(share * again.forwards),
        backwards=crafted.backwards + math.ceil(share * again.backwards),
        seconds=crafted.seconds + again.seconds,
    )


@torch.no_grad()
def _found(prediction: ExpectedPrediction, x: Tensor, images: Tensor, threat: ThreatModel) -> Tensor:
    """(B,), whether images within ball and box are of class 1."""
    found: Tensor = prediction(images).argmax(1) == 1
    return found & ~violations(x, images, threat)
