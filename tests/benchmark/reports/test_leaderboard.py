"""Pages of the project's leaderboards: fresh, or known to be stale."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import lzma
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmark import publications
from benchmark.leaderboard import app
from benchmark.protocol import LIBRARIES, SHARD
from benchmark.records.agreement import Comparison
from benchmark.records.archive import read_records
from benchmark.records.record import Record
from benchmark.render import project_pages
from benchmark.reports.agreement import agreement_page, agreement_table
from benchmark.reports.publish import planned, read_manifest, sha256
from benchmark.reports.tables import markdown
from benchmark.results import Results
from tests.benchmark.handmade import make, status

ROOT = Path(__file__).resolve().parents[3]


def test_one_disagreeing_cell_shows_in_the_matrix() -> None:
    """However many others agree; and one verdict in a small shard is judged together with the other shards."""
    agree = [make(f"mnist/{n}", "bim", 0.1, {"foolbox": [True] * 100, "art": [True] * 100}) for n in range(20)]
    apart = Comparison("foolbox", "art", 100, 98, 0.5, 100, tuple(range(10)), ())
    worst = make("mnist/z", "bim", 0.1, {"foolbox": [True] * 100, "art": [False] * 10 + [True] * 90}, agreement=[apart])
    results = Results([*agree, worst])
    page = agreement_page(results)
    matrix = page.split("## bim")[1].split("##")[0]
    assert "disagree" in matrix
    assert "identical" not in matrix
    on_boards = [
        dataclasses.replace(one, cell=dataclasses.replace(one.cell, libraries=LIBRARIES)) for one in (*agree, worst)
    ]
    compared = agreement_table(Results(on_boards))
    assert (compared.count("disagree"), compared.count("identical")) == (1, 20)
    page = agreement_page(Results(on_boards))
    exceptions = page.split("## Below what is required")[1]
    assert exceptions.count("mnist/z") == 1 + 10  # the comparison, and each image
    assert "mnist/1" not in exceptions
    one = Comparison("foolbox", "art", 100, 0, 0.5, 20, (3,), ())
    small = make("mnist/a", "pgd-l2", 1.0, {"foolbox": [True] * 20, "art": [True] * 20}, agreement=[one])
    rest = make("mnist/a", "pgd-l2", 1.0, {"foolbox": [True] * 80, "art": [True] * 80}, start=20)
    assert status("V16", [small, rest]) == "PASS"


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    (_, _, line) = markdown([{"evidence": "largest |logsumexp| 2e-07", "status": "PASS"}]).splitlines()
    assert re.split(r"(?<!\\)\|", line)[1:-1] == [r" largest \|logsumexp\| 2e-07 ", " PASS     "]


@pytest.fixture(scope="module")
def committed() -> list[Record]:
    return list(read_records(ROOT / "leaderboards" / "records").values())


@pytest.fixture(scope="module")
def small_boards(committed: list[Record], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Leaderboards and README of two networks, white-box alone: the committed ones take half a minute to render."""
    place = tmp_path_factory.mktemp("boards")
    folder, readme = place / "leaderboards", place / "README.md"
    shutil.copy(ROOT / "README.md", readme)
    models = ("mnist/lenet", "mnist/alexnet")
    of_both = [record for record in committed if record.cell.model in models and record.cell.stop <= SHARD]
    records = [record for record in of_both if record.role.board]
    planned(project_pages(records, folder, readme).generated, folder).carry_out()
    return folder, readme


@pytest.fixture
def boards(small_boards: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A copy of these, as if they were the project's own."""
    folder, readme = small_boards
    monkeypatch.setattr(publications, "PROJECT", tmp_path / "leaderboards")
    return Path(shutil.copytree(folder, tmp_path / "leaderboards")), Path(shutil.copy(readme, tmp_path / "README.md"))


def test_committed_leaderboards_are_fresh() -> None:
    result = CliRunner().invoke(
        app, ["--check", "--folder", str(ROOT / "leaderboards"), "--readme", str(ROOT / "README.md")]
    )
    assert result.exit_code == 0, result.output


def test_committed_records_meet_the_protocol(committed: list[Record]) -> None:
    """The committed whitebox results: every agreement level reached, no check failed but those that must."""
    boards = Results(committed, protocol=True).boards
    assert {(board.dataset, board.norm, board.eps) for board in boards} >= {
        ("mnist", "linf", 0.1), ("mnist", "linf", 0.3), ("mnist", "l2", 1.0), ("mnist", "l2", 2.0),
    }  # fmt: skip
    for board in boards:
        for row in board.rows:
            for attack, level in row.agreement.items():
                assert level == ("same-verdict" if attack == "pgd-l2" else "identical"), (row.configuration, attack)

    caught = {
        (row.configuration.model, board.norm, verdict.check)
        for board in boards
        for row in board.rows
        for verdict in row.verdicts
        if verdict.status in ("FAIL", "ERROR")
    }
    # trained against linf alone, its gradients are masked in l2 (Schott et al. 2019), as test_selftest.py says; those
    # of a network that was trained by intervals lead nowhere in either norm, though it is certified in linf
    misled = {("mnist/lenet-certified", norm, check) for norm in ("linf", "l2") for check in ("V11", "V18")}
    misled |= {("mnist/lenet-certified", "l2", "V12")}  # and its twin's lead somewhere
    assert caught == {("mnist/lenet-adversarial", "l2", "V11")} | misled


def test_a_change_of_a_generated_file_or_record_is_noticed(boards: tuple[Path, Path]) -> None:
    folder, readme = boards
    arguments = ["--check", "--folder", str(folder), "--readme", str(readme)]

    def check() -> int:
        return CliRunner().invoke(app, arguments).exit_code

    assert check() == 0
    pages = [folder / name for name in ("mnist.md", "mnist.csv", "README.md", "agreement.md")]
    words = {**dict.fromkeys(pages, "verdict"), folder / "overview.svg": "rank 1", readme: "overview.svg"}
    for path, word in words.items():
        text = path.read_text()
        path.write_text(text.replace(word, "same", 1))
        assert path.read_text() != text
        assert check() == 1, path
        path.unlink()
        assert check() == (0 if path == readme else 1), path
        path.write_text(text)
    assert check() == 0
    path = folder / "records" / "mnist" / "lenet.json.xz"
    fields = json.loads(lzma.decompress(path.read_bytes()))
    victim = next(r for r in fields["records"] if r["cell"]["attack"]["name"] == "fgsm" and r["cell"]["start"] == 0)
    victim["outcomes"]["art"]["correct"] = victim["outcomes"]["art"]["correct"].translate({48: 49, 49: 48})
    path.write_bytes(lzma.compress(json.dumps(fields).encode()))
    assert check() == 1
    for damaged in (b"{", path.read_bytes()[:-20], lzma.compress(b"{")):
        path.write_bytes(damaged)
        assert CliRunner().invoke(app, arguments).exit_code == 2


def written_by_this_program(folder: Path, path: Path, content: str) -> None:
    """As if the last run had given the file."""
    path.write_bytes(lzma.compress(content.encode()) if path.suffix == ".xz" else content.encode())
    files = {**read_manifest(folder).files, path.relative_to(folder).as_posix(): sha256(content.encode())}
    (folder / "manifest.json").write_text(json.dumps({"written by": "python -m benchmark.leaderboard", "files": files}))


def test_what_no_record_gives_is_stale_and_deleted(boards: tuple[Path, Path], tmp_path: Path) -> None:
    folder, readme = boards
    arguments = ["--folder", str(folder), "--readme", str(readme), "--store", str(tmp_path / "none.sqlite")]
    assert CliRunner().invoke(app, ["--check", *arguments]).exit_code == 0
    figure, orphan = folder / "figures" / "mnist-worst-case.png", folder / "cifar10.md"
    figure.unlink()
    assert CliRunner().invoke(app, ["--check", *arguments]).exit_code == 1
    written_by_this_program(folder, orphan, "old")
    path = folder / "records" / "mnist" / "lenet.json.xz"
    text = lzma.decompress(path.read_bytes()).decode()
    replaced = re.sub('"model": "(?=[0-9a-f]{64})', '"model": "0', text)  # weights since replaced
    assert replaced != text
    written_by_this_program(folder, path, replaced)
    assert CliRunner().invoke(app, ["--check", *arguments]).exit_code == 1
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert figure.is_file()
    assert not orphan.exists()
    assert not path.exists()
    assert "the zoo has another network under the name mnist/lenet" in result.output
    assert CliRunner().invoke(app, ["--check", *arguments]).exit_code == 0
    assert "mnist/lenet " not in (folder / "README.md").read_text()


def test_pages_say_what_the_records_say(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("before\n<!-- leaderboard:begin -->\nold\n<!-- leaderboard:end -->\nafter\n")
    records = [
        make("mnist/a", attack, 0.1, {key: [True, True, False, True] for key in LIBRARIES})
        for attack in ("fgsm", "bim", "pgd-linf")
    ]
    planned(project_pages(records, tmp_path, tmp_path / "README.md").generated, tmp_path).carry_out()
    again = project_pages(list(read_records(tmp_path / "records").values()), tmp_path, tmp_path / "README.md").generated
    for path, text in (again.texts | again.sections).items():
        content = path.read_bytes()
        assert (lzma.decompress(content) if path.suffix == ".xz" else content).decode() == text
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("before\n")
    assert readme.endswith("after\n")
    assert "old" not in readme
    assert "|75 [30, 95] (1)|" in readme
    (line,) = csv.DictReader(io.StringIO((tmp_path / "mnist.csv").read_text()))
    assert (line["entry"], line["worst_case"], line["rank"], line["pgd-linf"]) == ("mnist/a", "0.75", "1", "0.75")
