"""Every reading of a random network against what it says, computed by hand from the posterior's own draws."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.machine import Machine
from benchmark.plan.cells import Cell, Reading
from benchmark.protocol import example_order, standard_attack
from benchmark.records.outcome import Outcome
from benchmark.records.record import Record
from zoo import ZooEntry, models
from zoo.catalogue.registry import source_of
from zoo.datasets import load_split
from zoo.layers import BayesianLinear
from zoo.posteriors import MeanFieldPosterior, MemberPosterior, SampledNetwork, posterior_of
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import derive_seed, forked_random_state
from zoo.targets import Gradient, Schedule

COUNT = 20


def wide() -> nn.Module:
    with forked_random_state(11):
        return nn.Sequential(nn.Flatten(), BayesianLinear(784, 10, rho=-3.0))


class Samples(nn.Module):
    """Five linear networks that are Monte-Carlo samples."""

    is_sample = True

    def __init__(self) -> None:
        super().__init__()
        with forked_random_state(12):
            self.networks = nn.ModuleList(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)) for _ in range(5))

    def members(self) -> list[nn.Module]:
        return list(self.networks)


WIDE = ZooEntry("mnist/wide", "mnist", "bayesian", wide, None, source_of(wide))
SAMPLES = ZooEntry("mnist/samples", "mnist", "bayesian", Samples, None, source_of(Samples))
CELL = Cell("mnist/wide", "mnist", standard_attack("pgd-linf", 0.05), 0, COUNT, ("foolbox",), 3, 7)


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return Evaluator(Machine(), entries={entry.name: entry for entry in (WIDE, SAMPLES)})


def images() -> tuple[Tensor, Tensor]:
    split = load_split("mnist", "test")
    first = list(example_order(len(split))[:COUNT])
    return torch.from_numpy(split.images[first]).float() / 255, torch.from_numpy(split.labels[first])


def run(evaluator: Evaluator, **changes: object) -> tuple[Record, Outcome]:
    record = evaluator.evaluate(dataclasses.replace(CELL, **changes))
    (outcome,) = record.outcomes.values()
    assert outcome.error is None
    return record, outcome


def log_p(networks: list[nn.Module]) -> Tensor:
    """(N,) log-probability of the right label under the average of some networks, in float64."""
    x, y = images()
    with torch.no_grad():
        p = torch.stack([network.double()(x.double()).softmax(-1) for network in networks]).mean(0)
    return p[torch.arange(COUNT), y].log()


def judged_alike(found: list[float], expected: Tensor) -> bool:
    return bool(torch.allclose(torch.tensor(found, dtype=torch.float64), expected, rtol=1e-3, atol=1e-5))


def drawn(purpose: str, count: int) -> list[nn.Module]:
    return MeanFieldPosterior(wide()).draws(count, derive_seed(purpose, WIDE.name, 0))


@pytest.mark.parametrize(
    ("reading", "purpose"),
    [(Reading.HEADLINE, "judge"), (Reading.DETERMINISTIC, "judge"), (Reading.OTHER_JUDGE, "other judge")],
)
def test_each_reading_has_its_own_judge(evaluator: Evaluator, reading: Reading, purpose: str) -> None:
    changes = {"attack_draws": 7} if reading is Reading.DETERMINISTIC else {}
    record, _ = run(evaluator, reading=reading, **changes)
    assert judged_alike(record.clean.log_p, log_p(drawn(purpose, 7)))


def test_who_knows_the_judges_draws_attacks_these_very_draws(evaluator: Evaluator) -> None:
    """His images are those of an attack on the judge's prediction, and his draws say what the judge says."""
    _, known = run(evaluator, reading=Reading.DETERMINISTIC, attack_draws=7)
    _, unknown = run(evaluator, attack_draws=7)
    assert known.correct == known.correct_attacker
    assert sum(known.log_p) < sum(unknown.log_p)  # the label's probability under the judge
    assert unknown.log_p != known.log_p


def test_of_samples_the_first_half_is_attacked_and_the_others_judge(evaluator: Evaluator) -> None:
    half = {"model": SAMPLES.name, "finite": True, "reading": Reading.SAMPLE, "attack_draws": 2, "judge_draws": 3}
    record, outcome = run(evaluator, **half)
    members = Samples().members()
    assert judged_alike(record.clean.log_p, log_p(members[2:]))
    attacker = ExpectedPrediction(Samples().members()[:2])
    x, _ = images()
    assert record.clean.correct_attacker == (attacker(x).argmax(1) == images()[1]).tolist()
    again, fresh = run(evaluator, **half, attack=fresh_attack("pgd-linf"))
    assert fresh.log_p == outcome.log_p  # of all that he has there are no others
    assert again.cell.attack.gradient.is_fresh
    few = {**half, "attack_draws": 1}
    assert run(evaluator, **few)[1].log_p != run(evaluator, **few, attack=fresh_attack("pgd-linf"))[1].log_p


def fresh_attack(name: str) -> object:
    return standard_attack(name, 0.05, Gradient(schedule=Schedule.FRESH))


def test_halves_keep_members_in_their_order_with_their_weights() -> None:
    members = Samples().members()
    posterior = MemberPosterior(lambda: members, None, lambda: [1, 2, 3, 4, 5], True)
    first, second = posterior.half(0), posterior.half(1)
    assert (first.draws(9, 0), first.weights(9, 0)) == (members[:2], [1, 2])
    assert (second.draws(9, 0), second.weights(9, 0)) == (members[2:], [3, 4, 5])
    assert first.is_sample
    assert first.mean is None
    with pytest.raises(ValueError, match="no halves"):
        MemberPosterior(lambda: members[:1]).half(0)
    with pytest.raises(ValueError, match="mnist/wide has no members that could be halved"):
        WIDE.predictor(2, 0, half=0)


def test_half_of_the_samples_knows_nothing_of_the_other_half() -> None:
    """Neither its draws nor its mean, from which an attacker would learn of the judge's draws."""
    x, _ = images()
    template = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    values = [0.0, 1.0, 10.0, 30.0]
    states = [{"1.weight": torch.full((10, 784), v), "1.bias": torch.arange(10.0) * v} for v in values]
    for weights, means in ((None, (0.5, 20.0)), ([1, 3, 1, 1], (0.75, 20.0))):
        network = SampledNetwork.of(template, states, weights)
        posterior = posterior_of(network)
        assert isinstance(posterior, MemberPosterior)
        for which, mean in enumerate(means):
            half = posterior.half(which)
            assert half.mean is not None
            assert torch.allclose(half.mean().state_dict()["1.weight"], torch.tensor(mean))
            entry = dataclasses.replace(SAMPLES, name="mnist/halved", factory=lambda network=network: network)
            attacked = entry.predictor(2, 0, Gradient("mean-weights"), half=which)
            assert torch.allclose(attacked(x).exp(), half.mean()(x).softmax(-1), atol=1e-6)
        whole = posterior.mean
        assert whole is not None
        assert torch.equal(whole().state_dict()["1.weight"], network.mean().state_dict()["1.weight"])


def test_votes_are_those_of_the_judges_draws_one_by_one(evaluator: Evaluator) -> None:
    record, _ = run(evaluator)
    x, y = images()
    with torch.no_grad():
        labels = torch.stack([network(x).argmax(1) for network in drawn("judge", 7)])
    assert record.clean.right_draws == (labels == y).sum(0).tolist()
    votes = torch.stack([column.bincount(minlength=10) for column in labels.T]).double()
    votes[torch.arange(COUNT), y] -= 0.5  # of a tie a wrong label counts
    assert record.clean.majority == votes.argmax(1).tolist()
    assert sum(right not in (0, 7) for right in record.clean.right_draws) > 0  # draws differ
    again = Record.from_json(record.to_json())
    assert again == record


def test_records_without_draws_have_no_votes() -> None:
    cell = Cell("mnist/logistic", "mnist", standard_attack("fgsm", 0.1), 0, 5, ("art",), 1, 1)
    record = Evaluator(Machine(), entries={"mnist/logistic": models["mnist/logistic"]}).evaluate(cell)
    assert {"right_draws", "majority"}.isdisjoint(record.to_json()["clean"])
    assert Record.from_json(record.to_json()) == record


def test_draws_that_are_drawn_again_in_place_are_those_that_would_be_built() -> None:
    posterior = MeanFieldPosterior(wide())
    networks = posterior.draws(3, 1)
    before = [network[1].weight.clone() for network in networks]
    posterior.redraw(networks, 2)
    for network, built, old in zip(networks, posterior.draws(3, 2), before, strict=True):
        assert torch.equal(network[1].weight, built[1].weight)
        assert torch.equal(network[1].bias, built[1].bias)
        assert not torch.equal(network[1].weight, old)


@pytest.mark.parametrize("stack", [True, False])
def test_fresh_draws_of_weighted_members_have_their_own_weights(stack: bool) -> None:
    """Two of three members at each step: the average of a step is weighted by the weights of its two."""
    members = Samples().members()[:3]
    weights = [1.0, 2.0, 5.0]
    posterior = MemberPosterior(lambda: members, None, lambda: weights)
    gradient = Gradient(schedule=Schedule.FRESH)
    prediction = ExpectedPrediction.of(nn.Identity(), 2, 4, gradient, posterior=posterior, stack=stack)
    x, y = images()
    chosen = set()
    for step in (1, 2, 3, 4, 5, 1):
        output, _ = prediction.value_and_gradient(x, y, step)
        seed = derive_seed(4, "step", step)
        pair, counts = posterior.draws(2, seed), posterior.weights(2, seed)
        assert counts is not None
        p = sum(w * network(x).softmax(-1) for w, network in zip(counts, pair, strict=True)) / sum(counts)
        assert torch.allclose(output.exp(), p, atol=1e-6)
        chosen.add(tuple(counts))
    assert len(chosen) > 1


def test_predictors_that_were_not_used_for_long_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 draws of a large network in every reading would not fit into memory; results are the same without them."""
    readings = (Reading.HEADLINE, Reading.OTHER_JUDGE, Reading.DETERMINISTIC)
    cells = [
        dataclasses.replace(CELL, reading=one, attack_draws=7 if one is Reading.DETERMINISTIC else 3)
        for one in readings
    ]
    large = Evaluator(Machine(), entries={WIDE.name: WIDE})
    expected = [large.evaluate(cell).outcome for cell in cells * 2]
    monkeypatch.setattr("benchmark.evaluation.predictors.KEPT_BYTES", 10 * 7850 * 4)  # of an attacker and a judge
    small = Evaluator(Machine(), entries={WIDE.name: WIDE})
    assert [small.evaluate(cell).outcome for cell in cells * 2] == expected
    assert sum(one.draws for one in small._predictors.values()) <= 10 < sum(o.draws for o in large._predictors.values())


def test_what_a_cell_uses_stays_whatever_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 draws of a ResNet-18 alone are more than is kept: made anew for each cell, they cost more than its attack."""
    monkeypatch.setattr("benchmark.evaluation.predictors.KEPT_BYTES", 1)
    evaluator = Evaluator(Machine(), entries={WIDE.name: WIDE})
    evaluator.evaluate(CELL)
    first = list(evaluator._predictors.values())
    evaluator.evaluate(dataclasses.replace(CELL, attack=standard_attack("fgsm", 0.05)))
    assert len(first) == 2
    assert {id(one) for one in evaluator._predictors.values()} == {id(one) for one in first}
