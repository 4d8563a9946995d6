"""The suite of bounds on real networks: of the draws that judge, resumed, exact where a network is linear."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmark import evaluate
from benchmark.evaluation.evaluator import Evaluator
from benchmark.plan.cells import Reading, Selection
from benchmark.plan.purposes import draws_seed
from benchmark.plan.suites import SUITES
from benchmark.records.store import Store
from zoo import models
from zoo.bounds import certified
from zoo.datasets import load_split
from zoo.seeding import private_generator

EPS = {"linf": [0.004, 0.008, 0.016], "l2": [0.1, 0.2]}


def linear(seed: int = 0, classes: int = 10) -> nn.Module:
    """Least squares of noisy pixels: better than chance, and nowhere near robust."""
    split = load_split("mnist", "test")
    generator = private_generator("linear", seed)
    x = split.pixels(list(range(2000))).flatten(1)
    x = x + 0.3 * torch.randn(x.shape, generator=generator)
    y = nn.functional.one_hot(torch.from_numpy(split.labels[:2000]).long(), classes).float()
    weight = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], 1), y).solution.T * 20
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, classes))
    with torch.no_grad():
        network[1].weight.copy_(weight[:, :-1])
        network[1].bias.copy_(weight[:, -1])
    return network.eval()


def test_a_linear_network_is_certified_where_attacks_fail_and_nowhere_else() -> None:
    """In linf exactly; in l2 40 steps of PGD may end a little before the optimum."""
    results = evaluate(linear(), "mnist", family="frequentist", suite="certify", examples=60, eps=EPS)
    assert not results.errors
    for one in results.bounds:
        for eps in one.tried:
            below, above = one.below(eps).hits, one.above(eps).hits
            assert below == above if one.norm == "linf" else 0 <= above - below <= 1, (one.norm, eps)
        assert one.below(one.tried[-1]).hits < one.below(one.tried[0]).hits  # both answers were asked for
        assert not one.crossed
    assert not results.boards
    assert results.entries == []


@pytest.mark.parametrize(("name", "draws"), [("mnist/bayesian-mlp-50", 64), ("mnist/hmc-mlp", 100)])
def test_bounds_are_of_the_very_draws_that_judge(name: str, draws: int) -> None:
    """The average of these draws is what the judge answers, and their bounds are those in the record."""
    evaluator = Evaluator()
    subject = evaluator.subject(models[name])
    (cell,) = SUITES["certify"].cells([subject], Selection(examples=2, eps={"linf": (0.01,), "l2": (0.0,)}))
    record = evaluator.evaluate(cell)
    assert (cell.reading, cell.attack_draws, cell.judge_draws) == (Reading.CERTIFIED, draws, draws)
    assert (record.complete, record.outcomes, record.health) == (True, {}, None)
    entry, split = models[name], load_split("mnist", "test")
    seed = draws_seed(entry.name, "judge", 0)
    x, y = split.pixels(record.examples), torch.tensor(record.labels)
    _, posterior = entry.load()
    networks = posterior.draws(draws, seed)
    with torch.no_grad():
        answers = torch.stack([network(x).log_softmax(-1) for network in networks]).logsumexp(0) - math.log(draws)
    assert record.clean.log_p == pytest.approx(answers.gather(1, y[:, None])[:, 0].tolist(), abs=1e-4)
    assert record.certificate is not None
    leads = certified(networks, x, y, 0.01, "linf").tolist()
    assert record.certificate.leads == pytest.approx(leads, abs=2e-6)
    assert all(written <= lead for written, lead in zip(record.certificate.leads, leads, strict=True))


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    how = {"family": "frequentist", "suite": "certify", "examples": 4, "eps": {"linf": [0.004, 0.008], "l2": [0.1]}}
    whole = evaluate(linear(), "mnist", **how)
    first = evaluate(linear(), "mnist", store=tmp_path / "r.sqlite", **how)
    with Store(tmp_path / "r.sqlite") as store:
        stored = {record.key: record.outcome for record in store.records()}
    again = evaluate(linear(), "mnist", store=tmp_path / "r.sqlite", **how)
    outcomes = {record.key: record.outcome for record in whole.records}
    assert {record.key: record.outcome for record in first.records} == outcomes
    assert {record.key: record.outcome for record in again.records} == outcomes == stored


def test_a_layer_without_a_rule_is_named(tmp_path: Path) -> None:
    odd = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Hardshrink())
    with pytest.raises(ValueError, match="no bounds of mnist/Sequential"):
        evaluate(odd, "mnist", family="frequentist", suite="certify", examples=4)
