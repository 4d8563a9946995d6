"""Images beyond the audit's: checks judge by those that met every attack, rows count all."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.records.record import Record
from benchmark.results.audits import Audit
from benchmark.results.configuration import configuration
from benchmark.results.evidence import Evidence
from benchmark.results.rows import row_of
from tests.benchmark.evidence import LINF, N, evidence, verdict
from tests.benchmark.handmade import outcome

ALWAYS = ("apgd-ce", "fmn", "apgd-t")


def shifted(record: Record, start: int, stands: list[bool]) -> Record:
    """The same attack on other images, in one shard or, as `record` is on some alone, on all that stand before."""
    cell = dataclasses.replace(record.cell, start=start, stop=start + len(stands))
    found = outcome(stands)
    return dataclasses.replace(
        record,
        key=f"{record.key}, from {start}",
        cell=cell,
        examples=list(range(start, start + len(stands))),
        labels=[0] * len(stands),
        clean=outcome([True] * len(stands)),
        outcomes=dict.fromkeys(record.outcomes, found),
        agreement=[],
        health=None,
    )


def in_linf(found: Evidence) -> Evidence:
    def of(records: list[Record]) -> list[Record]:
        return [one for one in records if one.cell.attack.threat.norm == "linf"]

    return Evidence(of(found.records), of(found.extra), of(found.readings))


def beyond(
    white_box: int, survive: int, attacks: tuple[str, ...] = ALWAYS, among: int = 3 * N, **stands: list[bool]
) -> Evidence:
    """Of `evidence` in linf, with further images, of which the white-box attacks and then adaptive ones leave some."""
    audit = in_linf(evidence(**stands))  # type: ignore[arg-type]
    extra = [
        shifted(record, N, [place < survive for place in range(among)])
        for record in audit.extra
        if (one := record.role.adaptive) is not None and one.name in attacks
    ]
    records = [shifted(record, N, [place < white_box for place in range(among)]) for record in audit.records]
    return Evidence([*audit.records, *records], [*audit.extra, *extra], audit.readings)


def test_the_audit_is_of_the_images_that_met_every_attack() -> None:
    audit, found = in_linf(evidence()), beyond(180, 180)
    assert audit.audited is audit
    assert found.audited.records == audit.records
    assert found.audited.extra == audit.extra
    assert {threat: len(images) for threat, images in found.further.items()} == {
        LINF: 300,
        ThreatModel("linf", 0.3): 300,
    }
    for name in ("V8", "V9", "V10", "V14", "V15", "V19", "V22"):
        assert verdict(name, found) == verdict(name, audit)


def test_where_further_images_met_every_attack_too_they_are_audited() -> None:
    audit = in_linf(evidence())
    left = [place < 60 for place in range(N)]
    every = Evidence(
        *(
            [*records, *(shifted(one, N, left) for one in records)]
            for records in (audit.records, audit.extra, audit.readings)
        )
    )
    assert every.audited is every
    assert verdict("V9", every)[0] == "PASS"
    assert "of 200" in verdict("V9", every)[1]


@pytest.mark.parametrize(("survive", "status"), [(90, "PASS"), (120, "PASS"), (130, "PASS"), (155, "FLAG")])
def test_further_images_that_survive_more_often_are_flagged(survive: int, status: str) -> None:
    """Of 60 white-box survivors of the audit 40 survive, of 180 further ones 120 would: the p of 155 is 0.002."""
    attacks, left = (*ALWAYS, "confident"), [place < 40 for place in range(N)]
    found, text = verdict("V30", beyond(180, survive, attacks, confident=left))
    assert found == status
    assert f"{survive} of 180 white-box survivors survive among 300 further images" in text
    assert "40 of 60 white-box survivors among the audit's" in text


def test_easier_images_are_no_reason_for_a_flag() -> None:
    """The white-box attacks leave 99 % of further images and 60 % of the audit's: that is chance, or bad luck."""
    assert verdict("V30", beyond(297, 297))[0] == "PASS"


def test_what_decided_must_have_run_on_further_images() -> None:
    decided = [place < 57 for place in range(N)]
    status, text = verdict("V30", beyond(180, 180, confident=decided))
    assert (status, "confident on 300 further images" in text) == ("OPEN", True)
    assert verdict("V30", beyond(180, 171, (*ALWAYS, "confident"), confident=decided))[0] == "PASS"
    assert verdict("V30", beyond(180, 180, ()))[0] == "OPEN"


def test_it_does_not_apply_where_every_image_was_audited() -> None:
    assert verdict("V30", in_linf(evidence())) == ("PASS", "does not apply: every image met every attack")


def test_a_row_counts_all_images_and_shows_the_audits_where_only_these_were_tried() -> None:
    found = beyond(160, 160, (*ALWAYS, "confident"), confident=[place < 57 for place in range(N)])
    row = row_of(Audit(configuration(found.records[0]), found), LINF)
    assert row is not None
    assert (row.worst.hits, row.worst.count) == (57 + 160, 400)
    assert (row.audited.hits, row.audited.count) == (57, 100)
    assert row.adaptive["confident"] == 3
    assert row.readings.headline == row.audited
    restricted = row_of(row.audit, LINF, set(range(50, 150)))
    assert restricted is not None
    assert (restricted.worst.count, restricted.audited.count, restricted.audited.hits) == (100, 50, 7)
