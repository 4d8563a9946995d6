"""A cell from end to end, and what happens when a library or its images are broken."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.forecast import effort
from benchmark.evaluation.machine import Machine
from benchmark.plan.cells import Cell
from benchmark.protocol import example_order, standard_attack
from benchmark.records.record import Record
from benchmark.results import Results
from zoo import ZooEntry, models
from zoo.datasets import load_split
from zoo.layers import BayesianLinear
from zoo.seeding import derive_seed
from zoo.targets import Gradient, Schedule

CELL = Cell("mnist/small", "mnist", standard_attack("bim", 0.05), 3, 13, attack_draws=3, judge_draws=5, seed=4)


@pytest.fixture
def evaluator(small_entry: ZooEntry) -> Evaluator:
    return Evaluator()


def test_a_cells_record_is_what_its_definition_says(
    evaluator: Evaluator, small_entry: ZooEntry, untouched_global_state: None
) -> None:
    record = evaluator.evaluate(CELL)
    split = load_split("mnist", "test")
    assert record.examples == list(example_order(10_000)[3:13])
    assert record.labels == split.labels[record.examples].tolist()
    # the judge recomputed from scratch: fresh draws, their own seed
    judge = small_entry.predictor(5, derive_seed("judge", "mnist/small", 4))
    x = torch.from_numpy(split.images[record.examples]).float() / 255
    p = judge.probabilities(x)
    assert record.clean.correct == (p.argmax(1) == torch.tensor(record.labels)).tolist()
    log_p = p[torch.arange(10), torch.tensor(record.labels)].log()
    assert torch.allclose(torch.tensor(record.clean.log_p), log_p, rtol=6e-4)  # four digits are kept
    assert torch.allclose(torch.tensor(record.clean.entropy), -(p * p.log()).sum(1), rtol=6e-4)
    assert torch.allclose(torch.tensor(record.clean.confidence), p.amax(1), rtol=6e-4)
    for outcome in record.outcomes.values():
        assert outcome.error is None
        assert outcome.violations == []
        assert max(outcome.distance) <= 0.05 + 1e-6
        assert sum(outcome.log_p) < sum(record.clean.log_p)
    assert {pair.level for pair in record.agreement} == {"identical"}
    assert record.provenance["packages"]["foolbox"]
    assert record.fingerprints == evaluator.fingerprints(CELL)
    assert record.fingerprints["data"] == split.fingerprint


def test_records_are_reproducible_and_survive_json(evaluator: Evaluator, small_entry: ZooEntry) -> None:
    first, second = evaluator.evaluate(CELL), Evaluator().evaluate(CELL)
    assert first.outcome == second.outcome
    assert Record.from_json(first.to_json()) == first
    with pytest.raises(ValueError, match="schema 99"):
        Record.from_json({**first.to_json(), "schema": 99})


def test_shards_meet_the_same_draws_and_starts(evaluator: Evaluator) -> None:
    cell = dataclasses.replace(CELL, attack=standard_attack("pgd-linf", 0.05))
    whole = evaluator.evaluate(cell)
    part = evaluator.evaluate(dataclasses.replace(cell, start=5, stop=9))
    for library, outcome in part.outcomes.items():
        assert outcome.correct == whole.outcomes[library].correct[2:6]
        assert outcome.log_p == pytest.approx(whole.outcomes[library].log_p[2:6], rel=1e-3)


def test_the_key_follows_what_determines_the_outcome(evaluator: Evaluator) -> None:
    key = evaluator.key(CELL)
    assert evaluator.key(dataclasses.replace(CELL)) == key
    changes = [
        {"attack": standard_attack("bim", 0.06)},
        {"attack": standard_attack("bim", 0.05, Gradient("mean-loss"))},
        {"stop": 14},
        {"libraries": ("art",)},
        {"attack_draws": 4},
        {"judge_draws": 6},
        {"seed": 5},
        {"model": "mnist/lenet"},
    ]
    keys = {evaluator.key(dataclasses.replace(CELL, **change)) for change in changes}
    assert len(keys | {key}) == len(changes) + 1


def test_a_library_that_raises_is_an_error_and_never_a_score(
    small_entry: ZooEntry,
) -> None:
    def broken(*_: object) -> Tensor:
        raise RuntimeError("out of cheese")

    record = Evaluator(adapters={"foolbox": broken}).evaluate(CELL)
    assert record.outcomes["foolbox"].error == "RuntimeError: out of cheese"
    assert record.outcomes["foolbox"].correct == []
    assert not record.complete
    assert [(pair.first, pair.second) for pair in record.agreement] == [("torchattacks", "art")]
    (board,) = Results([record]).boards
    (row,) = board.rows
    assert (row.status, row.rank) == ("ERROR", None)
    (verdict,) = [verdict for verdict in row.verdicts if verdict.status == "ERROR"]
    assert verdict.check == "V2"
    assert "out of cheese" in verdict.evidence


@pytest.mark.parametrize(
    "spoil",
    [
        lambda x: (x + 0.06).clamp(0, 1),  # leaves the ball
        lambda x: x - 0.04,  # leaves the box
        lambda x: x * float("nan"),
    ],
    ids=["budget", "box", "nan"],
)
def test_images_that_break_the_rules_do_not_count_and_fail_the_entry(
    small_entry: ZooEntry, spoil: Callable[[Tensor], Tensor]
) -> None:
    record = Evaluator(adapters={"art": lambda model, x, y, spec, start: spoil(x)}).evaluate(CELL)
    outcome = record.outcomes["art"]
    assert outcome.violations == record.examples
    assert outcome.correct == record.clean.correct
    assert outcome.log_p == pytest.approx(record.clean.log_p, rel=1e-3)
    (board,) = Results([record]).boards
    (row,) = board.rows
    assert (row.status, row.rank) == ("FAIL", None)
    # the other libraries' images still make the worst case, and a clean mistake counts as broken
    assert row.worst.hits == sum(
        a and b and c
        for a, b, c in zip(
            record.clean.correct, *(record.outcomes[lib].correct for lib in ("foolbox", "torchattacks")), strict=True
        )
    )


def test_a_library_that_does_nothing_is_seen_to_disagree() -> None:
    """On mnist/lenet, which BIM breaks on every image."""
    cell = Cell("mnist/lenet", "mnist", standard_attack("bim", 0.3), 0, 100, attack_draws=1, judge_draws=1)
    record = Evaluator(adapters={"torchattacks": lambda model, x, y, spec, start: x}).evaluate(cell)
    assert {(pair.first, pair.second): pair.level for pair in record.agreement} == {
        ("torchattacks", "foolbox"): "disagree",
        ("torchattacks", "art"): "disagree",
        ("foolbox", "art"): "identical",
    }
    assert record.outcomes["torchattacks"].correct == record.clean.correct
    (board,) = Results([record]).boards
    assert board.rows[0].status == "FAIL"
    assert board.rows[0].agreement == {"bim": "disagree"}
    assert board.rows[0].worst.hits == 0


class NanOnDigits(nn.Module):
    """Finite on black, white and noise, as at loading, and not a number on anything like a digit."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    def forward(self, x: Tensor) -> Tensor:
        lit = (x > 0).flatten(1).sum(1, keepdim=True)
        return torch.where((lit > 20) & (lit < 400), torch.nan, self.linear(x))


def test_an_output_that_is_no_number_is_an_error_of_its_cell(small_entry: ZooEntry) -> None:
    models.add(ZooEntry("mnist/nan", "mnist", "frequentist", NanOnDigits, None, small_entry.source))
    record = Evaluator().evaluate(dataclasses.replace(CELL, model="mnist/nan"))
    assert not record.complete
    for outcome in record.outcomes.values():
        assert "NaN or infinite on 10 of 10 images" in str(outcome.error)
    assert Record.from_json(record.to_json()) == record


def test_gradient_targets_reach_the_attack(evaluator: Evaluator) -> None:
    records = {
        target: evaluator.evaluate(dataclasses.replace(CELL, attack=standard_attack("bim", 0.05, Gradient(target))))
        for target in ("expected", "single-draw", "resampled", "mean-weights")
    }
    outcomes = {target: record.outcomes["foolbox"] for target, record in records.items()}
    assert outcomes["single-draw"].backwards == 10
    assert outcomes["expected"].backwards == 30
    assert outcomes["single-draw"].log_p != outcomes["expected"].log_p
    assert outcomes["resampled"].backwards == 10
    assert outcomes["resampled"].log_p != outcomes["single-draw"].log_p
    pairs = {pair.level for target in ("expected", "resampled") for pair in records[target].agreement}
    assert pairs == {"identical"}  # every library meets the same draws in the same order


@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd-linf", "pgd-l2"])
def test_records_are_the_same_with_and_without_sharing(evaluator: Evaluator, name: str) -> None:
    cell = dataclasses.replace(CELL, attack=standard_attack(name, 0.1))
    assert evaluator.evaluate(cell).outcome == Evaluator(Machine(share=False)).evaluate(cell).outcome


@pytest.mark.parametrize("gradient", [Gradient(), Gradient("resampled"), Gradient(schedule=Schedule.FRESH)])
@pytest.mark.parametrize("name", ["fgsm", "pgd-linf"])
def test_the_forecast_counts_the_gradients_that_are_computed(
    evaluator: Evaluator, name: str, gradient: Gradient
) -> None:
    """Libraries at the same images and the same step share a gradient, whichever draws it is of."""
    cell = dataclasses.replace(CELL, attack=standard_attack(name, 0.1, gradient))
    evaluator.evaluate(cell)
    reckoned = effort(cell)
    assert (evaluator.timing["asked"], evaluator.timing["computed"]) == (reckoned.asked, reckoned.calls)


def test_precision_is_the_attackers_alone_and_another_cell(evaluator: Evaluator) -> None:
    rough = dataclasses.replace(CELL, attack=standard_attack("bim", 0.1, Gradient(precision="bfloat16")))
    exact = dataclasses.replace(CELL, attack=standard_attack("bim", 0.1))
    assert evaluator.key(rough) != evaluator.key(exact)
    records = evaluator.evaluate(rough), evaluator.evaluate(exact)
    assert records[0].clean == records[1].clean
    assert records[0].outcomes["art"].log_p != records[1].outcomes["art"].log_p


def test_what_one_shard_shared_is_forgotten_with_the_next(evaluator: Evaluator) -> None:
    """Memory does not grow with the examples: draws stay, gradients and verdicts go."""
    sizes = []
    for start in (0, 10, 20):
        cell = dataclasses.replace(CELL, start=start, stop=start + 10)
        evaluator.evaluate(cell)
        sizes.append([len(kept) for kept in (evaluator._predictors, evaluator._gradients, evaluator._judged_images)])
    assert sizes[1] == sizes[2]
    assert sizes[2][1:] == [1, 1]


@pytest.mark.parametrize(
    ("layers", "randomness", "undefined"),
    [
        ([BayesianLinear(784, 10)], "auto", ()),
        ([nn.Dropout(0.5), nn.Linear(784, 10)], "dropout", ("mean-weights", "propagation")),
        ([BayesianLinear(784, 10), nn.GLU(), nn.Linear(5, 10)], "auto", ("propagation",)),  # no rule for its moments
    ],
)
def test_a_subject_says_which_gradients_there_are(
    layers: list[nn.Module], randomness: str, undefined: tuple[str, ...]
) -> None:
    network = nn.Sequential(nn.Flatten(), *layers)
    entry = ZooEntry("mnist/own", "mnist", "bayesian", lambda: network, None, Path(__file__), randomness=randomness)
    assert Evaluator().subject(entry).undefined == undefined
