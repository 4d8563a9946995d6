"""What is written into a folder, and what is never touched there."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner, Result

from benchmark import leaderboard, publications
from benchmark.protocol import LIBRARIES
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.reports import publish
from tests.benchmark.handmade import make

Run = Callable[..., Result]


def linf(model: str, survived: list[bool] | None = None, **changes: object) -> list[Record]:
    """The records of a row in linf."""
    outcomes = dict.fromkeys(LIBRARIES, survived or [True, True, False])
    return [make(model, attack, 0.1, outcomes, **changes) for attack in ("fgsm", "bim", "pgd-linf")]


def stored(path: Path, records: Sequence[Record]) -> Path:
    path.unlink(missing_ok=True)
    with Store(path) as store:
        for record in records:
            store.put(record)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command on a folder and a store with one network, where no clone is."""
    monkeypatch.setattr(publications, "PROJECT", tmp_path / "no clone" / "leaderboards", raising=False)
    store = stored(tmp_path / "store.sqlite", linf("mnist/a"))

    def invoke(*arguments: str, store: Path = store) -> Result:
        chosen = ["--folder", str(tmp_path / "pages"), "--store", str(store), *arguments]
        return CliRunner().invoke(leaderboard.app, chosen)

    (tmp_path / "pages").mkdir()
    return invoke


def test_two_reports_that_write_the_same_file_are_refused() -> None:
    page = Path("leaderboards/page.md")
    first, second = publish.Generated({page: "first"}, links=("first",)), publish.Generated({page: "second"})
    with pytest.raises(ValueError, match=r"two reports write leaderboards/page\.md"):
        publish.joined([first, second])
    other = publish.Generated({page.with_name("other.md"): "other"}, links=("other",))
    assert publish.joined([first, other]).links == ("first", "other")


def test_a_users_own_files_are_left_alone(run: Run, tmp_path: Path) -> None:
    """As they were in a folder of notes that `--folder .` was run in, and lost without a line."""
    pages = tmp_path / "pages"
    own = {"notes.md": "n", "data.csv": "a,b", "figures/plot.png": "p", "audits/mine.md": "m", "mnist.partial": "x"}
    own |= {"performance.md": "p", "records/old/run.json": "{}"}
    for name, text in own.items():
        (pages / name).parent.mkdir(exist_ok=True, parents=True)
        (pages / name).write_text(text)
    for _ in range(2):
        result = run()
        assert result.exit_code == 0, result.output
        assert "deleted" not in result.output
        assert {name: (pages / name).read_text() for name in own} == own
    assert (pages / "mnist.md").is_file()
    assert run("--check").exit_code == 0


@pytest.mark.parametrize(
    "name",
    ["README.md", "mnist.csv", "figures/mnist-worst-case.png", "records/x/y.json.xz", "mnist.md/", "figures", "audits"],
)
def test_what_is_in_the_way_is_named_and_nothing_is_written(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / "pages" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("/"):
        path.mkdir()
    else:
        path.write_text("mine")
    before = tree(tmp_path / "pages")
    result = run()
    assert result.exit_code == 2, result.output
    assert str(path) in result.output
    assert "another folder by --folder" in result.output
    assert tree(tmp_path / "pages") == before
    assert not (tmp_path / "pages" / "agreement.md").exists()


def test_a_generated_file_that_somebody_changed_is_not_replaced(run: Run, tmp_path: Path) -> None:
    run()
    page = tmp_path / "pages" / "mnist.md"
    page.write_text(page.read_text() + "my remark\n")
    before = tree(tmp_path / "pages")
    result = run()
    assert result.exit_code == 2
    assert str(page) in result.output
    assert tree(tmp_path / "pages") == before
    page.unlink()
    assert run().exit_code == 0
    assert "my remark" not in page.read_text()


def test_what_is_right_is_not_written_again(run: Run, tmp_path: Path) -> None:
    """Nor without a manifest: it is taken over, as after a run that was killed."""
    pages = tmp_path / "pages"
    first = run()
    said = {line.removeprefix("wrote ") for line in first.output.splitlines() if line.startswith("wrote ")}
    assert said == {str(path) for path in pages.rglob("*") if path.is_file()}
    manifest = (pages / "manifest.json").read_text()
    for path in pages.rglob("*"):
        os.utime(path, (1, 1))
    assert "nothing has changed" in run().output
    (pages / "manifest.json").unlink()
    assert [line for line in run().output.splitlines() if "wrote" in line] == [f"wrote {pages / 'manifest.json'}"]
    assert (pages / "manifest.json").read_text() == manifest
    times = {path: path.stat().st_mtime for path in pages.rglob("*") if path.is_file()}
    assert [path.name for path, time in times.items() if time != 1] == ["manifest.json"]
    another = stored(tmp_path / "store.sqlite", [*linf("mnist/a"), *linf("mnist/b")])
    wrote = {line.split("pages/")[1] for line in run(store=another).output.splitlines() if line.startswith("wrote ")}
    assert {"mnist.md", "audits/mnist-b.md", "records/mnist/b.json.xz", "manifest.json"} < wrote
    assert wrote.isdisjoint({"audits/mnist-a.md", "records/mnist/a.json.xz"})


def test_the_manifest_names_every_file_with_the_sha256_of_its_content(run: Run, tmp_path: Path) -> None:
    run()
    pages = tmp_path / "pages"
    named = json.loads((pages / "manifest.json").read_text())["files"]
    assert set(named) == set(tree(pages)) - {"manifest.json"}
    for name, found in named.items():
        content = (pages / name).read_bytes()
        assert hashlib.sha256(lzma.decompress(content) if name.endswith(".xz") else content).hexdigest() == found


def test_what_is_generated_no_more_is_deleted_unless_it_was_changed(tmp_path: Path) -> None:
    def publish_texts(**texts: str) -> list[str]:
        generated = publish.Generated({tmp_path / f"{name}.md": text for name, text in texts.items()})
        return publish.planned(generated, tmp_path).carry_out()

    publish_texts(a="a", b="b", c="c", d="d")
    (tmp_path / "c.md").write_text("changed")
    (tmp_path / "d.md").unlink()
    lines = publish_texts(a="a")
    assert f"deleted {tmp_path / 'b.md'}" in lines
    (kept,) = [line for line in lines if line.startswith("kept")]
    assert str(tmp_path / "c.md") in kept
    assert (set(tree(tmp_path)), len(lines)) == ({"a.md", "c.md", "manifest.json"}, 3)
    assert list(publish.read_manifest(tmp_path).files) == ["a.md"]
    assert publish_texts(a="a") == [f"{tmp_path}: nothing has changed"]


def test_figures_are_drawn_only_where_something_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = 0

    def draw() -> Figure:
        nonlocal drawn
        drawn += 1
        figure = Figure()
        figure.subplots().plot([1, drawn])
        return figure

    def carry_out(text: str) -> bytes:
        generated = publish.Generated({tmp_path / "a.csv": text}, {tmp_path / "figures" / "a.png": draw})
        publish.planned(generated, tmp_path).carry_out()
        return (tmp_path / "figures" / "a.png").read_bytes()

    first = carry_out("1")
    assert (carry_out("1"), drawn) == (first, 1)
    assert carry_out("2") != first
    assert drawn == 2
    (tmp_path / "figures" / "a.png").unlink()
    carry_out("2")
    assert drawn == 3
    source = publish.inspect.getsource
    monkeypatch.setattr(publish.inspect, "getsource", lambda module: source(module) + "# another version")
    carry_out("2")
    assert drawn == 4


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever file it was at: the same command ends as if nothing had happened."""
    first = {"a.md": "1", "b.csv": "1", "gone.md": "1", "records/m/a.json.xz": "1"}
    second = {"a.md": "2", "b.csv": "2", "new.md": "2", "records/m/a.json.xz": "2"}

    def carry_out(folder: Path, texts: dict[str, str]) -> None:
        publish.planned(publish.Generated({folder / name: text for name, text in texts.items()}), folder).carry_out()

    write = publish.write_whole
    for after in range(len(second) + 2):
        folder, left = tmp_path / str(after), after
        carry_out(folder, first)

        def killed(path: Path, content: bytes) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            write(path, content)

        monkeypatch.setattr(publish, "write_whole", killed)
        if after <= len(second):
            with pytest.raises(KeyboardInterrupt):
                carry_out(folder, second)
        monkeypatch.setattr(publish, "write_whole", write)
        carry_out(folder, second)
        assert {name: content for name, content in tree(folder).items() if name != "manifest.json"} == {
            name: lzma.compress(text.encode()) if name.endswith(".xz") else text.encode()
            for name, text in second.items()
        }
        assert set(publish.read_manifest(folder).files) == set(second)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        json.dumps({"name": "app", "icons": []}),  # a web page's, which is called the same
        json.dumps({"written by": "python -m benchmark.leaderboard", "files": {"a.md": "no hash"}}),
        "../outside.md",
        "audits/../../outside.md",
        "/outside.md",
        "link/outside.md",
        "",
    ],
)
def test_a_manifest_that_is_none_or_leads_elsewhere_is_refused(run: Run, tmp_path: Path, content: str) -> None:
    outside, pages = tmp_path / "elsewhere" / "outside.md", tmp_path / "pages"
    outside.parent.mkdir()
    outside.write_text("mine")
    (tmp_path / "outside.md").write_text("mine")
    (pages / "link").symlink_to(outside.parent)
    if not content.startswith(("{", "[")):
        name = str(outside) if content.startswith("/") else content
        files = {name: hashlib.sha256(b"mine").hexdigest()}
        content = json.dumps({"written by": "python -m benchmark.leaderboard", "files": files})
    (pages / "manifest.json").write_text(content)
    before = tree(tmp_path)
    for arguments in ((), ("--check",)):
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert str(pages / "manifest.json") in result.output
        assert "delete it" in result.output
    assert tree(tmp_path) == before


def test_a_manifest_out_of_date_is_stale_and_a_strangers_file_is_not(run: Run, tmp_path: Path) -> None:
    run()
    pages = tmp_path / "pages"
    (pages / "stranger.md").write_text("x")
    (pages / "audits" / "stranger.md").write_text("x")
    assert run("--check").exit_code == 0
    manifest = pages / "manifest.json"
    files = json.loads(manifest.read_text())
    orphan = hashlib.sha256(b"x").hexdigest()
    for changed, stale in (
        ({**files["files"], "stranger.md": orphan}, pages / "stranger.md"),
        ({**files["files"], "never.md": orphan}, manifest),
        ({name: found for name, found in files["files"].items() if name != "mnist.md"}, manifest),
        ({**files["files"], "figures/mnist-worst-case.png": orphan}, pages / "figures" / "mnist-worst-case.png"),
    ):
        manifest.write_text(json.dumps({**files, "files": changed}))
        result = run("--check")
        assert result.exit_code == 1, changed
        assert f"stale: {stale}" in result.output
    manifest.unlink()
    assert run("--check").exit_code == 1


def test_of_a_readme_only_what_is_between_the_marks_is_replaced(run: Run, tmp_path: Path) -> None:
    """It is the user's, wherever it lies: neither in the manifest nor in the way."""
    mine = "mine\r\n<!-- leaderboard:begin -->\nold\n<!-- leaderboard:end -->\nmine, too\r\n"
    for readme in (tmp_path / "README.md", tmp_path / "pages" / "README.md"):
        readme.write_bytes(mine.encode())
        result = run("--readme", str(readme))
        assert result.exit_code == 0, result.output
        assert f"wrote {readme}" in result.output
        text = readme.read_bytes().decode()
        assert text.startswith("mine\r\n<!-- leaderboard:begin -->\n**mnist**")
        assert text.endswith("<!-- leaderboard:end -->\nmine, too\r\n")
        assert "nothing has changed" in run("--readme", str(readme)).output
        assert run("--check", "--readme", str(readme)).exit_code == 0
        if readme.parent == tmp_path:
            (tmp_path / "pages" / "README.md").unlink()
