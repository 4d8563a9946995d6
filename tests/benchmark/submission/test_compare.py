"""The rule that judges how a record differs from that of running its cell again, and what the sample lets escape."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.cells import Cell
from benchmark.protocol import usual_attack
from benchmark.records.outcome import Outcome
from benchmark.records.record import Record
from benchmark.submission.compare import Again, Alive, Difference, compared, judged
from benchmark.submission.sample import escape_probability, fresh_seed, sample_size, sampled
from tests.benchmark.handmade import make

COUNT = 200


def outcome(margins: list[float], distances: list[float] | None = None) -> Outcome:
    """Of two classes, from how much likelier the right label is than the wrong one, in nats."""
    p = [1 / (1 + math.exp(-margin)) for margin in margins]
    return Outcome(
        correct=[margin > 0 for margin in margins],
        correct_attacker=[margin > 0 for margin in margins],
        predicted=[0 if margin > 0 else 1 for margin in margins],
        log_p=[math.log(one) for one in p],
        entropy=[0.5] * len(margins),
        confidence=[max(one, 1 - one) for one in p],
        distance=distances or [0.1] * len(margins),
        forwards=8,
        backwards=8,
    )


def record(margins: list[float], attack: str = "fgsm", distances: list[float] | None = None) -> Record:
    made = make("mnist/lenet", "fgsm", 0.1, {"foolbox": [True] * len(margins)}, clean=outcome([2.0] * len(margins)))
    eps = {"hopskipjump-linf": 1.0, "fmn-linf": 1.0}.get(attack, 0.1)
    cell = Cell("mnist/lenet", "mnist", usual_attack(attack, eps), 0, len(margins), ("foolbox",))
    return dataclasses.replace(made, cell=cell, outcomes={"foolbox": outcome(margins, distances)}, agreement=[])


def margins(*first: float) -> list[float]:
    return [*first, *[1.0] * (COUNT - len(first))]


def refusals(submitted: Record, here: Record, alive: Alive | None = None) -> list[str]:
    return [finding.says for finding in judged([compared(submitted, here, alive or {})])]


def test_the_same_outcomes_are_accepted_and_so_are_a_few_borderline_ones_both_ways() -> None:
    assert refusals(record(margins()), record(margins())) == []
    again = compared(record(margins(0.01, -0.02)), record(margins(-0.02, 0.01)), {})
    assert [one.survives for one in again.differences] == [True, False]
    assert [one.margin for one in again.differences] == pytest.approx([0.02, 0.02])
    assert list(judged([again])) == []


def test_a_verdict_that_no_rounding_changes_is_refused_with_its_margin() -> None:
    (says,) = refusals(record(margins(0.5)), record(margins(-0.3)))
    assert "image 0 survives in the record and is broken here, by 0.3: no rounding" in says
    (says,) = refusals(record(margins(-0.3)), record(margins(0.5)))
    assert "image 0 is broken in the record and survives here" in says


def test_of_attacks_without_gradients_any_margin_may_come_of_a_rounding() -> None:
    square = record(margins(0.5), "square-linf"), record(margins(-0.3), "square-linf")
    assert refusals(*square) == []
    (says,) = refusals(*square, {ThreatModel("linf", 0.1): {0}})  # where it lowers the row it may not
    assert "image 0 survives in the record and is broken here, by 0.3: no rounding" in says


def test_more_than_one_in_a_hundred_is_refused_however_borderline() -> None:
    found = refusals(record(margins(0.01, 0.01, -0.01)), record(margins(-0.01, -0.01, 0.01)))
    assert found == ["3 of 200 verdicts differ, more than 1 %"]


def test_borderline_verdicts_must_not_lean_to_the_submitter() -> None:
    def cell(number: int, survives: bool) -> Again:
        one = Difference(f"cell {number}", "foolbox", number, survives, 0.01, chaotic=False)
        return Again(f"cell {number}", COUNT, [one], [])

    assert list(judged([cell(number, number % 2 == 0) for number in range(8)])) == []
    (finding,) = judged([cell(number, True) for number in range(8)])
    assert finding.says == "of 8 verdicts that differ 8 are in favour of the submission"


def test_of_the_nearest_images_each_eps_is_a_verdict() -> None:
    """MNIST has 0.1 and 0.3; distances are compared with both, and borderline is within 5 % of one."""
    near, far = [0.0995, *[0.2] * (COUNT - 1)], [0.1005, *[0.2] * (COUNT - 1)]
    broken = [-1.0] * COUNT
    again = compared(record(broken, "fmn-linf", near), record(broken, "fmn-linf", far), {})
    assert (again.verdicts, [one.by for one in again.differences]) == (2 * COUNT, ["eps 0.1"])
    assert list(judged([again])) == []
    (says,) = refusals(record(broken, "fmn-linf", [0.12, *near[1:]]), record(broken, "fmn-linf", [0.08, *near[1:]]))
    assert "no rounding" in says


CHANGES: dict[str, tuple[Callable[[Record], Record], str]] = {
    "labels": (lambda one: dataclasses.replace(one, labels=[1] * COUNT), "other images or labels"),
    "clean": (
        lambda one: dataclasses.replace(one, clean=outcome([2.0] * (COUNT - 1) + [-2.0])),
        f"image {COUNT - 1} as it is has log p",
    ),
    "numbers": (
        lambda one: dataclasses.replace(one, outcomes={"foolbox": outcome([3.0] * COUNT)}),
        "foolbox: log_p differs by",
    ),
    "distances": (
        lambda one: dataclasses.replace(one, outcomes={"foolbox": outcome(margins(), [0.05] * COUNT)}),
        "foolbox: distances differ by",
    ),
    "passes": (
        lambda one: dataclasses.replace(
            one, outcomes={"foolbox": dataclasses.replace(one.outcomes["foolbox"], backwards=800)}
        ),
        "foolbox: 800 backwards a draw and image, here 8",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_numbers_are_refused(change: str) -> None:
    changed, message = CHANGES[change]
    honest = record(margins())
    assert message in refusals(changed(honest), honest)[0]


def test_a_library_that_fails_here_is_said() -> None:
    failed = dataclasses.replace(record(margins()), outcomes={"foolbox": Outcome(error="it rained")})
    assert "a library failed here: foolbox: it rained" in refusals(record(margins()), failed)[0]


def test_the_sample_is_a_tenth_and_the_same_for_the_same_seed() -> None:
    cells = list(range(142))
    assert (sample_size(142), sample_size(3), sample_size(0)) == (15, 1, 0)
    assert sampled(cells, 5) == sampled(cells, 5) != sampled(cells, 6)
    assert len(set(sampled(cells, 5))) == 15
    assert fresh_seed() != fresh_seed()


@pytest.mark.parametrize(("count", "forged"), [(42, 1), (42, 5), (30, 9)])
def test_the_probability_to_escape_is_the_share_of_samples_that_miss(count: int, forged: int) -> None:
    drawn = sample_size(count)
    missed = np.mean([min(sampled(range(count), seed)) >= forged for seed in range(4000)])
    expected = escape_probability(count, forged, drawn)
    assert missed == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 4000))
    assert escape_probability(count, count, drawn) == 0
