"""Certified beside attacked accuracy, and V29, on evidence made by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.cells import Reading
from benchmark.plan.certify_suite import bound
from benchmark.records.parts import Certificate
from benchmark.records.record import Record
from benchmark.reports.audits import audit_page
from benchmark.reports.bounds import bounds_page, bounds_table, ends, interval, intervals
from benchmark.reports.tables import csv_table, ranking
from benchmark.results.bounds import bounded_in, bounded_networks
from benchmark.results.evidence import Evidence
from benchmark.results.results import Results
from benchmark.results.share import Share
from tests.benchmark.evidence import LINF, N, evidence, verdict
from tests.benchmark.handmade import outcome

WITH = ThreatModel("linf", 0.01)


def certificate(certified: int, eps: float, of: int = N, draws: int = 64) -> Record:
    """Of the first `of` images the first so many are certified."""
    base = evidence().records[0]
    cell = dataclasses.replace(
        base.cell,
        attack=bound(ThreatModel("linf", eps)),
        libraries=("bounds",),
        reading=Reading.CERTIFIED,
        attack_draws=draws,
        judge_draws=draws,
        only=None if of == N else tuple(range(of)),
    )
    return dataclasses.replace(
        base,
        key=f"bound {eps} {certified} {draws}",
        cell=cell,
        examples=base.examples[:of],
        labels=base.labels[:of],
        clean=outcome([True] * of),
        outcomes={},
        agreement=[],
        certificate=Certificate([0.25 if i < certified else -0.5 for i in range(of)]),
        provenance={**base.provenance, "seconds": 50.0},
    )


def placed(records: list[Record], distance: float | None = None) -> list[Record]:
    """With every adversarial image as far away as its attack could go, or at a distance."""
    return [
        dataclasses.replace(
            record,
            outcomes={
                name: dataclasses.replace(one, distance=[distance or record.cell.attack.threat.eps] * len(one.correct))
                for name, one in record.outcomes.items()
            },
        )
        for record in records
    ]


def with_bounds(*certificates: Record) -> Evidence:
    found = evidence()
    return Evidence(placed(found.records), placed(found.extra), [*placed(found.readings), *certificates])


def test_a_record_of_bounds_is_written_and_read_again() -> None:
    record = certificate(40, 0.01)
    again = Record.from_json(record.to_json())
    assert again.certificate == record.certificate
    assert again.certified == tuple(range(40))
    assert "certificate" not in evidence().records[0].to_json()


def test_certified_and_attacked_accuracy_at_every_eps() -> None:
    """60 of 100 images survive at .1 (handmade evidence); bounds keep 40 at .01 and 10 of these at .1."""
    found = bounded_in(with_bounds(certificate(40, 0.01), certificate(10, 0.1, of=40)))
    assert found is not None
    assert [found.below(eps).hits for eps in (0.005, 0.01, 0.05, 0.1, 0.3)] == [40, 40, 10, 10, 0]
    assert found.above(0.1) == Share(60, N)
    assert found.tried == (0.01, 0.1)
    assert found.attacked
    assert found.seconds == 100.0
    assert not found.crossed
    assert bounded_in(evidence()) is None


def test_v29_is_an_error_where_an_image_is_broken_that_is_certified() -> None:
    """The first 60 survive at .1, and no more."""
    assert verdict("V29", evidence())[1].startswith("does not apply")
    status, text = verdict("V29", with_bounds(certificate(60, 0.1)))
    assert (status, "60 at eps 0.1; none was broken" in text) == ("PASS", True)
    status, text = verdict("V29", with_bounds(certificate(61, 0.1)))
    assert (status, text) == ("ERROR", "image 60 is certified at eps 0.1 and broken at 0.1")
    # at a smaller eps it was not broken
    assert verdict("V29", with_bounds(certificate(61, 0.09)))[0] == "PASS"


def test_an_attack_that_went_less_far_than_it_might_counts_where_it_went() -> None:
    """Of the nearest images each is broken at its distance: .03 here, in a ball of .1."""
    found = with_bounds(certificate(61, 0.05))
    assert verdict("V29", found)[0] == "PASS"
    status, text = verdict("V29", Evidence(placed(found.records, 0.03), found.extra, found.readings))
    assert (status, "broken at 0.03" in text) == ("ERROR", True)


def test_a_certified_image_must_be_right_as_it_is() -> None:
    one = dataclasses.replace(certificate(3, 0.01), clean=outcome([i != 1 for i in range(N)]))
    status, text = verdict("V29", with_bounds(one))
    assert (status, "image 1 is certified at eps 0.01 and broken at 0" in text) == ("ERROR", True)


def test_attacks_on_the_judges_own_draws_count_and_other_judges_do_not() -> None:
    found = with_bounds(certificate(60, 0.1))
    own = [one for one in found.readings if one.cell.reading is Reading.DETERMINISTIC]
    assert own
    fallen = [
        dataclasses.replace(one, outcomes={name: outcome([False] * N) for name in one.outcomes})
        for one in own
        if one.cell.attack.threat == LINF
    ]
    assert verdict("V29", Evidence(found.records, found.extra, [*found.readings, *fallen]))[0] == "ERROR"
    others = [
        dataclasses.replace(one, cell=dataclasses.replace(one.cell, reading=Reading.OTHER_JUDGE)) for one in fallen
    ]
    assert verdict("V29", Evidence(found.records, found.extra, [*found.readings, *others]))[0] == "PASS"


def test_bounds_of_other_draws_say_nothing_of_these() -> None:
    assert verdict("V29", with_bounds(certificate(100, 0.1, draws=32)))[1].startswith("does not apply")


def test_boards_audits_and_pages_show_both_numbers() -> None:
    found = with_bounds(certificate(40, 0.01), certificate(10, 0.1, of=40))
    results = Results([*found.records, *found.extra, *found.readings], protocol=True)
    board = next(board for board in results.boards if (board.norm, board.eps) == ("linf", 0.1))
    assert ranking(board)[0]["certified"] == "10.0"
    assert "certified" not in ranking(next(board for board in results.boards if board.norm == "l2"))[0]
    assert ",certified,worst_case," in csv_table(results.boards)
    page = audit_page(results.entry())
    assert "## From below" in page
    assert "| 40–100" in page
    (one,) = results.bounds
    assert intervals([one]) == [{"network": "a", "of": "64 frozen draws", "linf 0.01": "40–100", "linf 0.1": "10–60"}]
    assert "10–60" in bounds_page([one])
    assert bounds_table([one]).splitlines()[1].startswith("mnist,mnist/a,bayesian,64,linf,0.01,100,0.4,")
    assert ends([one])[0]["nothing from eps"] == "above 0.1"


def test_bounds_are_shown_where_nothing_was_attacked() -> None:
    (one,) = bounded_networks([certificate(40, 0.01)])
    assert not one.attacked
    assert one.above(0.01) == Share(N, N)
    assert one.broken == dict.fromkeys(range(N), math.inf)


@pytest.mark.parametrize(("below", "above", "text"), [(45, 78, "45–78"), (30, 30, "30"), (0, 0, "0")])
def test_an_interval_is_one_number_where_both_ends_meet(below: int, above: int, text: str) -> None:
    assert interval(Share(below, N), Share(above, N)) == text
    assert interval(Share(5, 1000), Share(5, 1000)) == "0.5"
