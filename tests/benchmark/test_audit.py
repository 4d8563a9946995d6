"""`python -m benchmark.audit` from end to end, and what its page says of honest and of broken networks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from typer.testing import CliRunner

from benchmark.audit import app
from benchmark.boards import build_boards, rows_of
from benchmark.pages.audit import audit_page, conclusion, detection_table
from benchmark.record import Outcome, Record
from benchmark.tables import verdicts_by_norm
from tests.benchmark.test_validity import N, evidence, trial

STANDS = [i < 60 for i in range(N)]


def rows(**stands: list[bool]) -> list:
    """The rows of an entry whose evidence passes, but for what is given; see `test_validity.evidence`."""
    found = evidence(**stands)
    (of_entry,) = rows_of(build_boards([*found.records, *found.others])).values()
    return of_entry


def test_an_entry_that_passes_everything() -> None:
    found = rows()
    assert verdicts_by_norm(found) == "PASS"
    assert {row.rank for _, row in found} == {1}
    text = audit_page(found)
    assert text.count("No check found a reason to disbelieve the figures of mnist/a") == 2
    assert "What the checks that did not pass" not in text
    assert "60.0 [50.2, 69.1] % at eps 0.1 (60.0 % under the white-box attacks alone)" in text


def test_a_failure_in_one_norm_is_that_norms_alone() -> None:
    found = rows()
    complete = evidence()
    threat = found[0][0].norm, found[0][0].eps
    assert threat == ("linf", 0.1)
    other = [
        trial("square", r.cell.attack.threat, [False] * N) if r.cell.attack.name == "square-l2" else r
        for r in complete.others
    ]
    (mixed,) = rows_of(build_boards([*complete.records, *other])).values()
    assert verdicts_by_norm(mixed) == "linf PASS, l2 FAIL"
    assert {(board.norm, row.rank) for board, row in mixed} == {("linf", 1), ("l2", None)}
    text = conclusion(mixed)
    assert "The accuracy of mnist/a under l2 attacks is no evidence of robustness. V11" in text
    assert "No check found a reason to disbelieve the figures of mnist/a in linf" in text
    by_norm = {(board.norm, board.eps): row for board, row in mixed}
    assert by_norm["l2", 1.0].whitebox.hits == 60
    assert by_norm["l2", 1.0].worst.hits == 0
    assert by_norm["l2", 1.0].trials["square"] == 60
    assert "square" in audit_page(mixed)


def test_a_librarys_failure_is_told_apart_from_missing_evidence() -> None:
    """And one in l2, also at eps 0, says nothing of linf."""
    complete = evidence()

    def failing(record: Record) -> Record:
        error = Outcome(error="RuntimeError: view size is not compatible")
        is_l2 = record.cell.attack.name == "pgd-l2"
        return dataclasses.replace(record, outcomes=record.outcomes | {"torchattacks": error}) if is_l2 else record

    records = [failing(record) for record in (*complete.records, *complete.others)]
    assert any(not record.complete and record.cell.attack.threat.eps == 0 for record in records)
    (found,) = rows_of(build_boards(records)).values()
    assert verdicts_by_norm(found) == "linf PASS, l2 ERROR"
    text = conclusion(found)
    assert "no evidence of robustness" not in text
    assert "mnist/a was not evaluated in l2: an attack did not run, which says nothing about the network" in text
    assert "torchattacks failed on mnist/a pgd-l2" in text
    assert "view size is not compatible" in text


def test_the_worst_case_counts_each_broken_image_once_and_none_that_fell_before() -> None:
    half, other_half = [30 <= i < 60 for i in range(N)], [i < 30 for i in range(N)]
    (_, row), *_ = rows(square=half, noise=half, restarts=[i >= 10 for i in range(N)])
    assert (row.whitebox.hits, row.worst.hits) == (60, 30)
    assert (row.trials["square"], row.trials["noise"], row.trials["restarts"]) == (30, 30, 10)
    (_, none), *_ = rows(square=half, noise=other_half)
    assert none.worst.hits == 0
    assert none.whitebox.hits == 60


def test_what_another_judge_said_of_another_network_is_no_evidence() -> None:
    complete = evidence()

    def with_broken(**fingerprints: str) -> Record:
        broken = trial("square", complete.records[0].cell.attack.threat, [False] * N)
        return dataclasses.replace(broken, key="x", fingerprints={**broken.fingerprints, **fingerprints})

    for change, hits in (({}, 0), ({"model": "other"}, 60), ({"data": "other"}, 60)):
        boards = build_boards([*complete.records, *complete.others, with_broken(**change)])
        by_threat = {(b.norm, b.eps): row for b in boards for row in b.rows}
        assert by_threat["linf", 0.1].worst.hits == hits


def test_nothing_measured_gives_no_table_of_detection() -> None:
    (of_entry,) = rows_of(build_boards(evidence().records)).values()
    assert of_entry[0][1].status == "OPEN"
    assert "Nothing yet" in audit_page(of_entry)
    assert detection_table([board for board, _ in of_entry]) == ""


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
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == first.exit_code
    assert "cells are stored already" in again.output
    assert text in again.output


def test_a_mistake_is_said_in_one_line(tmp_path: Path) -> None:
    wrong = CliRunner().invoke(app, ["mnist/lenett", "--store", str(tmp_path / "s.sqlite")])
    assert wrong.exit_code == 2
    assert "did you mean mnist/lenet" in wrong.output
