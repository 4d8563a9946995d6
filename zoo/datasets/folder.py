"""A folder with a sub-folder for every class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SPLITS = ("test", "val", "valid", "validation", "train", "training")


class ClassFiles(NamedTuple):
    """names: of files, relative to the folder, class by class, sorted. labels: (N,). classes: of the sub-folders."""

    names: list[str]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]


def class_files(folder: Path, classes: int | Sequence[str] | None = None) -> ClassFiles:
    """The files of every class, in folders inside a class's too. Names that begin with a dot are no part of it.

    classes: names of the sub-folders in the order of the labels, or their number; by default all, sorted.
    Raises ValueError for a folder that is not there, has no sub-folders or others, or those of splits (train and test,
    each with the classes inside it), and for a class without files.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; name one that holds a folder for every class")
    found = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not found:
        raise ValueError(f"{folder} has no sub-folders; put its images into one for every class, as cat/1.png")
    if splits := [split for split in _SPLITS if split in found and _holds_folders_alone(folder / split)]:
        raise ValueError(f"{folder} holds {', '.join(found)}, which are no classes: name {folder / splits[0]}")
    wanted = found if classes is None or isinstance(classes, int) else list(classes)
    if set(wanted) != set(found):
        different = sorted(set(wanted) ^ set(found))
        raise ValueError(f"{folder}: classes={wanted} are not its sub-folders {found}: {', '.join(different)} differ")
    if isinstance(classes, int) and classes != len(found):
        raise ValueError(f"{folder} has {len(found)} sub-folders, not {classes}; name them all, or leave out classes")
    names, labels = [], []
    for label, name in enumerate(wanted):
        files = [path.relative_to(folder) for path in (folder / name).rglob("*") if path.is_file()]
        files = [path for path in files if not any(part.startswith(".") for part in path.parts)]
        if not files:
            raise ValueError(f"{folder / name} has no images; remove the folder, or put some of the class into it")
        names += sorted(path.as_posix() for path in files)
        labels += [label] * len(files)
    return ClassFiles(names, np.array(labels, np.int64), tuple(wanted))


def _holds_folders_alone(folder: Path) -> bool:
    return all(path.is_dir() for path in folder.iterdir() if not path.name.startswith("."))
