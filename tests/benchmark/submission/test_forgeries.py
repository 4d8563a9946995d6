"""Every forgery is refused, by the check that `docs/submitting.md` names, and what is honest is accepted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.results import Results
from benchmark.submission.again import lifting, surviving
from benchmark.submission.folder import Folder
from benchmark.submission.reading import read
from benchmark.submission.sample import sampled
from benchmark.submission.schema import check
from tests.benchmark.submission.conftest import Honest
from tests.benchmark.submission.forgeries import BY_RUNNING, BY_SCHEMA
from tests.benchmark.submission.stranger import submit

DOCS = Path(__file__).resolve().parents[3] / "docs" / "submitting.md"


def test_what_is_honest_passes(folder: Path) -> None:
    assert check(folder).findings == []


@pytest.mark.parametrize("forgery", BY_SCHEMA)
def test_the_schema_check_finds(forgery: str, folder: Path) -> None:
    forge, expected = BY_SCHEMA[forgery]
    forge(folder)
    found = check(folder).findings
    assert expected in [finding.check for finding in found], found
    said = submit("--check", folder)
    assert said.exit_code == 1
    assert "schema check failed" in said.output


@pytest.mark.parametrize("forgery", BY_RUNNING)
def test_running_again_finds_what_the_schema_check_does_not(forgery: str, folder: Path) -> None:
    forge, expected = BY_RUNNING[forgery]
    forge(folder)
    assert check(folder).findings == []
    said = submit("--check", folder, "--run", "--seed", seed_with("bim", folder), "--threads", 1)
    assert said.exit_code == 1, said.output
    assert f"**{expected}**" in said.output
    assert "refused" in said.output


def seed_with(attack: str, folder: Path, eps: float = 0.1) -> int:
    """A seed by which the cell of an attack is drawn, and none that takes long."""
    found = read(Folder(folder))
    for seed in range(10_000):
        cells = [record.cell.attack for record in sampled(found, seed)]
        slow = any(one.source or not one.method.gradients or one.method.nearest for one in cells)
        if not slow and any(one.name == attack and one.threat.eps == eps for one in cells):
            return seed
    raise AssertionError(f"no seed draws {attack}")


def test_the_honest_one_is_accepted_by_the_sample_that_finds_the_forged_one(folder: Path) -> None:
    said = submit("--check", folder, "--run", "--seed", seed_with("bim", folder), "--threads", 1)
    assert said.exit_code == 0, said.output
    assert "`tiny-bars/net`: accepted" in said.output
    assert "All " in said.output
    assert re.search(r"The probability that none is found: of one forged cell \d+ %", said.output)
    assert re.search(r"\|tiny-bars/net\|linf 0.1\|83.3\|", said.output)


def test_what_survives_is_what_the_rows_say(folder: Path) -> None:
    found = read(Folder(folder))
    rows = Results(found).entry().rows
    assert surviving(found) == {row.threat: {e for e, alive in row.survivors.items() if alive} for row in rows}
    assert {len(images) for images in surviving(found).values()} == {0, 1}
    assert lifting(found) == 2  # attacks that break the image that fewest do


def test_the_documented_table_is_the_tested_one() -> None:
    rows = re.findall(r"^\| ([^|]+) \| (schema|running again) \| `([^`]+)` \|$", DOCS.read_text(), re.MULTILINE)
    tested = {(name, "schema", expected) for name, (_, expected) in BY_SCHEMA.items()}
    tested |= {(name, "running again", expected) for name, (_, expected) in BY_RUNNING.items()}
    assert set(rows) == tested
    assert len(rows) == len(tested)


def test_a_submission_of_a_name_that_is_taken_is_refused(folder: Path, honest: Honest) -> None:
    other = folder.rename(folder.with_name("mine"))
    (finding,) = check(other, accepted=honest.folder.parent).findings
    assert "tiny-bars/net is submitted already, as tiny-bars-net" in finding.says
    renewed = other.rename(folder)  # a newer version of the same one
    assert check(renewed, accepted=honest.folder.parent).findings == []


def test_text_that_unpacks_to_more_than_records_have_is_not_unpacked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.submission.reading.LARGEST_TEXT", 5000)
    (finding,) = check(folder).findings
    assert "more than 5,000 bytes when it is unpacked" in finding.says
