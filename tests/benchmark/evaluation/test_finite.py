"""A finite posterior is one function: judged by the weighted average of all members, attacked through all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.subjects import subject_of
from benchmark.plan.cells import Cell, Selection
from benchmark.plan.roles import role_of
from benchmark.plan.suites import SUITES
from benchmark.protocol import standard_attack
from benchmark.records.record import Record
from benchmark.results import Results
from zoo import ZooEntry, models
from zoo.catalogue.behaviour import same_behaviour
from zoo.datasets import load_split
from zoo.kind import Kind
from zoo.seeding import forked_random_state

WEIGHTS = (0.5, 3.0, 1.5)


class Ensemble(nn.Module):
    """Three linear networks."""

    def __init__(self, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        with forked_random_state(3):
            self.networks = nn.ModuleList(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)) for _ in range(3))
        if weights is not None:
            self.weights = lambda: weights

    def members(self) -> list[nn.Module]:
        return list(self.networks)

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("its members answer")


def entry(weights: Sequence[float] | None = None) -> ZooEntry:
    return ZooEntry("mnist/members", "mnist", "ensemble", lambda: Ensemble(weights), None, Path(__file__))


def record(of: ZooEntry, attack: str = "pgd-linf", eps: float = 0.1, **changes: object) -> Record:
    with models.with_entries(of):
        cell = Cell(of.name, "mnist", standard_attack(attack, eps), 0, 6, ("foolbox",), 3, 3, finite=True, **changes)
        return Evaluator().evaluate(cell)


def average(network: Ensemble, x: Tensor, weights: Sequence[float]) -> Tensor:
    """The plain weighted average of the members' softmax, in float64."""
    p = torch.stack([member.double()(x.double()).softmax(-1) for member in network.members()])
    return torch.einsum("s,snk->nk", torch.tensor(weights, dtype=torch.float64) / sum(weights), p)


@pytest.mark.parametrize("weights", [None, WEIGHTS, (0.0, 1.0, 0.0)])
def test_the_judge_takes_the_weighted_average_of_all_members_once(weights: Sequence[float] | None) -> None:
    found = record(entry(weights))
    split = load_split("mnist", "test")
    x = torch.from_numpy(split.images[found.examples]).float() / 255
    p = average(Ensemble(), x, weights or (1.0, 1.0, 1.0))
    labels = torch.tensor(found.labels)
    assert found.clean.log_p == pytest.approx(p[torch.arange(6), labels].log().tolist(), rel=1e-3)
    assert found.clean.predicted == p.argmax(1).tolist()
    assert found.clean.correct == found.clean.correct_attacker
    entropy = -(p * p.log()).sum(1)
    assert found.clean.entropy == pytest.approx(entropy.tolist(), rel=1e-3)
    if weights == (0.0, 1.0, 0.0):  # a single network has nothing to be uncertain of
        assert max(found.clean.mutual_information) < 1e-6


def test_other_weights_are_another_behaviour_and_their_unit_is_none() -> None:
    """Weights are in no tensor of the network: without this, results of other weights would be taken again."""
    alike, weighted, doubled = (entry(w).behaviour() for w in (None, WEIGHTS, [2 * w for w in WEIGHTS]))
    assert same_behaviour(weighted, doubled)
    assert not same_behaviour(weighted, alike)
    assert same_behaviour(alike, entry((1, 1, 1)).behaviour())


def test_an_attack_on_the_average_is_exact() -> None:
    """FGSM's image is the one that the gradient of the weighted average gives, by autograd in float64."""
    found = record(entry(WEIGHTS), "fgsm")
    outcome = found.outcomes["foolbox"]
    assert (outcome.forwards, outcome.backwards) == (3, 3)
    split = load_split("mnist", "test")
    x = (torch.from_numpy(split.images[found.examples]).double() / 255).requires_grad_()
    labels, network = torch.tensor(found.labels), Ensemble()
    loss = -average(network, x, WEIGHTS)[torch.arange(6), labels].log().sum()
    (gradient,) = torch.autograd.grad(loss, x)
    adversarial = (x + 0.1 * gradient.sign()).clamp(0, 1).detach()
    log_p = average(network, adversarial, WEIGHTS)[torch.arange(6), labels].log()
    assert outcome.log_p == pytest.approx(log_p.tolist(), rel=1e-3)


def test_suites_attack_all_members_and_the_result_is_on_the_protocols_terms() -> None:
    subject = subject_of(entry(), load_split("mnist", "test"), "cpu")
    assert (subject.kind, subject.members, subject.draws()) == (Kind.FINITE, 3, (3, 3))
    cells = SUITES["adaptive"].cells([subject], Selection())
    white_box = [cell for cell in cells if role_of(cell).is_white_box]
    assert {(cell.attack_draws, cell.judge_draws, cell.finite) for cell in cells} == {(3, 3, True), (1, 3, True)}
    assert all(role_of(cell).board for cell in white_box)
    assert "doubled draws" not in {role_of(cell).adaptive for cell in cells if role_of(cell).adaptive}
    assert {cell.attack_draws for cell in SUITES["whitebox"].cells([subject], Selection(draws=50))} == {3}


def test_enough_draws_is_no_question_where_all_members_are_attacked() -> None:
    (_, verdict) = next(
        (v.status, v.evidence)
        for v in Results([record(entry()), record(entry(), eps=0.0, only=None)]).entry().audits["linf"].verdicts
        if v.check == "V14"
    )
    assert verdict == "does not apply: attacked through all 3 members, which are all that is judged"


@pytest.mark.parametrize("weights", [(1.0, 2.0), (1.0, -1.0, 1.0), (0.0, 0.0, 0.0), (float("nan"), 1.0, 1.0)])
def test_weights_that_are_none_are_refused(weights: Sequence[float]) -> None:
    with pytest.raises(ValueError, match=r"weights\(\) gave .* for 3 members: give one number >= 0 for each"):
        subject_of(entry(weights), load_split("mnist", "test"), "cpu")


def test_a_cell_of_another_kind_keeps_the_key_that_it_had() -> None:
    cell = Cell("mnist/a", "mnist", standard_attack("fgsm", 0.1), 0, 6)
    assert "finite" not in cell.to_json()
    assert Cell.from_json(cell.to_json()) == cell
    finite = Cell("mnist/a", "mnist", standard_attack("fgsm", 0.1), 0, 6, attack_draws=5, judge_draws=5, finite=True)
    assert Cell.from_json(finite.to_json()) == finite
    assert finite.kind is Kind.FINITE
