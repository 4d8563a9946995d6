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
from benchmark.plan.survival import Survival
from benchmark.records.record import Record
from tests.benchmark.handmade import make, outcome

SUBJECT = Subject("mnist/a-hmc-1", "mnist", 10_000, deterministic=False)
SAMPLES = SUBJECT._replace(members=100, is_sample=True, sources=(("map", "mnist/a-map-1"),))
TWO = Selection(eps={"linf": (0.1, 0.2), "l2": (1.0, 2.0)})


def _ways(subject: Subject) -> dict[tuple[Attacker, Reading], Cell]:
    cells = POSTERIOR_SUITE.cells([subject], TWO)
    linf = [cell for cell in cells if cell.attack.threat.norm == "linf"]
    assert 2 * len(linf) == len(cells)
    ways = {(attacker_of(cell), cell.reading): cell for cell in linf}
    assert len(ways) == len(linf)  # each is told apart from all others
    return ways


def _broken(cell: Cell, count: int) -> Record:
    """Of a cell on images 0 to 9, or on those it says: its attack breaks the first `count` of them."""
    images = list(range(10)) if cell.only is None else list(cell.only)
    right = [place >= count for place in range(len(images))]
    record = make(cell.model, "fgsm", 0.1, dict.fromkeys(cell.libraries, right))
    return dataclasses.replace(record, cell=cell, examples=images, clean=outcome([True] * len(images)))


def test_eps_by_eps_each_attacker_meets_the_images_that_he_has_not_broken() -> None:
    """Four at each eps: three eps are met, and a fourth has no image left."""
    selection = Selection(examples=10)
    cells = POSTERIOR_SUITE.cells([SAMPLES], selection)
    assert {cell.attack.threat.eps for cell in cells} == {eps[0] for eps in EPS["mnist"].values()}
    records: dict[Cell, Record] = {}
    while new := [cell for cell in cells if cell not in records]:
        records |= {cell: _broken(cell, 4) for cell in new}
        cells = POSTERIOR_SUITE.follow_up(records.values(), [SAMPLES], selection)
    of_all = [cell for cell in records if attacker_of(cell) is Attacker.ALL and cell.attack.threat.norm == "linf"]
    met = {(cell.reading, cell.attack.threat.eps): cell.only for cell in of_all}
    assert met == {
        (reading, eps): only
        for reading in (Reading.SAMPLE, Reading.HEADLINE, Reading.OTHER_JUDGE)
        for eps, only in ((0.02, None), (0.05, (4, 5, 6, 7, 8, 9)), (0.1, (8, 9)))
    }
    frame = outcomes_of(records.values(), {SAMPLES.model: Trained("a", "hmc", 1)})
    shown = frame[(frame["attacker"] == "all draws") & (frame["reading"] == "sample") & (frame["norm"] == "linf")]
    assert dict(zip(shown["eps"], shown["each"], strict=True)) == {
        0.02: "0000111111",
        0.05: "0000000011",
        **dict.fromkeys((0.1, 0.15, 0.2, 0.3), "0" * 10),
    }


def test_what_was_stopped_midway_has_the_lines_that_are_known() -> None:
    """And those of images that another network left, which is not there any more, are not taken for its."""
    first, *_ = [
        one for one in POSTERIOR_SUITE.cells([SAMPLES], Selection(examples=10)) if not one.attack.gradient.source
    ]
    network = {SAMPLES.model: Trained("a", "hmc", 1)}
    second = dataclasses.replace(
        first, attack=dataclasses.replace(first.attack, threat=ThreatModel("linf", 0.05)), only=(0, 1)
    )
    frame = outcomes_of([_broken(first, 4), _broken(second, 1)], network)
    assert [(row.eps, row.attacker, row.each) for row in frame.itertuples()] == [
        (0.0, "nobody", "1111111111"),
        (0.02, "all draws", "0000111111"),
    ]


@pytest.mark.parametrize("count", [1, 10, 150])
def test_it_is_expected_to_go_on_with_fewer_images(count: int) -> None:
    selection = Selection(examples=count)
    cells = POSTERIOR_SUITE.cells([SAMPLES], selection)
    expected = POSTERIOR_SUITE.expected_follow_up([SAMPLES], selection, Survival())
    exchanged = sum(cell.reading is Reading.OTHER_JUDGE for cell in cells)
    assert len(expected) == 5 * (len(cells) - exchanged) + 2 * exchanged
    assert all(0 < one.times < 1 for one in expected)


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
        (Attacker.TRANSFER, Reading.HEADLINE): (100, 100),
        (Attacker.MEAN, Reading.HEADLINE): (100, 100),
        (Attacker.ALL, Reading.OTHER_JUDGE): (50, 50),
    }
    odd = _ways(SAMPLES._replace(members=5))
    assert (odd[Attacker.ALL, Reading.SAMPLE].attack_draws, odd[Attacker.ALL, Reading.SAMPLE].judge_draws) == (2, 3)
    exchanged = odd[Attacker.ALL, Reading.OTHER_JUDGE]
    assert (exchanged.attack_draws, exchanged.judge_draws) == (3, 2)


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
        (lambda text: text + text.splitlines()[1] + "\n", "a second line of the same network and attack"),
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
