"""Put generated files into a folder, and touch nothing there that this program did not write.

A manifest in the folder names what the last run wrote, each file with the sha256 of its content. A file is replaced or
deleted only if its content is still the one named there. The manifest is written last: a run that was killed leaves
files that the same command finds right, and takes over.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import lzma
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from benchmark.records.beside import copy_of
from zoo import style
from zoo.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANIFEST = "manifest.json"
_WRITER = "python -m benchmark.leaderboard"  # tells this program's manifest from any other file of that name


@dataclass(frozen=True)
class Generated:
    """What is to lie in a folder: texts, functions that draw figures, and a file of the user's with generated sections.

    sections: that file -> its whole text with the sections replaced.
    links: a line of Markdown each, for the front page.
    lying: files that lie there as they should be -> sha256 of their content.
    """

    texts: dict[Path, str]
    figures: dict[Path, Callable[[], Figure]] = field(default_factory=dict)
    sections: dict[Path, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    lying: dict[Path, str] = field(default_factory=dict)

    @property
    def digests(self) -> dict[Path, str]:
        """Path -> sha256 of the content, of all but the figures."""
        return self.lying | {path: sha256(text.encode()) for path, text in self.texts.items()}


def joined(parts: Iterable[Generated]) -> Generated:
    """All parts as one, links in their order. Raises ValueError if two parts write the same file."""
    whole = Generated({})
    for part in parts:
        if twice := sorted(map(str, (whole.texts | whole.figures).keys() & (part.texts | part.figures).keys())):
            raise ValueError(f"two reports write {', '.join(twice)}; give one of them another name")
        whole = Generated(
            whole.texts | part.texts,
            whole.figures | part.figures,
            whole.sections | part.sections,
            whole.links + part.links,
            whole.lying | part.lying,
        )
    return whole


def in_folder(folder: Path, figures: Mapping[str, Callable[[], Figure]]) -> dict[Path, Callable[[], Figure]]:
    """Path -> figure, from their names."""
    return {folder / "figures" / f"{name}.png": draw for name, draw in figures.items()}


@dataclass(frozen=True)
class Publication:
    """What a run is going to do in a folder; nothing is touched before `carry_out`.

    contents: path -> content of every file that is generated, but for those that lie there as they should be.
    lying: these -> sha256. changed: paths where another content lies, or none.
    sections: the user's own files, with their text. leftovers: files of the last run that are no longer generated.
    figures_of: digest of all that the figures are drawn from.
    """

    folder: Path
    contents: dict[Path, bytes]
    lying: dict[Path, str]
    changed: list[Path]
    sections: dict[Path, str]
    leftovers: dict[Path, str]
    figures_of: str

    def carry_out(self) -> list[str]:
        """Write and delete; a line for every file that was written, deleted, or left because somebody changed it."""
        lines = []
        for path in self.changed:
            write_whole(path, lzma.compress(self.contents[path]) if path.suffix == ".xz" else self.contents[path])
            lines.append(f"wrote {path}")
        for path, text in self.sections.items():
            if path.read_bytes().decode() != text:
                write_whole(path, text.encode())
                lines.append(f"wrote {path}")
        for path, written in self.leftovers.items():
            content = digest(path)
            if content == written:
                path.unlink()
                copy_of(path).unlink(missing_ok=True)
                lines.append(f"deleted {path}")
            elif content is not None:
                lines.append(f"kept {path}: no record gives it any more, but it was changed since it was written")
        digests = self.lying | {path: sha256(content) for path, content in self.contents.items()}
        files = {_name(path, self.folder): content for path, content in digests.items()}
        manifest = _manifest_text(Manifest(files, self.figures_of))
        path = self.folder / MANIFEST
        if digest(path) != sha256(manifest):
            write_whole(path, manifest)
            lines.append(f"wrote {path}")
        return lines or [f"{self.folder}: nothing has changed"]


def planned(generated: Generated, folder: Path) -> Publication:
    """The publication after which the folder holds what is generated.

    Figures are drawn anew only where a text, or the code that draws them, has changed.
    Raises ValueError naming every file in the way that this program did not write, or that was changed since.
    """
    manifest, figures_of = read_manifest(folder), _source(generated, folder)
    written = manifest.files
    contents = _contents(generated, folder, manifest, figures_of)
    changed = [path for path, content in contents.items() if digest(path) != sha256(content)]
    if in_the_way := {other for path in changed for other in _in_the_way(path, folder, written)}:
        raise ValueError(
            f"{', '.join(map(str, sorted(in_the_way)))}: not written by this program, or changed since, so nothing was "
            f"written; move or delete {'it' if len(in_the_way) == 1 else 'them'}, or choose another folder by --folder"
        )
    leftovers = _leftovers(generated, folder, written)
    return Publication(folder, contents, generated.lying, changed, generated.sections, leftovers, figures_of)


def contents_of(generated: Generated, folder: Path) -> dict[str, bytes]:
    """Path below the folder -> bytes of every file that is to lie there, as it is on disk; nothing is written."""
    contents = _contents(generated, folder, read_manifest(folder), _source(generated, folder))
    packed = {path: lzma.compress(content) if path.suffix == ".xz" else content for path, content in contents.items()}
    lying = {path: path.read_bytes() for path in generated.lying}
    return {_name(path, folder): content for path, content in (packed | lying).items()}


def _contents(generated: Generated, folder: Path, manifest: Manifest, figures_of: str) -> dict[Path, bytes]:
    """Path -> content of all but what lies there already. Figures that lie there and are fresh are not drawn again."""
    contents = {path: text.encode() for path, text in generated.texts.items()}
    for path, draw in generated.figures.items():
        lies = manifest.figures_of == figures_of and digest(path) == manifest.files.get(_name(path, folder), "")
        contents[path] = path.read_bytes() if lies else _drawn(draw)
    return contents


def _source(generated: Generated, folder: Path) -> str:
    """Digest of what figures are drawn from: all texts, which hold every number shown, and the code that draws."""
    texts = {_name(path, folder): content for path, content in generated.digests.items()}
    modules = {inspect.getmodule(inspect.unwrap(getattr(draw, "func", draw))) for draw in generated.figures.values()}
    code = {module.__name__: sha256(inspect.getsource(module).encode()) for module in (*modules, style) if module}
    return sha256(json.dumps([texts, code], sort_keys=True).encode())


def stale_files(generated: Generated, folder: Path) -> list[Path]:
    """Files that are missing, differ or are no longer generated; a figure is compared with the manifest."""
    manifest = read_manifest(folder)
    written = manifest.files
    expected = generated.digests | {path: written.get(_name(path, folder), "") for path in generated.figures}
    stale = [path for path, content in expected.items() if path not in generated.lying and digest(path) != content]
    stale += [path for path, text in generated.sections.items() if path.read_bytes().decode() != text]
    stale += [path for path in _leftovers(generated, folder, written) if digest(path) is not None]
    named = {_name(path, folder): content for path, content in expected.items()}
    fresh = named == written and manifest.figures_of == _source(generated, folder)
    return stale if fresh else [*stale, folder / MANIFEST]


def _leftovers(generated: Generated, folder: Path, written: Mapping[str, str]) -> dict[Path, str]:
    """Files of the manifest that are no longer generated -> digest in it; never a file that is the user's own now."""
    kept = {path.resolve() for path in (*generated.texts, *generated.lying, *generated.figures, *generated.sections)}
    named = {folder / name: content for name, content in written.items()}
    return {path: content for path, content in named.items() if path.resolve() not in kept}


class Manifest(NamedTuple):
    """files: path below the folder -> sha256 of what the last run wrote there. figures_of: their sources' digest."""

    files: dict[str, str]
    figures_of: str


def read_manifest(folder: Path) -> Manifest:
    """What the last run wrote into a folder; nothing where there was none.

    Raises ValueError for a file of that name that is no manifest of this program, or one that leads out of the folder.
    """
    path = folder / MANIFEST
    if not os.path.lexists(path):
        return Manifest({}, "")
    try:
        content = json.loads(path.read_bytes())
        files = dict(content["files"]) if content["written by"] == _WRITER else None
        figures_of = str(content.get("figures of", ""))  # which the first manifests did not say
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(_no_manifest(path, str(error) or type(error).__name__)) from error
    if files is None:
        raise ValueError(_no_manifest(path, f"it does not say that `{_WRITER}` wrote it"))
    for name, written in files.items():
        if not _is_below(name, folder) or not re.fullmatch("[0-9a-f]{64}", str(written)):
            raise ValueError(_no_manifest(path, f"{name!r}: {written!r} is no file below {folder} with its sha256"))
    return Manifest(files, figures_of)


def _no_manifest(path: Path, why: str) -> str:
    return (
        f"{path} is no manifest of this program ({why}), so nothing was written; restore it, or delete it (files that "
        "are as they should be are taken over), or choose another folder by --folder"
    )


def _is_below(name: str, folder: Path) -> bool:
    """Whether a name of a manifest leads to a file below the folder, also through symbolic links."""
    parts = PurePosixPath(name).parts
    plain = bool(parts) and ".." not in parts and not name.startswith("/") and "\\" not in name and ":" not in parts[0]
    return plain and folder.resolve() in (folder / name).resolve().parents


def _manifest_text(manifest: Manifest) -> bytes:
    files = dict(sorted(manifest.files.items()))
    content = {"written by": _WRITER, "figures of": manifest.figures_of, "files": files}
    return (json.dumps(content, indent=1) + "\n").encode()


def _in_the_way(path: Path, folder: Path, written: Mapping[str, str]) -> list[Path]:
    """The file at a path, or where one of its folders should be, if the last run did not write it."""
    if os.path.lexists(path):
        return [] if digest(path) == written.get(_name(path, folder), "") else [path]
    return [part for part in path.parents if os.path.lexists(part) and not part.is_dir()]


def digest(path: Path) -> str | None:
    """sha256 of a file's content, for an .xz of what is packed in it; None where there is no file."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    if path.suffix == ".xz":
        try:
            content = lzma.decompress(content)
        except (lzma.LZMAError, EOFError):  # somebody else's, or damaged: it is what it is, and no generated text
            return sha256(b"not xz: " + content)
    return sha256(content)


def sha256(content: bytes) -> str:
    """In hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _drawn(draw: Callable[[], Figure]) -> bytes:
    buffer = io.BytesIO()
    draw().savefig(buffer, format="png", dpi=160, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
