"""`python -m benchmark.audit` from end to end, and what its page says of honest and of broken networks."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from typer.testing import CliRunner

from benchmark.attacks.spec import ThreatModel
from benchmark.audit import app
from benchmark.records.outcome import Outcome
from benchmark.records.record import Record
from benchmark.reports.audits import audit_page, conclusion, detection_table, short_audit
from benchmark.reports.tables import statuses
from benchmark.results import Results
from benchmark.results.checks import ALL
from benchmark.results.entries import Entry
from tests.benchmark.evidence import N, evidence, trial
from tests.benchmark.reports.html_pages import parsed

STANDS = [i < 60 for i in range(N)]


def entry(**stands: list[bool]) -> Entry:
    """An entry whose evidence passes, but for what is given; see `test_validity.evidence`."""
    found = evidence(**stands)
    return Results([*found.records, *found.extra, *found.readings]).entry()


def test_an_entry_that_passes_everything() -> None:
    found = entry()
    assert statuses(found.statuses) == "PASS"
    assert {row.rank for row in found.rows} == {1}
    text = audit_page(found)
    assert text.count("No check found a reason to disbelieve the figures of mnist/a") == 2
    assert "What the checks that did not pass" not in text
    assert "60.0 [50.2, 69.1] % at eps 0.1 (60.0 % under the white-box attacks alone)" in text


def test_the_short_form_says_what_did_not_pass_and_nothing_of_the_rest() -> None:
    lines = short_audit(entry(square=[i < 20 for i in range(N)])).splitlines()
    assert lines[0] == "mnist/a: FAIL"
    assert f"linf: {len(ALL) - 1} of {len(ALL)} checks passed" in lines
    assert [line for line in lines if line.startswith("  ")] == [
        f"  FAIL V11 an attack without gradients finds little: {norm} eps {low}, square: 40 more of 100 broken; "
        f"{norm} eps {high}, square: 40 more of 100 broken"
        for norm, low, high in (("linf", "0.1", "0.3"), ("l2", "1", "2"))
    ]


def test_a_failure_in_one_norm_is_that_norms_alone() -> None:
    complete = evidence()
    other = [
        trial("square", r.cell.attack.threat, [False] * N) if r.cell.attack.name == "square-l2" else r
        for r in complete.extra
    ]
    mixed = Results([*complete.records, *other, *complete.readings]).entry()
    assert statuses(mixed.statuses) == "linf PASS, l2 FAIL"
    assert {(row.threat.norm, row.rank) for row in mixed.rows} == {("linf", 1), ("l2", None)}
    text = conclusion(mixed)
    assert "The accuracy of mnist/a under l2 attacks is no evidence of robustness. V11" in text
    assert "No check found a reason to disbelieve the figures of mnist/a in linf" in text
    (row,) = (row for row in mixed.rows if row.threat == ThreatModel("l2", 1.0))
    assert (row.whitebox.hits, row.worst.hits, row.adaptive["square"]) == (60, 0, 60)
    assert "square" in audit_page(mixed)


def test_a_librarys_failure_is_told_apart_from_missing_evidence() -> None:
    """And one in l2, also at eps 0, says nothing of linf."""
    complete = evidence()

    def failing(record: Record) -> Record:
        error = Outcome(error="RuntimeError: view size is not compatible")
        is_l2 = record.cell.attack.name == "pgd-l2"
        return dataclasses.replace(record, outcomes=record.outcomes | {"torchattacks": error}) if is_l2 else record

    records = [failing(record) for record in (*complete.records, *complete.extra, *complete.readings)]
    assert any(not record.complete and record.cell.attack.threat.eps == 0 for record in records)
    found = Results(records).entry()
    assert statuses(found.statuses) == "linf PASS, l2 ERROR"
    text = conclusion(found)
    assert "no evidence of robustness" not in text
    assert "mnist/a was not evaluated in l2: an attack did not run, which says nothing about the network" in text
    assert "torchattacks failed on mnist/a pgd-l2" in text
    assert "view size is not compatible" in text


def test_the_worst_case_counts_each_broken_image_once_and_none_that_fell_before() -> None:
    half, other_half = [30 <= i < 60 for i in range(N)], [i < 30 for i in range(N)]
    row = entry(square=half, noise=half, restarts=[i >= 10 for i in range(N)]).rows[0]
    assert (row.whitebox.hits, row.worst.hits) == (60, 30)
    assert (row.adaptive["square"], row.adaptive["noise"], row.adaptive["restarts"]) == (30, 30, 10)
    none = entry(square=half, noise=other_half).rows[0]
    assert none.worst.hits == 0
    assert none.whitebox.hits == 60


def test_what_another_judge_said_of_another_network_is_no_evidence() -> None:
    complete = evidence()

    def with_broken(**fingerprints: str) -> Record:
        broken = trial("square", complete.records[0].cell.attack.threat, [False] * N)
        return dataclasses.replace(broken, key="x", fingerprints={**broken.fingerprints, **fingerprints})

    for change, hits in (({}, 0), ({"model": "other"}, 60), ({"data": "other"}, 60)):
        boards = Results([*complete.records, *complete.extra, with_broken(**change)]).boards
        by_threat = {(b.norm, b.eps): row for b in boards for row in b.rows if row.attacks}
        assert by_threat["linf", 0.1].worst.hits == hits


def test_nothing_measured_gives_no_table_of_detection() -> None:
    found = Results(evidence().records).entry()
    assert set(found.statuses.values()) == {"OPEN"}
    assert "Nothing yet" in audit_page(found)
    assert detection_table([found]) == ""


def test_the_command_audits_an_entry_and_goes_on_where_it_was(
    tmp_path: Path,
) -> None:
    arguments = ["mnist/mlp", "--examples", "8", "--store", str(tmp_path / "s.sqlite")]
    first = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "audit.md")])
    assert first.exit_code in (0, 1), first.output
    text = (tmp_path / "audit.md").read_text()
    assert text.startswith("# Audit of mnist/mlp")
    for words in ("The checks in linf", "The checks in l2", "Does it notice?", "V17", "square", "transfer"):
        assert words in text
    assert "OPEN" not in text
    (verdict,) = re.findall(r"^\*\*(.*)\*\*$", text, re.MULTILINE)
    assert f"mnist/mlp: {verdict}" in first.output
    assert "--full, or --out FILE" not in first.output
    again = CliRunner().invoke(app, [*arguments, "--full", "--report", str(tmp_path / "report.html")])
    assert again.exit_code == first.exit_code
    assert "cells are stored already" in again.output
    assert text in again.output
    page = parsed((tmp_path / "report.html").read_text())
    assert page.all("h1")[0].text == "mnist/mlp"
    assert "python -m benchmark.audit mnist/mlp --examples 8 --report report.html" in page.text


def test_a_mistake_is_said_in_one_line(tmp_path: Path) -> None:
    wrong = CliRunner().invoke(app, ["mnist/lenett", "--store", str(tmp_path / "s.sqlite")])
    assert wrong.exit_code == 2
    assert "did you mean mnist/lenet" in wrong.output
    folder = CliRunner().invoke(app, ["mnist/lenet", "--store", str(tmp_path / "s.sqlite"), "--report", str(tmp_path)])
    assert folder.exit_code == 2
    assert "directory" in folder.output
