"""A surrogate against networks whose gradients are known, and as a source of transfers where there is no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark import Data, evaluate
from benchmark.attacks.spec import ThreatModel
from benchmark.evaluation import surrogate
from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.executors import executing
from benchmark.evaluation.machine import Machine
from benchmark.evaluation.surrogate import RADII, SmallNetwork, adversarial, around, distilled, surrogate_of
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS, planned
from benchmark.plan.cells import Cell, Subject
from benchmark.plan.roles import role_of
from benchmark.protocol import surrogate_fingerprint
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.results.audits import audits_of
from benchmark.results.checks.adaptive import is_like
from benchmark.results.selection import sifted
from zoo import ZooEntry
from zoo.datasets import DATASETS, load_split
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import private_generator
from zoo.targets import SURROGATE

SHAPE, CLASSES = (1, 8, 8), 3
LINF = ThreatModel("linf", 0.1)


def pixels(count: int, purpose: str) -> Tensor:
    return torch.rand(count, *SHAPE, generator=private_generator("pixels", purpose))


class Linear(nn.Module):
    """A linear network of the pixels, whose gradients are its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, CLASSES, generator=private_generator("linear")) / 2)

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - 0.5) @ self.weight


class _Elsewhere(torch.autograd.Function):
    """Pixels on sixteen levels; backwards, a direction that has nothing to do with them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, direction: Tensor) -> Tensor:
        ctx.save_for_backward(direction)
        return (x * 15).round() / 15

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (direction,) = ctx.saved_tensors
        return gradients[0].abs().amax() * direction.expand_as(gradients[0]), None


class Plateaus(Linear):
    """The linear network on plateaus, and behind a gradient that is alive and misleads."""

    direction: Tensor

    def __init__(self) -> None:
        super().__init__()
        direction = torch.randn(1, *SHAPE, generator=private_generator("direction"))
        self.register_buffer("direction", direction)

    def forward(self, x: Tensor) -> Tensor:
        passed: Tensor = _Elsewhere.apply(x, self.direction)
        return super().forward(passed)


def gradients(network: nn.Module, x: Tensor) -> Tensor:
    """(B, 64) of the cross-entropy with the linear network's labels."""
    leaf = x.clone().requires_grad_()
    loss = F.cross_entropy(network(leaf), Linear()(x).argmax(1), reduction="sum")
    return torch.autograd.grad(loss, leaf)[0].flatten(1)


def answers_of(network: nn.Module) -> ExpectedPrediction:
    return ExpectedPrediction([network.eval()])


@pytest.mark.usefixtures("untouched_global_state")
def test_it_has_the_gradients_of_a_linear_network_behind_plateaus_and_a_decoy() -> None:
    hidden = Plateaus()
    x = pixels(100, "others")
    true, own = gradients(Linear(), x), gradients(hidden, x)
    assert F.cosine_similarity(true, own).abs().median() < 0.3  # what a white-box attack follows
    made = distilled(answers_of(hidden), pixels(200, "learnt"), CLASSES, 0)
    assert F.cosine_similarity(true, gradients(made.prediction, x)).median() > 0.9
    assert made.agreement >= 0.9
    assert made.held_out == 40
    assert made.queries == 4000 + 2 * 160 + 40
    assert is_like(made.told)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trained for a moment."""
    monkeypatch.setattr(surrogate, "STEPS", 20)
    monkeypatch.setattr(surrogate, "QUERIES", 200)
    return


@pytest.mark.usefixtures("short")
def test_the_same_answers_give_the_same_network_and_another_seed_another() -> None:
    x = pixels(30, "learnt")
    once, again, other = (distilled(answers_of(Linear()), x, CLASSES, seed) for seed in (0, 0, 1))
    assert torch.equal(once.prediction(x), again.prediction(x))
    assert not torch.allclose(once.prediction(x), other.prediction(x), atol=1e-4)


@pytest.mark.usefixtures("short")
def test_agreement_is_that_on_images_that_it_never_saw() -> None:
    """Answers that have nothing to do with the image can be learnt by heart, and are not agreed with."""
    x = pixels(100, "learnt")

    def by_chance(images: Tensor) -> Tensor:
        label = (images.flatten(1).double().sum(1) * 1e6).long() % CLASSES
        return F.one_hot(label, CLASSES).double().log()

    def always_one(images: Tensor) -> Tensor:
        return torch.tensor([0.0, -9.0, -9.0]).expand(len(images), CLASSES)

    chance, one = distilled(by_chance, x, CLASSES, 0), distilled(always_one, x, CLASSES, 0)
    assert (chance.held_out, one.held_out) == (20, 20)
    assert not is_like(chance.told)
    assert (one.agreement, one.commonest, is_like(one.told)) == (1, 1, True)
    seen: list[Tensor] = []

    def watched(images: Tensor) -> Tensor:
        seen.append(images)
        return always_one(images)

    distilled(watched, x, CLASSES, 0)
    asked, last = torch.cat(seen[:-1]), seen[-1]
    assert torch.equal(last, x[80:])
    assert (asked.flatten(1)[:, None] != x[80:].flatten(1)).any(2).all()


def test_one_image_is_not_enough() -> None:
    with pytest.raises(ValueError, match="at least two images"):
        distilled(answers_of(Linear()), pixels(1, "one"), CLASSES, 0)


@pytest.mark.parametrize(
    ("shape", "classes"), [((1, 2, 2), 2), ((1, 8, 8), 3), ((3, 16, 40), 4), ((1, 28, 28), 10), ((3, 224, 224), 1000)]
)
def test_the_small_network_takes_images_of_any_size(shape: tuple[int, ...], classes: int) -> None:
    network = SmallNetwork(shape, classes)
    assert network(torch.rand(2, *shape)).shape == (2, classes)
    assert sum(weight.numel() for weight in network.parameters()) < 6e6


def test_queries_are_the_images_and_points_of_balls_around_them() -> None:
    x, generator = pixels(30, "learnt"), private_generator("around")
    asked = around(x, 100, generator)
    assert len(asked) == 120
    assert torch.equal(asked[:30], x)
    assert 0 <= asked.min() < asked.max() <= 1
    distance = (asked[30:60] - x).flatten(1).abs().amax(1)
    assert RADII[0] / 2 < distance.min() < 0.05 < 0.1 < distance.max() <= RADII[1] + 1e-6
    network, labels = Linear(), Linear()(x).argmax(1)
    found = adversarial(network, x, labels, generator)
    assert (found - x).abs().max() <= RADII[1] + 1e-6
    assert (network(found).argmax(1) == labels).float().mean() < 0.7


@pytest.mark.usefixtures("short")
def test_of_large_images_no_more_are_kept_than_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate, "MOST_BYTES", 4 * 64 * 40)  # forty images
    x = pixels(100, "many")
    data = Data.from_arrays(x, Linear()(x).argmax(1), name="many", classes=CLASSES)
    entry = ZooEntry(f"{DATASETS.hold(data)}/net", "many", "frequentist", Linear, None, Path(__file__))
    made = surrogate_of(entry, answers_of(Linear()), load_split("many", "test"), CLASSES, 0)
    assert (made.held_out, made.queries) == (2, 40 + 2 * 8 + 2)


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize(("size", "others"), [(2, ()), (2, (("data/other", True),)), (1, ())])
def test_it_is_planned_where_there_is_no_other_network_and_known_for_what_it_is(
    size: int, others: tuple[tuple[str, bool], ...], thorough: bool
) -> None:
    subject = Subject("data/net", "mnist", size, deterministic=True, others=others)
    plan = planned(subject, [LINF], "surviving", thorough)
    found = [attack for adaptive, attack in plan if adaptive.name == SURROGATE]
    assert [attack.source for attack in found] == ([SURROGATE] if size > 1 and (thorough or not others) else [])
    for attack in found:
        assert attack.steps == 40
        cell = Cell("data/net", "mnist", attack, 0, 2, ("torchattacks",), 1, 1)
        assert role_of(Cell.from_json(cell.to_json())).adaptive is ADAPTIVE_ATTACKS[SURROGATE]
        assert "from a surrogate" in attack.label
        assert role_of(cell).counts_in_worst_case


def own(count: int, hidden: type[nn.Module] = Plateaus) -> tuple[ZooEntry, Data]:
    """A network for images of one's own, all of which it is right on."""
    x = pixels(count, "own")
    data = Data.from_arrays(x, hidden()(x).argmax(1), name="own", classes=CLASSES, eps={"linf": [0.1]})
    return ZooEntry(f"{DATASETS.hold(data)}/net", "own", "frequentist", hidden, None, Path(__file__)), data


def cell_of(entry: ZooEntry, count: int, eps: float = 0.1, **changes: object) -> Cell:
    attack = ADAPTIVE_ATTACKS[SURROGATE].attack(ThreatModel("linf", eps))
    return Cell(entry.name, entry.dataset, attack, 0, count, ("torchattacks",), 1, 1, **changes)  # type: ignore[arg-type]


@pytest.mark.usefixtures("short")
def test_its_key_is_of_the_network_and_the_recipe_and_it_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    entry, _ = own(20)
    evaluator = Evaluator(entries={entry.name: entry})
    first, second = (evaluator.evaluate(cell_of(entry, 20, eps)) for eps in (0.1, 0.2))
    assert first.fingerprints["source"] == surrogate_fingerprint(first.fingerprints["model"])
    assert (first.provenance[SURROGATE]["held_out"], first.provenance[SURROGATE]["queries"]) == (4, 208 + 2 * 16 + 4)
    assert first.provenance[SURROGATE]["seconds"] > second.provenance[SURROGATE]["seconds"] == 0
    assert Record.from_json(first.to_json()) == first
    assert sifted([first, second]).records == [first, second]
    key = evaluator.key(first.cell)
    monkeypatch.setattr("benchmark.protocol.SURROGATE_RECIPE", "another")
    assert evaluator.key(first.cell) != key
    found = sifted([first])
    assert (found.records, found.dropped) == ([], ["dropped 1 records of own/net: surrogates are made otherwise now"])


@pytest.mark.usefixtures("short")
def test_a_network_that_fails_where_it_is_asked_is_an_error_and_no_score() -> None:
    class Fragile(Linear):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) > 20:
                raise RuntimeError("too many")
            return super().forward(x)

    entry, _ = own(20, Fragile)
    record = Evaluator(entries={entry.name: entry}).evaluate(cell_of(entry, 20))
    assert record.outcomes["torchattacks"].error == "RuntimeError: too many"
    assert not record.complete


@pytest.mark.slow
def test_worker_processes_make_the_same_one() -> None:
    entry, _ = own(20)
    evaluator = Evaluator(Machine(threads=1), entries={entry.name: entry})
    cell = cell_of(entry, 20)
    work = {evaluator.key(cell): cell}
    with executing(evaluator) as execute:
        (here,) = execute(work.items())
    with executing(evaluator, workers=2) as execute:
        (there,) = execute(work.items())
    assert there.record.key == here.record.key
    ours, theirs = (one.record.outcomes["torchattacks"] for one in (here, there))
    assert theirs.correct == ours.correct
    assert theirs.log_p == pytest.approx(ours.log_p, rel=1e-3)
    assert there.record.provenance[SURROGATE]["agreement"] == here.record.provenance[SURROGATE]["agreement"]


def v12(records: list[Record]) -> tuple[str, str]:
    (audit,) = audits_of(records)
    (found,) = [one for one in audit.verdicts if one.check == "V12"]
    return found.status, found.evidence


def test_on_images_of_ones_own_plateaus_are_seen_by_the_surrogate_alone(tmp_path: Path) -> None:
    """As many images fall to it as to the gradients of the linear network that is hidden; V12 needs it."""
    entry, data = own(40)
    asked = {"suite": "adaptive", "attacks": ["pgd-linf"], "eps": {"linf": (0.1,), "l2": ()}}
    found = evaluate(entry, data, store=tmp_path / "s.sqlite", progress=False, **asked)  # type: ignore[arg-type]
    assert found.errors == {}
    broken: dict[str, set[int]] = {}
    for one in found.records:
        if one.cell.attack.threat == LINF:
            name = one.cell.attack.source or one.cell.attack.name
            broken[name] = broken.get(name, set()) | one.broken
    x = data.spec.read("own", "test", None, False)[0]
    steps = 0.1 * gradients(Linear(), torch.from_numpy(x)).sign().view(x.shape)
    moved = (torch.from_numpy(x) + steps).clamp(0, 1)
    fallen = set((Linear()(moved).argmax(1) != torch.from_numpy(data.labels)).nonzero()[:, 0].tolist())
    assert len(fallen) > 10
    assert len(broken[SURROGATE] & fallen) >= 0.8 * len(fallen)
    assert len(broken[SURROGATE] - broken["pgd-linf"]) > 10
    assert v12(found.records)[0] == "FAIL"
    without = [one for one in found.records if one.cell.attack.source != SURROGATE]
    assert v12(without)[0] == "OPEN"
    assert "surrogate" in v12(without)[1]
    with Store(tmp_path / "s.sqlite") as store:
        before = {record.key: record for record in store.records()}
    again = evaluate(entry, data, store=tmp_path / "s.sqlite", progress=False, **asked)  # type: ignore[arg-type]
    assert {record.key: record for record in again.records} == before
