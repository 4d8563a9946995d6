"""The folder of a site: all of it or nothing, and never over files of somebody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.reports.site import refuse_foreign, write_site
from benchmark.reports.site.writing import MANIFEST
from tests.benchmark.reports.test_publish import tree

FIRST = {"index.html": b"one", "assets/site.css": b"two"}
SECOND = {"index.html": b"three"}


def test_a_site_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "site"
    folder.mkdir(parents=True)  # an empty folder is nobody's
    write_site(FIRST, folder)
    written = tree(folder)
    assert {name: content for name, content in written.items() if name != MANIFEST} == FIRST
    write_site(FIRST, folder)
    assert tree(folder) == written
    write_site(SECOND, folder)
    assert set(tree(folder)) == {"index.html", MANIFEST}
    assert [path.name for path in folder.parent.iterdir()] == ["site"]


@pytest.mark.parametrize("manifest", [None, "{}", '{"written by": "another", "files": {}}', "no json"])
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, manifest: str | None) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    if manifest is not None:
        (tmp_path / MANIFEST).write_text(manifest)
    before = tree(tmp_path)
    with pytest.raises(ValueError, match="not empty, and no site of this program"):
        write_site(FIRST, tmp_path)
    assert tree(tmp_path) == before


def test_files_that_were_added_or_changed_are_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    write_site(FIRST, folder)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"mine\.txt not written by this program, or changed"):
        write_site(SECOND, folder)
    (folder / "mine.txt").unlink()
    (folder / "index.html").write_text("changed")
    with pytest.raises(ValueError, match=r"index\.html not written"):
        write_site(SECOND, folder)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site").write_text("mine")
    with pytest.raises(ValueError, match="is a file"):
        refuse_foreign(tmp_path / "site")


def test_a_build_that_is_killed_leaves_the_old_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site"
    write_site(FIRST, folder)
    before, written = tree(folder), []
    write = Path.write_bytes

    def killed(path: Path, content: bytes) -> int:
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(path)
        return write(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", killed)
        with pytest.raises(KeyboardInterrupt):
            write_site({"a": b"1", "b": b"2"}, folder)
    assert tree(folder) == before
    write_site(SECOND, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
