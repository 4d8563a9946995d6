"""A submission's folder: what may lie in it, and reading it without executing or following anything.

submission.json        what it says of itself; see `benchmark.submission.registration`
network.safetensors    the weights                                  images.safetensors   or adversarial images
network.json           the model card beside them
source/                the modules that build the network, as they are imported
records/               records as the leaderboards keep them
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from benchmark.submission.finding import Finding, RefusedError, few
from benchmark.submission.registration import About, AboutImages, about_of

SUBMISSION, CARD, WEIGHTS, IMAGES = "submission.json", "network.json", "network.safetensors", "images.safetensors"
SOURCE, RECORDS = "source", "records"
_MEBIBYTE = 2**20
LARGEST = {".json": _MEBIBYTE, ".py": _MEBIBYTE // 4, ".safetensors": 95 * _MEBIBYTE, ".xz": 20 * _MEBIBYTE}  # bytes
MOST_FILES = 100


class Folder:
    """A submission as it lies there. Raises RefusedError for what is no folder of plain files with a registration."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = sorted(_files(path))
        if SUBMISSION not in self.names:
            raise RefusedError("files", f"{path} has no {SUBMISSION}: python -m benchmark.submit makes the folder")
        text = self.text(SUBMISSION)
        strict_json(text, SUBMISSION)  # a name that is there twice, which is said in no other way
        self.about: About = about_of(text)

    def bytes(self, name: str) -> bytes:
        """Of a file that is listed, no longer than it may be. Raises RefusedError for a longer one."""
        with (self.path / name).open("rb") as opened:
            content = opened.read(LARGEST[PurePosixPath(name).suffix] + 1)
        if len(content) > LARGEST[PurePosixPath(name).suffix]:
            raise RefusedError("files", f"{name} is longer than {LARGEST[PurePosixPath(name).suffix]:,} bytes")
        return content

    def text(self, name: str) -> str:
        """Raises RefusedError for a file that is no text, too."""
        try:
            return self.bytes(name).decode()
        except UnicodeDecodeError as error:
            raise RefusedError("files", f"{name} is no text in UTF-8: {error}") from None

    @property
    def sources(self) -> list[str]:
        """The modules, by their path below `source/`."""
        return [name.removeprefix(f"{SOURCE}/") for name in self.names if name.startswith(f"{SOURCE}/")]

    @property
    def record_files(self) -> list[str]:
        return [name for name in self.names if name.startswith(f"{RECORDS}/")]

    def findings(self) -> Iterator[Finding]:
        """What is wrong with its files: others than it names, others than it may have, or another content."""
        named = {SUBMISSION, *self.about.files}
        if missing := sorted(named - set(self.names)):
            yield Finding("files", f"{SUBMISSION} names {few(missing)}, which is not there")
        if further := sorted(set(self.names) - named):
            yield Finding("files", f"{few(further)} is not named in {SUBMISSION}: delete it")
        yield from self._not_allowed()
        for name, sha256 in self.about.files.items():
            if name in self.names and (found := hashlib.sha256(self.bytes(name)).hexdigest()) != sha256:
                what = "weights" if name in (WEIGHTS, IMAGES) else "files"
                yield Finding(what, f"{name} has sha256 {found[:12]}…, {SUBMISSION} says {sha256[:12]}…: make it again")

    def _not_allowed(self) -> Iterator[Finding]:
        images = isinstance(self.about, AboutImages)
        whole = {SUBMISSION, IMAGES} if images else {SUBMISSION, WEIGHTS, CARD}
        if lacking := sorted(whole - set(self.names)):
            yield Finding("files", f"{few(lacking)} is missing")
        for name in self.names:
            path = PurePosixPath(name)
            allowed = (
                name in whole
                or (path.parts[0] == SOURCE and path.suffix == ".py" and not images)
                or (path.parts[0] == RECORDS and name.endswith(".json.xz") and len(path.parts) == 3)
            )
            if not allowed:
                yield Finding("files", f"{name} is none of the files that a submission has: leave it out")


def _files(folder: Path) -> Iterator[str]:
    """The files below a folder, none of which is a link. Raises RefusedError for anything else, and for too many."""
    if folder.is_symlink() or not folder.is_dir():
        raise RefusedError("files", f"{folder} is no folder")
    count = 0
    for place, folders, files in os.walk(folder, onerror=_unreadable):
        for name in (*folders, *files):
            path = Path(place, name)
            shown, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                kind = "a link" if stat.S_ISLNK(mode) else "no plain file"
                raise RefusedError("files", f"{shown} is {kind}: a submission has plain files alone")
            if stat.S_ISREG(mode):
                count += 1
                if PurePosixPath(shown).suffix not in LARGEST:
                    raise RefusedError("files", f"{shown} is none of the files that a submission has: leave it out")
                yield shown
        if count > MOST_FILES:
            raise RefusedError("files", f"more than {MOST_FILES} files")


def _unreadable(error: OSError) -> NoReturn:
    raise RefusedError("files", f"{error.filename}: {error.strerror}")


def strict_json(text: str, name: str) -> Any:
    """JSON without a name that is there twice and without numbers that are none. Raises RefusedError otherwise."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise RefusedError("files", f"{name} is no plain JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value
