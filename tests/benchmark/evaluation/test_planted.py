"""Planted examples: proved to be there, found in networks with a gradient, not found where it is masked."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.attacks.craft import craft
from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import ThreatModel
from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.judge import violations
from benchmark.evaluation.machine import Machine
from benchmark.evaluation.planted import DEPTH, RIDGE, SLOPE, Planted, plant, solve
from benchmark.evaluation.readout import without_readout
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS, PLANTED_IMAGES, pgd
from benchmark.plan.cells import Cell, Reading, Selection
from benchmark.plan.suites import SUITES
from benchmark.records.record import Record
from benchmark.results.checks.check import over
from benchmark.results.checks.planted import MISSED
from zoo import ZooEntry
from zoo.catalogue.registry import source_of
from zoo.datasets import load_split
from zoo.layers import BayesianLinear
from zoo.seeding import forked_random_state, private_generator

COUNT = 30
LINF, L2 = ThreatModel("linf", 0.1), ThreatModel("l2", 1.0)


def linear() -> nn.Module:
    with forked_random_state(3):
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 40), nn.Linear(40, 10))


def mlp() -> nn.Sequential:
    with forked_random_state(4):
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.Softplus(), nn.Linear(64, 10))


class Shattered(nn.Module):
    """Rounds the image, which has a gradient of zero almost everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.network = mlp()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network((16 * x).round() / 16)
        return logits


class Decoy(nn.Module):
    """Its gradient is that at other pixels: of the image turned by a half."""

    def __init__(self) -> None:
        super().__init__()
        self.network = mlp()

    def forward(self, x: Tensor) -> Tensor:
        turned = x.flip(-1, -2)
        logits: Tensor = self.network(x.detach() + turned - turned.detach())
        return logits


class Tempered(nn.Module):
    """Does something to what its last linear layer says."""

    def __init__(self) -> None:
        super().__init__()
        self.network = mlp()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return 3 * logits.tanh()


class Distances(nn.Module):
    """Logits are distances to prototypes: there is no linear layer at all."""

    def __init__(self) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.rand(10, 784, generator=private_generator("prototypes")))

    def forward(self, x: Tensor) -> Tensor:
        return -torch.cdist(x.flatten(1), self.prototypes)


class Pooled(nn.Module):
    """Its readout is a 1x1 convolution, on one pixel."""

    def __init__(self) -> None:
        super().__init__()
        with forked_random_state(5):
            self.body, self.readout = nn.Conv2d(1, 32, 7, 7), nn.Conv2d(32, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.readout(F.softplus(self.body(x)).mean((2, 3), keepdim=True))
        return logits.flatten(1)


def wide() -> nn.Module:
    with forked_random_state(6):
        return nn.Sequential(nn.Flatten(), BayesianLinear(784, 50, rho=-3.0), nn.Softplus(), BayesianLinear(50, 10))


class Dropped(nn.Module):
    """Dropout that is never turned off: each image of a batch has a mask of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.network = mlp()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(F.dropout(x, 0.2, training=True))
        return logits


def images(count: int = COUNT) -> tuple[Tensor, list[int]]:
    return load_split("mnist", "test").pixels(range(count)), list(range(count))


def planted(network: nn.Module, threat: ThreatModel) -> tuple[Planted, Tensor, list[int]]:
    x, examples = images()
    return plant([network.eval()], x, threat, examples, 0), x, examples


def record_of(
    factory: object, threat: ThreatModel, family: str = "frequentist", draws: tuple[int, int] = (1, 1)
) -> Record:
    name = f"mnist/{getattr(factory, '__name__', 'network').lower()}"
    entry = ZooEntry(name, "mnist", family, factory, None, source_of(factory))  # type: ignore[arg-type]
    attack = ADAPTIVE_ATTACKS["planted"].attack(threat)
    cell = Cell(name, "mnist", attack, 0, COUNT, ("torchattacks",), *draws, reading=Reading.PLANTED)
    return Evaluator(Machine(), entries={name: entry}).evaluate(cell)


def detected(record: Record) -> tuple[int, int]:
    """How many of those that count are found, and how many count."""
    assert record.complete, record.outcomes
    assert record.planting is not None
    counted = set(record.planting.planted) - set(record.planting.by_chance)
    return len(counted & record.broken), len(counted)


def test_a_readout_is_fishers_discriminant_with_a_known_margin() -> None:
    """Inner points at +-spread on each axis have a diagonal covariance; then everything is known."""
    spread, goal = torch.tensor([1.0, 2.0, 0.5]).double(), torch.tensor([3.0, 1.0, 1.0]).double()
    centre = torch.tensor([5.0, -1.0, 0.0]).double()
    inner = torch.cat([torch.diag(spread), -torch.diag(spread)]) + centre
    held = torch.stack([centre + 0.1, centre - 0.2])
    found = solve(inner[None], held[None], (goal + centre)[None, None])
    ridge = RIDGE * float((spread**2).mean())
    direction = goal / (2 * spread**2 + ridge)
    torch.testing.assert_close(F.normalize(found.readouts[0], dim=0), F.normalize(direction, dim=0))

    def difference(points: Tensor) -> Tensor:
        return (points - found.centres[0]) @ found.readouts[0] - found.offsets[0]

    assert float(difference(goal + centre)) == pytest.approx(SLOPE * (1 - DEPTH))
    assert float(difference(torch.cat([inner, held])).max()) == pytest.approx(-SLOPE * DEPTH)


def test_a_draw_that_cannot_tell_the_point_votes_against_it() -> None:
    inner = torch.randn(1, 20, 3, generator=private_generator("inner")).double()
    found = solve(inner, inner, inner[:, :1])
    assert not found.readouts.any()
    assert float(found.offsets) > 0


@pytest.mark.parametrize("threat", [LINF, L2], ids=str)
def test_what_is_planted_is_there_and_chance_does_not_find_it(threat: ThreatModel) -> None:
    found, x, _ = planted(mlp(), threat)
    assert found.there.all()
    assert not found.of_logits
    assert not violations(x, found.points, threat).any()
    p = found.prediction.probabilities(found.points)[:, 1]
    torch.testing.assert_close(p, torch.full_like(p, 1 / (1 + math.exp(-SLOPE * (1 - DEPTH)))), atol=1e-3, rtol=0)
    assert (found.prediction.probabilities(x)[:, 1] < 1e-3).all()
    assert int(found.by_chance.sum()) <= 2
    distance = (found.points - x).flatten(1)
    reach = distance.abs().amax(1) if threat.norm == "linf" else distance.norm(dim=1)
    torch.testing.assert_close(reach, torch.full_like(reach, threat.eps), atol=1e-5, rtol=0)


def test_pgd_reaches_the_known_optimum_of_a_linear_network() -> None:
    """Through linear layers the difference is linear in the pixels: its largest value in the ball is known."""
    network = linear()
    found, x, examples = planted(network, LINF)
    weight = network[1].weight  # type: ignore[index,union-attr]
    per_image = found.prediction.readouts[0] @ weight  # (B, 784)
    corner = (x.flatten(1) + LINF.eps * per_image.sign()).clamp(0, 1).view_as(x)
    crafted = craft("torchattacks", found.prediction, x, torch.zeros(len(x)).long(), pgd(LINF), examples, 0).images
    largest, reached = (found.prediction.logits(one)[0, :, 1] for one in (corner, crafted))
    assert (largest > 0).all()
    torch.testing.assert_close(reached, largest, rtol=1e-3, atol=1e-3)


def test_readouts_belong_to_their_images() -> None:
    found, x, _ = planted(mlp(), LINF)
    rows = torch.tensor([4, 2])
    torch.testing.assert_close(found.prediction.of_rows(rows)(found.points[rows]), found.prediction(found.points)[rows])
    with pytest.raises(ValueError, match="planted for 30 images"):
        found.prediction(x[:3])


@pytest.mark.parametrize("network", [mlp(), linear(), Pooled()], ids=["mlp", "linear", "convolution"])
def test_features_are_what_the_readout_reads(network: nn.Module) -> None:
    x, _ = images(3)
    headless = without_readout([network], x)
    assert headless is not None
    readout = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)][-1]
    features, weight = headless[0](x).flatten(1), readout.weight.flatten(1)
    torch.testing.assert_close(F.linear(features, weight, readout.bias), network(x))
    assert next(headless[0].parameters()) is next(network.parameters())  # nothing is kept twice


@pytest.mark.parametrize("network", [Tempered(), Distances()], ids=["tempered", "distances"])
def test_without_a_last_linear_layer_logits_are_read(network: nn.Module) -> None:
    found, _, _ = planted(network, LINF)
    assert found.of_logits
    hits, count = detected(record_of(type(network), LINF))
    assert count >= COUNT // 2
    assert over(count - hits, count, MISSED) == "PASS"


@pytest.mark.parametrize("factory", [linear, mlp, Pooled])
@pytest.mark.parametrize("threat", [LINF, L2], ids=str)
def test_found_where_the_gradient_leads(factory: object, threat: ThreatModel) -> None:
    hits, count = detected(record_of(factory, threat))
    assert count >= 0.8 * COUNT
    assert over(count - hits, count, MISSED) == "PASS"


@pytest.mark.parametrize("factory", [Shattered, Decoy])
@pytest.mark.parametrize("threat", [LINF, L2], ids=str)
def test_not_found_where_the_gradient_is_masked(factory: object, threat: ThreatModel) -> None:
    hits, count = detected(record_of(factory, threat))
    assert count >= 0.8 * COUNT
    assert hits <= 0.2 * count
    assert over(count - hits, count, MISSED) == "FAIL"


def test_every_draw_has_a_readout() -> None:
    record = record_of(wide, LINF, "bayesian", (8, 64))
    hits, count = detected(record)
    assert (hits, count) == (COUNT, COUNT)
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_noise_that_depends_on_the_place_in_a_batch() -> None:
    hits, count = detected(record_of(Dropped, LINF, "stochastic", (4, 64)))
    assert count >= 0.8 * COUNT
    assert over(count - hits, count, MISSED) == "PASS"


@pytest.mark.parametrize("name", ["mnist/mlp", "mnist/lenet", "mnist/bayesian-lenet"])
@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.3), ("l2", 2.0)])
def test_found_in_the_zoo(name: str, norm: Norm, eps: float) -> None:
    evaluator, threat = Evaluator(), ThreatModel(norm, eps)
    subject = evaluator.subject(evaluator.entry(name))
    cells = SUITES["adaptive"].cells([subject], Selection(examples=COUNT))
    (cell,) = [one for one in cells if one.reading is Reading.PLANTED and one.attack.threat == threat]
    hits, count = detected(evaluator.evaluate(cell))
    assert count >= 0.9 * COUNT
    assert over(count - hits, count, MISSED) == "PASS"


def test_the_first_images_come_after_their_shard() -> None:
    evaluator = Evaluator()
    cells = SUITES["adaptive"].cells([evaluator.subject(evaluator.entry("mnist/mlp"))], Selection(examples=200))
    places = [number for number, cell in enumerate(cells) if cell.reading is Reading.PLANTED]
    assert len(places) == 4
    assert {(cells[place].start, cells[place].stop) for place in places} == {(0, PLANTED_IMAGES)}
    before, after = cells[: places[0]], cells[places[-1] + 1 :]
    assert {cell.start for cell in before} == {0}
    assert {cell.start for cell in after} == {100}
