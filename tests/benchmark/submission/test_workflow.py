"""The workflow, and how a submission is taken out of a pull request: as bytes, of one folder, with nothing executed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmark.submission.finding import RefusedError
from benchmark.submission.pull_request import taken

ROOT = Path(__file__).resolve().parents[3]
PLACE = "leaderboards/submissions/mnist-net"
FILES = {f"{PLACE}/submission.json": "{}\r\n", f"{PLACE}/source/net.py": "x = 1\n"}


def git(place: Path, *arguments: str) -> str:
    who = {
        f"GIT_{role}_{what}": "somebody@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false", *arguments],
        cwd=place, env={**os.environ, **who}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


class Repository:
    """A repository with a base commit, on which a pull request builds."""

    def __init__(self, place: Path) -> None:
        self.place = place
        git(place, "init", "-q")
        (place / "README.md").write_text("here")
        self.base = self.commit()

    def commit(self) -> str:
        git(self.place, "add", "-A")
        git(self.place, "commit", "-q", "-m", "work")
        return git(self.place, "rev-parse", "HEAD")

    def pull(self, files: dict[str, str]) -> str:
        for name, text in files.items():
            (self.place / name).parent.mkdir(parents=True, exist_ok=True)
            (self.place / name).write_bytes(text.encode())
        return self.commit()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "repository").mkdir()
    return Repository(tmp_path / "repository")


def test_the_folder_of_a_pull_request_is_copied_byte_by_byte(repository: Repository, tmp_path: Path) -> None:
    head = repository.pull(FILES)
    assert taken(repository.place, repository.base, head, tmp_path / "incoming") == "mnist-net"
    for name, text in FILES.items():
        copied = tmp_path / "incoming" / name.removeprefix("leaderboards/submissions/")
        assert copied.read_bytes() == text.encode()


def test_attributes_of_a_commit_hide_and_change_nothing(repository: Repository, tmp_path: Path) -> None:
    """As `git archive` would leave out what is marked `export-ignore`, and fill in what is marked `export-subst`."""
    attributes = "* export-ignore\nsource/net.py export-subst text eol=crlf\n"
    head = repository.pull({**FILES, f"{PLACE}/.gitattributes": attributes, f"{PLACE}/source/net.py": "$Format:%H$\n"})
    taken(repository.place, repository.base, head, tmp_path / "incoming")
    found = {path.relative_to(tmp_path / "incoming").as_posix() for path in (tmp_path / "incoming").rglob("*.*")}
    assert "mnist-net/.gitattributes" in found
    assert (tmp_path / "incoming" / "mnist-net" / "source" / "net.py").read_bytes() == b"$Format:%H$\n"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({**FILES, "benchmark/submit.py": "accepted"}, r"changes nothing else: benchmark/submit.py"),
        ({**FILES, ".github/workflows/submission.yml": ""}, "changes nothing else"),
        ({**FILES, "leaderboards/submissions/other/submission.json": "{}"}, "one folder, not 2: mnist-net, other"),
        ({"leaderboards/submissions/loose.json": "{}"}, "changes nothing else"),
        ({"leaderboards/submissions/.hidden/a.json": "{}"}, "changes nothing else"),
        ({"README.md": "there"}, "changes nothing else: README.md"),
    ],
)
def test_a_pull_request_that_changes_anything_else_is_refused(
    repository: Repository, tmp_path: Path, files: dict[str, str], message: str
) -> None:
    head = repository.pull(files)
    with pytest.raises(RefusedError, match=message):
        taken(repository.place, repository.base, head, tmp_path / "incoming")
    assert not (tmp_path / "incoming").exists()


def test_a_link_in_a_pull_request_is_refused(repository: Repository, tmp_path: Path) -> None:
    (repository.place / PLACE).mkdir(parents=True)
    (repository.place / PLACE / "network.json").symlink_to("/etc/passwd")
    head = repository.commit()
    with pytest.raises(RefusedError, match=r"network.json is a link"):
        taken(repository.place, repository.base, head, tmp_path / "incoming")


def test_the_command_prints_the_name_or_why_not(repository: Repository, tmp_path: Path) -> None:
    def command(head: str) -> subprocess.CompletedProcess[str]:
        arguments = [
            sys.executable,
            "-m",
            "benchmark.submission.pull_request",
            repository.base,
            head,
            str(tmp_path / "in"),
        ]
        path = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(arguments, cwd=repository.place, env=path, capture_output=True, text=True)

    assert command(repository.pull(FILES)).stdout == "mnist-net\n"
    refused = command(repository.pull({"README.md": "there"}))
    assert refused.returncode == 1
    assert refused.stderr == "files: a submission adds one folder, and changes nothing else: README.md\n"


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    yaml = pytest.importorskip("yaml")
    loaded: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "submission.yml").read_text())
    return loaded


def commands(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in job["steps"])


def test_code_is_that_of_the_base_branch_and_tokens_read_alone_but_for_the_comment(workflow: dict[Any, Any]) -> None:
    assert "pull_request_target" in workflow[True]  # which YAML makes of the key `on`
    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        "schema": {"contents": "read"}, "run": {"contents": "read"}, "comment": {"pull-requests": "write"},
    }  # fmt: skip
    for name in ("schema", "run"):
        (checkout,) = [step for step in workflow["jobs"][name]["steps"] if "checkout" in step.get("uses", "")]
        assert checkout["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"
        assert checkout["with"]["persist-credentials"] is False
    text = (ROOT / ".github" / "workflows" / "submission.yml").read_text()
    assert "secrets." not in text
    assert all("${{" not in commands(job) for job in workflow["jobs"].values())  # nothing of a pull request in a script


def test_the_submission_is_executed_after_the_label_alone_without_network(workflow: dict[Any, Any]) -> None:
    jobs = workflow["jobs"]
    assert "--run" not in commands(jobs["schema"])
    assert jobs["schema"]["if"] == "github.event.action != 'labeled'"
    assert jobs["run"]["if"] == "github.event.action == 'labeled' && github.event.label.name == 'run-submission'"
    running = [step["run"] for step in jobs["run"]["steps"] if "--run" in step.get("run", "").split()]
    assert len(running) == 1
    for guard in ("--network none", "--read-only", "--cap-drop ALL", "no-new-privileges", "--user 65534:65534", ":ro"):
        assert guard in running[0]
    assert not any("checkout" in step.get("uses", "") for step in jobs["comment"]["steps"])
    assert "benchmark" not in commands(jobs["comment"])


def test_its_commands_have_the_options_that_it_gives_them(workflow: dict[Any, Any]) -> None:
    from typer.main import get_command

    from benchmark.submit import app

    known = {option for parameter in get_command(app).params for option in parameter.opts}
    given = re.findall(r"benchmark\.submit ([^>\n]+)", "\n".join(map(commands, workflow["jobs"].values())))
    options = {word for line in given for word in line.split() if word.startswith("--")}
    assert options == {"--check", "--run", "--data-root", "--download"}
    assert options <= known
