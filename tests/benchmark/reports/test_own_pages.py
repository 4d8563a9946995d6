"""A user's own runs: what enters the project's leaderboards, and what goes to a folder of his own."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from benchmark import leaderboard, publications
from benchmark.records.archive import read_records
from benchmark.records.record import Record
from benchmark.render import own_pages
from benchmark.reports.publish import planned
from benchmark.results import Results
from tests.benchmark.handmade import masking_records, row, walk
from tests.benchmark.records.test_merged import rounded_otherwise
from tests.benchmark.reports.test_publish import stored, tree

Run = Callable[..., Result]
HUNDRED = {"mnist/lenet": [i < 80 for i in range(100)], "mnist/mlp": [i % 4 == 0 for i in range(100)]}


ZOO = [record for name, survived in HUNDRED.items() for record in row(name, survived)]
TOY = row("mnist/toy:net", [i % 2 == 0 for i in range(20)])


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone's folder with leaderboards of two entries, and a README."""
    place = tmp_path_factory.mktemp("clone")
    (place / "README.md").write_text("<!-- leaderboard:begin -->\n<!-- leaderboard:end -->\n")
    with pytest.MonkeyPatch.context() as patched:
        result = _run(place, patched, ZOO)
    assert result.exit_code == 0, result.output
    return place


def _run(place: Path, patched: pytest.MonkeyPatch, records: Sequence[Record], *arguments: str) -> Result:
    from benchmark.reports import figures

    patched.setattr(figures, "cards", dict)  # the zoo's figures take longer than all the rest
    patched.setattr(figures, "accuracy_by_draws", list)
    patched.setattr(publications, "PROJECT", place / "leaderboards", raising=False)
    patched.chdir(place)
    stored(place / "results.sqlite", records)
    return CliRunner().invoke(leaderboard.app, arguments)


@pytest.fixture
def run(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in a copy of the clone, after a run that stored some records."""
    shutil.copytree(clone, tmp_path / "clone")
    return lambda records, *arguments: _run(tmp_path / "clone", monkeypatch, records, *arguments)


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_toy_rows_do_not_enter_the_projects_leaderboards(run: Run, tmp_path: Path) -> None:
    """As they did: ranked on 20 images among those of 100, for good, the ranks of others moved."""
    place = tmp_path / "clone"
    before, readme = tree(place / "leaderboards"), (place / "README.md").read_text()
    partial = row("mnist/lenet", [True] * 20)
    result = run([*ZOO, *TOY, *partial])
    assert result.exit_code == 0, result.output
    assert tree(place / "leaderboards") == before
    assert (place / "README.md").read_text() == readme
    assert "mnist/toy:net (no entry of this repository)" in result.output
    assert "leaderboards: nothing has changed" in result.output
    mine = place / "my-leaderboards"
    assert set(tree(mine / "audits")) == {"mnist-toy-net.md"}
    assert {path for path in tree(mine) if "/" not in path} == {
        "README.md", "agreement.csv", "agreement.md", "manifest.json", "mnist-pairs.csv", "mnist.csv", "mnist.md",
        "readings.csv",
    }  # fmt: skip
    lines = {line["entry"]: line for line in table(mine / "mnist.csv")}
    assert {line["examples"] for line in lines.values()} == {"20"}
    assert {name: line["reference"] for name, line in lines.items()} == {
        "mnist/toy:net": "False", "mnist/lenet": "True", "mnist/mlp": "True",
    }  # fmt: skip
    assert lines["mnist/lenet"]["worst_case"] == "1"  # the first 20 of its 100
    assert lines["mnist/mlp"]["worst_case"] == "0.25"
    page = (mine / "mnist.md").read_text()
    assert "mnist/lenet (reference)" in page
    assert "[OPEN](audits/mnist-toy-net.md)" in page
    assert "audits/mnist-lenet.md" not in page + (mine / "README.md").read_text()
    assert "mnist/lenet (100), mnist" not in page  # marked, as everywhere
    assert "mnist/lenet (reference) (100), mnist/mlp (reference) (100)." in page
    assert run([], "--check").exit_code == 0
    assert run([], "--check", "--folder", "my-leaderboards").exit_code == 0


def test_a_run_on_few_images_of_the_zoos_entries_is_the_users_own(run: Run, tmp_path: Path) -> None:
    """Its row takes the place of the reference's. What a full run in the same store holds is left out."""
    place = tmp_path / "clone"
    before = tree(place / "leaderboards")
    few = row("mnist/mlp", [True] * 20)
    result = run([*ZOO, *few])
    assert result.exit_code == 0, result.output
    assert "my-leaderboards" not in result.output
    result = run(few)
    assert "mnist/mlp (20 images, fewer than 100)" in result.output
    lines = table(place / "my-leaderboards" / "mnist.csv")
    assert [(line["entry"], line["reference"], line["worst_case"]) for line in lines] == [
        ("mnist/lenet", "True", "1"), ("mnist/mlp", "False", "1"),
    ]  # fmt: skip
    assert tree(place / "leaderboards") == before


def test_an_explicit_project_folder_says_what_stays_out(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "clone"
    before = tree(place / "leaderboards")
    for folder in ("leaderboards", str(place / "leaderboards"), "zoo/../leaderboards"):
        (place / "zoo").mkdir(exist_ok=True)
        result = run(TOY, "--folder", folder)
        assert result.exit_code == 0, result.output
        assert "3 records stay out of" in result.output
        assert "mnist/toy:net (no entry of this repository)" in result.output
        assert "--folder my-leaderboards" in result.output
        assert tree(place / "leaderboards") == before
        assert not (place / "my-leaderboards").exists()


def test_a_users_folder_keeps_what_was_run_before_and_says_so(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "clone"
    run(TOY, "--folder", "mine")
    result = run(row("mnist/other:net", [True] * 20), "--folder", "mine")
    assert "3 records of earlier runs lie in mine/records and count; delete it to forget them" in result.output
    assert {line["entry"] for line in table(place / "mine" / "mnist.csv") if line["reference"] == "False"} == {
        "mnist/toy:net", "mnist/other:net",
    }  # fmt: skip
    shutil.rmtree(place / "mine" / "records")
    result = run(row("mnist/other:net", [True] * 20), "--folder", "mine")
    assert f"deleted {Path('mine/audits/mnist-toy-net.md')}" in result.output


def test_more_images_than_the_reference_has_are_ranked_on_those_of_both(run: Run, tmp_path: Path) -> None:
    survived = [i < 50 or i >= 100 for i in range(200)]
    result = run(row("mnist/toy:net", survived), "--folder", "mine")
    assert result.exit_code == 0, result.output
    mine = tmp_path / "clone" / "mine"
    lines = table(mine / "mnist.csv")
    assert [(line["entry"], line["examples"], line["worst_case"]) for line in lines] == [
        ("mnist/lenet", "100", "0.8"), ("mnist/toy:net", "100", "0.5"), ("mnist/mlp", "100", "0.25"),
        ("mnist/toy:net", "200", "0.75"),
    ]  # fmt: skip
    page = (mine / "mnist.md").read_text()
    assert "## linf, eps 0.1, 100 images" in page
    assert "## linf, eps 0.1, 200 images" in page
    assert "On the 100 images that all entries here have. Attacked on more, on which their verdicts rest:" in page
    assert "mnist/toy:net (200)." in page
    headline = (mine / "README.md").read_text()
    assert headline.index("**mnist**, 100 images: ") < headline.index("**mnist**, 200 images: ")
    audit = (mine / "audits" / "mnist-toy-net.md").read_text()
    assert "on 200 images" in audit
    assert "on 100 images" not in audit
    kinds = ("curves", "worst-case")
    figures = {f"mnist-{kind}-{images}-images.png" for kind in kinds for images in (100, 200)}
    assert figures == set(tree(mine / "figures"))


def test_every_board_is_of_rows_on_the_very_same_images() -> None:
    """In the project, too: an entry with more images stands beside the others on theirs, and apart on its own."""
    wide = row("mnist/alexnet", [True] * 300)
    other_data = [
        dataclasses.replace(record, key=f"other {record.key}", fingerprints={**record.fingerprints, "data": "other"})
        for record in row("mnist/toy:net", [True] * 100)
    ]
    own = [*ZOO, *wide, *TOY, *other_data]
    boards = Results(own, protocol=True).boards
    for board in boards:
        assert {found.images for found in board.rows} == {board.images}
    assert [(len(board.images[1]), len(board.rows)) for board in boards] == [(20, 4), (100, 3), (300, 1), (100, 1)]
    hundred = {found.configuration.model: found for found in boards[1].rows}
    assert (hundred["mnist/alexnet"].attacked, hundred["mnist/alexnet"].worst.count) == (300, 100)
    (alone,) = Results(ZOO, protocol=True).boards
    assert {found.configuration.model: found.survivors for found in alone.rows} == {
        name: hundred[name].survivors for name in HUNDRED
    }


def test_a_reference_is_restricted_and_keeps_the_verdicts_on_all_its_images() -> None:
    """Of its 100 images a library got one out of the ball, which is not among the user's 20."""
    reference = row("mnist/lenet", HUNDRED["mnist/lenet"])
    reference[0].outcomes["art"] = dataclasses.replace(reference[0].outcomes["art"], violations=[99])
    (board,) = Results(TOY, reference, protocol=True).boards
    (whole,) = Results(reference, protocol=True).boards
    (shown,) = [found for found in board.rows if found.reference]
    assert len(shown.survivors) == 20
    assert shown.verdicts == whole.rows[0].verdicts
    assert shown.status == whole.rows[0].status != "OPEN"
    assert Results([], reference, protocol=True).boards == []


def test_where_no_clone_is_all_pages_are_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publications, "PROJECT", tmp_path / "site-packages" / "leaderboards")
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "results.sqlite", [*ZOO, *TOY])
    result = CliRunner().invoke(leaderboard.app, [])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my-leaderboards", "results.sqlite"]
    page = (tmp_path / "my-leaderboards" / "mnist.md").read_text()
    assert "(reference)" not in page
    assert "linf, eps 0.1, 100 images" in page


def test_the_same_outcomes_from_another_processor_rewrite_nothing(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "clone"
    before = tree(place / "leaderboards")
    result = run([rounded_otherwise(record) for record in ZOO])
    assert result.exit_code == 0, result.output
    assert "leaderboards: nothing has changed" in result.output
    assert tree(place / "leaderboards") == before
    changed = [rounded_otherwise(record) for record in ZOO]
    broken = [False, *changed[0].outcomes["art"].correct[1:]]
    changed[0].outcomes["art"] = dataclasses.replace(changed[0].outcomes["art"], correct=broken)
    result = run(changed)
    assert "wrote leaderboards/records/mnist/lenet.json.xz" in result.output
    assert "records/mnist/mlp" not in result.output
    found = read_records(place / "leaderboards" / "records")
    assert [record.key for record in found.values() if record.provenance["finished"] == "2"] == [changed[0].key]


def test_of_a_network_trained_again_only_the_last_counts(run: Run, tmp_path: Path) -> None:
    """As it stood twice on a board, and was tested against itself."""
    old, new = (row("mnist/toy:net", [True] * 20, fingerprint) for fingerprint in ("old", "new"))
    new = [dataclasses.replace(r, provenance={**r.provenance, "finished": "2"}) for r in new]
    run(old, "--folder", "mine")
    result = run(new, "--folder", "mine")
    assert "dropped 3 records of mnist/toy:net: a later run has another network under the name" in result.output
    mine = tmp_path / "clone" / "mine"
    (line,) = [line for line in table(mine / "mnist.csv") if line["entry"] == "mnist/toy:net"]
    assert line["fingerprint"] == "new"
    assert {record.key for record in read_records(mine / "records").values()} == {record.key for record in new}
    result = run([*new, *old], "--folder", "mine")  # whatever order they are read in
    assert "mine: nothing has changed" in result.output


def test_curves_and_gradients_of_ones_own_are_shown_and_the_projects_studies_are_not(tmp_path: Path) -> None:
    own = [*walk("mnist/toy:net", 0.1), *masking_records(20, 40)]
    publication = planned(own_pages(own, [], tmp_path).generated, tmp_path)
    publication.carry_out()
    assert {path for path in tree(tmp_path) if not path.startswith("records/")} == {
        "README.md", "agreement.csv", "agreement.md", "curves.csv", "figures/mnist-curves.png",
        "figures/mnist-large-eps.png", "figures/mnist-masking.png", "figures/mnist-small-eps.png",
        "figures/mnist-worst-case.png", "manifest.json", "masking.csv", "masking.md", "mnist.csv", "mnist.md",
        "audits/mnist-b.md", "readings.csv",
    }  # fmt: skip
    front = (tmp_path / "README.md").read_text()
    for link in re.findall(r"\]\(([^)]+)\)", front):
        assert (tmp_path / link).exists(), link
    assert "(masking.md)" in front
    assert "(curves.csv)" in front


def test_runs_that_are_on_no_board_say_what_a_board_needs(tmp_path: Path) -> None:
    """As of one attack alone: neither an empty table nor links to pages that are not there."""
    text = own_pages(row("mnist/toy:net", [True] * 20)[:1], ZOO, tmp_path).generated.texts[tmp_path / "README.md"]
    assert "No entry has all attacks of a norm" in text
    assert "Audits" not in text
