"""Which attackers meet which posterior, and the table of what they broke."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.papers.posteriors.outcomes import FILE, Outcomes, Trained, outcomes_of, read_outcomes, write_outcomes
from benchmark.papers.posteriors.suite import EPS, POSTERIOR_SUITE, Attacker, attacker_of
from benchmark.plan.cells import Cell, Reading, Selection, Subject
from benchmark.records.record import Record
from tests.benchmark.handmade import make, outcome

SUBJECT = Subject("mnist/a-hmc-1", "mnist", 10_000, deterministic=False)
SAMPLES = SUBJECT._replace(members=100, is_sample=True, sources=(("map", "mnist/a-map-1"),))
ONE = Selection(eps={"linf": (0.1,), "l2": ()})


def _ways(subject: Subject) -> dict[tuple[Attacker, Reading], Cell]:
    cells = POSTERIOR_SUITE.cells([subject], dataclasses.replace(ONE, eps={"linf": (0.1,), "l2": (1.0,)}))
    linf = [cell for cell in cells if cell.attack.threat.norm == "linf"]
    assert 2 * len(linf) == len(cells)
    ways = {(attacker_of(cell), cell.reading): cell for cell in linf}
    assert len(ways) == len(linf)  # each is told apart from all others
    return ways


def test_six_eps_in_each_norm() -> None:
    cells = POSTERIOR_SUITE.cells([SAMPLES], Selection())
    for norm, eps in EPS["mnist"].items():
        assert {cell.attack.threat.eps for cell in cells if cell.attack.threat.norm == norm} == set(eps)
        assert len(eps) == 6


def test_samples_are_attacked_by_half_and_judged_by_the_others_or_attacked_and_judged_by_all() -> None:
    ways = _ways(SAMPLES)
    assert {(one, reading): (cell.attack_draws, cell.judge_draws) for (one, reading), cell in ways.items()} == {
        (Attacker.ALL, Reading.SAMPLE): (50, 50),
        (Attacker.TRANSFER, Reading.SAMPLE): (50, 50),
        (Attacker.FRESH, Reading.SAMPLE): (32, 50),
        (Attacker.FROZEN, Reading.SAMPLE): (8, 50),
        (Attacker.SINGLE, Reading.SAMPLE): (1, 50),
        (Attacker.MEAN, Reading.SAMPLE): (50, 50),
        (Attacker.ALL, Reading.HEADLINE): (100, 100),
    }


def test_what_is_drawn_from_is_judged_by_other_draws_or_by_the_attackers_own() -> None:
    ways = _ways(SUBJECT._replace(undefined=("mean-weights",)))
    assert {(one, reading): (cell.attack_draws, cell.judge_draws) for (one, reading), cell in ways.items()} == {
        (Attacker.ALL, Reading.HEADLINE): (64, 64),
        (Attacker.FRESH, Reading.HEADLINE): (32, 64),
        (Attacker.FROZEN, Reading.HEADLINE): (8, 64),
        (Attacker.SINGLE, Reading.HEADLINE): (1, 64),
        (Attacker.ALL, Reading.DETERMINISTIC): (64, 64),
    }


def test_one_network_and_an_ensemble_are_what_they_are() -> None:
    assert set(_ways(SUBJECT._replace(deterministic=True))) == {(Attacker.ALL, Reading.HEADLINE)}
    ensemble = _ways(SUBJECT._replace(members=10))
    assert set(ensemble) == {(one, Reading.HEADLINE) for one in (Attacker.ALL, Attacker.SINGLE, Attacker.MEAN)}
    few = _ways(SAMPLES._replace(members=10, sources=()))
    assert (Attacker.FRESH, Reading.SAMPLE) not in few  # of so few none are fresh


def _record(subject: Subject, attacker: Attacker, right: list[bool], clean: list[bool] | None = None) -> Record:
    cell = _ways(subject)[attacker, Reading.SAMPLE]
    record = make(subject.model, "fgsm", 0.1, dict.fromkeys(cell.libraries, right))
    return dataclasses.replace(
        record, cell=cell, examples=list(range(len(right))), clean=outcome(clean or [True] * len(right))
    )


TRAININGS = {f"mnist/a-hmc-{i}": Trained("a", "hmc", i) for i in (1, 2)}


def test_an_image_survives_what_no_attacker_breaks(tmp_path: Path) -> None:
    second = SAMPLES._replace(model="mnist/a-hmc-2")
    frame = outcomes_of(
        [
            _record(SAMPLES, Attacker.ALL, [True, True, False, True], [True, False, True, True]),
            _record(SAMPLES, Attacker.TRANSFER, [True, True, True, False]),
            _record(SAMPLES, Attacker.SINGLE, [True, True, True, True]),
            _record(second, Attacker.ALL, [False, True, True, True]),
        ],
        TRAININGS,
    )
    write_outcomes(frame, tmp_path)
    found = Outcomes(read_outcomes(tmp_path))
    asked = ("a", "hmc", ThreatModel("linf", 0.1), Reading.SAMPLE)
    np.testing.assert_array_equal(found.survivors(*asked), [[1, 0, 0, 0], [0, 1, 1, 1]])
    np.testing.assert_array_equal(found.survivors(*asked, [Attacker.SINGLE]), [[1, 1, 1, 1]])
    assert found.survivors("a", "swag", *asked[2:]).shape == (0, 0)
    assert found.threats("a", "linf") == [ThreatModel("linf", 0.1)]


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (lambda text: text.replace(",survive,", ",gone,", 1), "lacks survive"),
        (lambda text: text.replace(",1101,", ",1111,"), "line 2: outcomes that do not add up"),
        (lambda text: text.replace(",1101,", ",110,"), "line 2: outcomes that do not add up"),
    ],
)
def test_a_table_that_was_changed_is_not_read(tmp_path: Path, spoilt: object, message: str) -> None:
    write_outcomes(outcomes_of([_record(SAMPLES, Attacker.ALL, [True, True, False, True])], TRAININGS), tmp_path)
    path = tmp_path / FILE
    changed = spoilt(path.read_text())  # type: ignore[operator]
    assert changed != path.read_text()
    path.write_text(changed)
    with pytest.raises(ValueError, match=message):
        read_outcomes(tmp_path)
