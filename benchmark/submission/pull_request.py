"""The one folder that a pull request adds, copied byte by byte out of git: nothing is checked out or followed.

`python -m benchmark.submission.pull_request BASE HEAD TARGET` prints the folder's name. Git's own ways to take files
out of a commit obey attributes that the commit itself may set: they convert, filter and leave out.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from benchmark.submission.finding import RefusedError, few

PLACE = re.compile(r"leaderboards/submissions/([A-Za-z0-9][\w.-]*)/(.+)")
_PLAIN = ("100644", "100755")


def taken(repository: Path, base: str, head: str, target: Path) -> str:
    """Copy the folder below `target`; its name.

    base, head: commits. Raises RefusedError where the pull request changes anything else, or adds no plain files.
    """
    changed = _git(repository, "diff", "--name-only", "-z", "--no-renames", f"{base}...{head}").split(b"\0")
    paths = [path.decode(errors="replace") for path in changed if path]
    places = [PLACE.fullmatch(path) for path in paths]
    if others := [path for path, place in zip(paths, places, strict=True) if place is None]:
        raise RefusedError("files", f"a submission adds one folder, and changes nothing else: {few(others)}")
    names = {place[1] for place in places if place is not None}
    if len(names) != 1:
        raise RefusedError("files", f"a submission adds one folder, not {len(names)}: {few(sorted(names))}")
    (name,) = names
    for line in _git(repository, "ls-tree", "-r", "-z", head, f"leaderboards/submissions/{name}/").split(b"\0"):
        if line:
            _copy(repository, line, name, target)
    return name


def _copy(repository: Path, line: bytes, name: str, target: Path) -> None:
    about, _, raw = line.partition(b"\t")
    mode, _, blob = about.decode().split()
    place = PLACE.fullmatch(raw.decode(errors="replace"))
    if place is None or mode not in _PLAIN or ".." in place[2].split("/"):
        raise RefusedError("files", f"{raw.decode(errors='replace')} is a link or no plain file")
    path = target / name / place[2]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_git(repository, "cat-file", "blob", blob))


def _git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, check=True).stdout


if __name__ == "__main__":
    try:
        print(taken(Path(), sys.argv[1], sys.argv[2], Path(sys.argv[3])))
    except RefusedError as refused:
        sys.exit(str(refused))
