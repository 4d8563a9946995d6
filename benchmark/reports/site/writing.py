"""Put a site into its folder: all of it or nothing, and never over files of somebody else."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmark.reports.publish import sha256

MANIFEST = "site.json"
_WRITER = "python -m benchmark.leaderboard --site"


def refuse_foreign(folder: Path) -> None:
    """Raises ValueError for a folder that is not empty and not a site that this program wrote, as it wrote it."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file: choose a new folder for --site")
    there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    if not there:
        return
    written = _written(folder / MANIFEST)
    if written is None:
        raise ValueError(f"{folder} is not empty, and no site of this program: choose a new folder for --site")
    foreign = [name for name in there if name != MANIFEST and sha256((folder / name).read_bytes()) != written.get(name)]
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise ValueError(
            f"{folder}: {', '.join(foreign[:3])}{more} not written by this program, or changed since, so nothing was "
            "written; move or delete them, or choose another folder for --site"
        )


def write_site(files: Mapping[str, bytes], folder: Path) -> None:
    """Write beside the folder, then put it in its place: a kill leaves the old site or the new one, never a half.

    Raises ValueError as `refuse_foreign` does.
    """
    refuse_foreign(folder)
    target = folder.resolve()
    new, old = (target.with_name(f".{target.name}.{kind}") for kind in ("partial", "replaced"))
    for leftover in (new, old):  # of a build that was killed: names that no folder of the user's has
        shutil.rmtree(leftover, ignore_errors=True)
    manifest = {"written by": _WRITER, "files": {name: sha256(content) for name, content in sorted(files.items())}}
    for name, content in {**files, MANIFEST: json.dumps(manifest, indent=1).encode() + b"\n"}.items():
        path = new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)


def _written(path: Path) -> dict[str, str] | None:
    """File -> sha256, of a manifest of this program; None for none."""
    try:
        content = json.loads(path.read_bytes())
        return dict(content["files"]) if content["written by"] == _WRITER else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
