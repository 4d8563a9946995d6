"""Rows and boards from hand-made records: worst cases, common images, and what has no place on a board."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.protocol import LIBRARIES, PROTOCOL_VERSION, standard_attack, usual_attack
from benchmark.records.record import Record
from benchmark.results import Results
from benchmark.results.configuration import without_subsumed
from benchmark.results.ranking import paired_tests
from benchmark.results.selection import sifted
from tests.benchmark.handmade import make, outcome


def test_the_worst_case_is_taken_per_example_and_not_over_averages() -> None:
    """Each attack and library breaks another image: every average is 75 %, the worst case 25 %."""
    records = [
        make("mnist/a", "fgsm", 0.1, {"foolbox": [False, True, True, True], "art": [True, True, True, True]}),
        make("mnist/a", "bim", 0.1, {"foolbox": [True, False, True, True], "art": [True, True, False, True]}),
    ]
    (board,) = Results(records).boards
    (row,) = board.rows
    assert row.worst.value == 0.25
    assert row.attacks["fgsm"].value == 0.75
    assert row.attacks["bim"].value == 0.5
    assert row.clean.value == 1
    assert row.survivors == {0: False, 1: False, 2: False, 3: True}
    assert row.passes == (16, 16)


def test_uncertainty_is_that_of_the_most_harmful_image() -> None:
    record = make("mnist/a", "fgsm", 0.1, {"foolbox": [True, True], "art": [True, True]})
    record.outcomes["foolbox"].log_p[:] = [-1.0, -3.0]
    record.outcomes["art"].log_p[:] = [-2.0, -1.0]
    (board,) = Results([record]).boards
    assert board.rows[0].uncertainty.nll == pytest.approx(2.5)
    assert board.rows[0].clean_uncertainty.nll == pytest.approx(0.1)
    assert board.rows[0].uncertainty.ece == pytest.approx(0.2)


def test_ranks_are_shared_and_paired_tests_use_common_images() -> None:
    strong, weak, weaker = [True] * 90 + [False] * 10, [True] * 20 + [False] * 80, [True] * 15 + [False] * 85
    records = [
        make(f"mnist/{name}", "pgd-l2", 1.0, {"foolbox": survived})
        for name, survived in (("weaker", weaker), ("strong", strong), ("weak", weak))
    ]
    (board,) = Results(records).boards
    assert [(row.configuration.model, row.rank) for row in board.rows] == [
        ("mnist/strong", 1), ("mnist/weak", 2), ("mnist/weaker", 2),
    ]  # fmt: skip
    tests = {
        (pair.first.configuration.model, pair.second.configuration.model): pair for pair in paired_tests(board.rows)
    }
    apart, alike = tests["mnist/strong", "mnist/weak"], tests["mnist/weak", "mnist/weaker"]
    assert (apart.only_first, apart.only_second, apart.count) == (70, 0, 100)
    assert apart.p == pytest.approx(2 / 2**70)
    assert apart.p < apart.corrected < 1e-15
    assert apart.better is apart.first
    assert (alike.only_first, alike.only_second, alike.better) == (5, 0, None)
    assert apart.needed is not None
    assert alike.needed is not None
    assert apart.needed < 100 < alike.needed


def test_only_images_that_met_every_attack_count() -> None:
    records = [
        make("mnist/a", "fgsm", 0.1, {"foolbox": [True] * 10}),
        make("mnist/a", "bim", 0.1, {"foolbox": [True] * 4}),
    ]
    (board,) = Results(records).boards
    assert board.rows[0].worst.count == board.rows[0].clean.count == 4


def test_a_part_of_another_record_does_not_count_twice() -> None:
    part = make("mnist/a", "fgsm", 0.1, {"foolbox": [False] * 2}, finished="2")
    whole = make("mnist/a", "fgsm", 0.1, {"foolbox": [True] * 4, "art": [True] * 4}, finished="1")
    again = dataclasses.replace(whole, key="again", provenance={"finished": "3", "protocol": PROTOCOL_VERSION})
    other = make("mnist/a", "fgsm", 0.1, {"foolbox": [True] * 2}, start=4)
    assert {r.key for r in without_subsumed([part, whole, again, other])} == {"again", other.key}
    (board,) = Results([part, whole, again, other]).boards
    assert board.rows[0].worst.count == 6


def test_what_broke_an_image_counts_also_where_a_later_run_on_more_images_did_not() -> None:
    whole = make("mnist/a", "pgd-linf", 0.1, {"foolbox": [True] * 4})

    def left(only: tuple[int, ...], correct: list[bool], finished: str) -> Record:
        record = make("mnist/a", "pgd-linf", 0.1, {"torchattacks": correct}, finished=finished)
        attack = usual_attack("apgd-ce-linf", 0.1)
        cell = dataclasses.replace(record.cell, attack=attack, start=0, stop=4, only=only)
        return dataclasses.replace(record, key=finished, cell=cell, examples=list(only))

    few, most = left((1, 2), [True, False], "1"), left((1, 2, 3), [True] * 3, "2")
    assert {record.key for record in without_subsumed([few, most])} == {"1", "2"}
    (board,) = Results([whole, few, most]).boards
    assert board.rows[0].survivors == {0: True, 1: True, 2: False, 3: True}
    none = left((1, 2), [True, True], "1")
    assert [record.key for record in without_subsumed([none, most])] == ["2"], "nothing is lost with it"
    again = left((1, 2, 3), [True, False, True], "0")
    assert [record.key for record in without_subsumed([again, most])] == ["2"], "the very same cell: the last counts"


def test_an_attack_that_is_not_the_protocols_has_no_rank_and_no_place_on_a_leaderboard() -> None:
    record = make("mnist/a", "fgsm", 0.1, {"foolbox": [True]})
    spec = dataclasses.replace(standard_attack("bim", 0.1), steps=50)
    records = [dataclasses.replace(record, cell=dataclasses.replace(record.cell, attack=spec))]
    assert Results(records, protocol=True).boards == []
    (board,) = Results(records).boards
    assert [(dict(row.attacks), row.rank, row.further) for row in board.rows] == [
        ({}, None, ["bim, 50 steps, step size 0.025"])
    ]


def test_a_clean_mistake_counts_as_broken() -> None:
    record = make("mnist/a", "fgsm", 0.1, {"foolbox": [True, True, False, False]})
    wrong = dataclasses.replace(record, clean=outcome([True, False, True, False]))
    (board,) = Results([wrong]).boards
    assert board.rows[0].worst.hits == board.rows[0].attacks["fgsm"].hits == 1
    assert board.rows[0].clean.hits == 2


def test_results_on_other_data_or_another_protocol_never_mix() -> None:
    record = make("mnist/a", "fgsm", 0.1, {"foolbox": [True] * 4})
    other_data = make("mnist/a", "fgsm", 0.1, {"art": [False] * 4}, fingerprints={"model": "mnist/a", "data": "other"})
    old = make("mnist/a", "fgsm", 0.1, {"art": [False] * 4}, provenance={"finished": "1", "protocol": "0"})
    of_data, of_other = Results([record, other_data, old]).boards
    assert sorted(row.worst.hits for row in of_data.rows) == [0, 4]
    assert [row.worst.hits for row in of_other.rows] == [0]  # other images are another board
    assert sifted([record]).records == [record]
    assert sifted([old]).records == []


def test_a_run_with_other_draws_or_seed_stays_out_of_the_ranking() -> None:
    protocol = [make("mnist/a", "pgd-l2", 1.0, dict.fromkeys(LIBRARIES, [True] * 4))]
    for change in ({"attack_draws": 2}, {"seed": 1}):
        cell = dataclasses.replace(protocol[0].cell, **change)
        other = dataclasses.replace(protocol[0], key=str(change), cell=cell)
        (board,) = Results([*protocol, other], protocol=True).boards
        assert len(board.rows) == 1


def test_images_that_one_library_attacked_alone_stay_out_of_the_ranking() -> None:
    """As a paper's grids leave them beyond the first hundred: a worst case over one is not that over three."""
    shared = make("mnist/a", "pgd-l2", 1.0, dict.fromkeys(LIBRARIES, [True] * 4))
    alone = make("mnist/a", "pgd-l2", 1.0, {"torchattacks": [False] * 4}, start=4)
    (board,) = Results([shared, alone], protocol=True).boards
    assert board.rows[0].worst.count == 4
    assert Results([alone], protocol=True).boards == []
